package workload

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
)

// History is what clients asked for and were told, and when, by a clock that is not
// set back. It is all in memory, with less than a hundred bytes for an operation
// beside the values. It is safe for concurrent use.
type History struct {
	start time.Time

	mu      sync.Mutex
	keys    map[string][]record
	counts  map[simulation.OpKind]Counts
	answers answers
}

// NewHistory returns an empty history, whose time begins now.
func NewHistory() *History {
	return &History{
		start:   time.Now(),
		keys:    make(map[string][]record),
		counts:  make(map[simulation.OpKind]Counts),
		answers: answers{last: make(map[int]time.Duration)},
	}
}

// Start returns when the history's time begins: an operation's Call and Return are
// nanoseconds since then.
func (h *History) Start() time.Time { return h.start }

// Counts is what became of a number of operations.
type Counts struct {
	Done    int `json:"done"`
	Failed  int `json:"failed"`  // they did not run and never will (S5)
	Unknown int `json:"unknown"` // they may have run
}

// All returns the number of operations.
func (c Counts) All() int { return c.Done + c.Failed + c.Unknown }

func (c *Counts) add(v simulation.Verdict) {
	switch v {
	case simulation.Done:
		c.Done++
	case simulation.Failed:
		c.Failed++
	default:
		c.Unknown++
	}
}

// record is an operation as it is kept: its key is known by where it stands. Of a
// Done one text is what was got, of any other why there is no answer.
type record struct {
	call, back            int64
	value, expected, text string
	client                int32
	kind                  simulation.OpKind
	verdict               simulation.Verdict
	absent, swapped       bool
}

func (r *record) operation(key string) simulation.Operation {
	op := simulation.Operation{
		Client: int(r.client), Call: r.call, Return: r.back, Verdict: r.verdict,
		Input: simulation.Input{Kind: r.kind, Key: key, Value: r.value, Expected: r.expected},
	}
	if r.verdict == simulation.Done {
		op.Output = simulation.Output{Value: r.text, Absent: r.absent, Swapped: r.swapped}
	} else {
		op.Err = r.text
	}
	return op
}

// Do has an operation done by a client, and returns what was written down of it.
// who stands for the goroutine that waits: it calls one at a time.
func (h *History) Do(ctx context.Context, k *kvservice.KVClient, who int, in simulation.Input) simulation.Operation {
	op := simulation.Operation{Client: who, Input: in, Verdict: simulation.Done}
	op.Call = int64(time.Since(h.start))
	out, err := perform(ctx, k, in)
	op.Return = int64(time.Since(h.start))
	switch {
	case err == nil:
		op.Output = out
	case errors.Is(err, kvservice.ErrOutcomeUnknown):
		op.Verdict, op.Err = simulation.Unknown, err.Error()
	default: // S5: it did not run and never will
		op.Verdict, op.Err = simulation.Failed, err.Error()
	}
	h.add(op)
	return op
}

// add writes an operation down.
func (h *History) add(op simulation.Operation) {
	in, out := op.Input, op.Output
	r := record{
		call: op.Call, back: op.Return, value: in.Value, expected: in.Expected, text: op.Err,
		client: int32(op.Client), kind: in.Kind, verdict: op.Verdict, absent: out.Absent, swapped: out.Swapped,
	}
	if op.Verdict == simulation.Done {
		r.text = out.Value
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[in.Key] = append(h.keys[in.Key], r)
	c := h.counts[in.Kind]
	c.add(op.Verdict)
	h.counts[in.Kind] = c
	if op.Verdict == simulation.Done {
		h.answers.add(op.Client, time.Duration(op.Return))
	}
}

// Counts returns what became of the operations so far.
func (h *History) Counts() Counts {
	var all Counts
	for _, c := range h.CountsByKind() {
		all.Done += c.Done
		all.Failed += c.Failed
		all.Unknown += c.Unknown
	}
	return all
}

// CountsByKind returns the same for each kind of operation that there was.
func (h *History) CountsByKind() map[simulation.OpKind]Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.counts)
}

// Keys returns the keys that operations were on, sorted.
func (h *History) Keys() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.keys))
}

// Of returns the operations on a key, in the order in which they were answered.
func (h *History) Of(key string) []simulation.Operation {
	h.mu.Lock()
	records := h.keys[key] // which only grows
	h.mu.Unlock()
	ops := make([]simulation.Operation, len(records))
	for i := range records {
		ops[i] = records[i].operation(key)
	}
	return ops
}

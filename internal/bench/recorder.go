package bench

import (
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// SlotLength is how long a Slot lasts.
const SlotLength = 100 * time.Millisecond

// Slot is a stretch of a window.
type Slot struct {
	Operations uint64        `json:"operations"` // answered in it
	Longest    time.Duration `json:"longest_ns"` // latency of those
}

// The histograms' bounds, in nanoseconds, and their precision. What takes longer counts
// as the longest.
const (
	latencyLeast  = 500
	latencyMost   = int64(10 * time.Minute)
	latencyDigits = 3
	shardsMax     = 8 // a histogram is large, and nobody waits long for a lock
)

// latencies is a histogram of latencies, nil while there are none.
type latencies struct{ h *hdr.Histogram }

func (l *latencies) record(d time.Duration) {
	if l.h == nil {
		l.h = hdr.New(latencyLeast, latencyMost, latencyDigits)
	}
	_ = l.h.RecordValue(min(max(int64(d), 0), latencyMost)) // within its bounds
}

func (l *latencies) merge(o *latencies) {
	switch {
	case o.h == nil:
	case l.h == nil:
		l.h = o.h.Clone()
	default:
		l.h.Merge(o.h)
	}
}

// tally is what became of operations.
type tally struct {
	latencies [kinds]latencies // of those that were answered, from when they were meant to begin
	served    latencies        // of all kinds, from when they did begin
	failed    [kinds]Failures
	slots     []Slot
	late      uint64        // answered after the window's end, which they had begun before
	longest   time.Duration // gap of the shard's clients
}

// Failures counts operations that were not answered.
type Failures struct {
	DidNotRun uint64 `json:"did_not_run"` // and never will
	Unknown   uint64 `json:"unknown"`     // they may have run
	First     string `json:"first,omitempty"`
}

// Add adds those of another window.
func (f *Failures) Add(o Failures) {
	f.DidNotRun += o.DidNotRun
	f.Unknown += o.Unknown
	if f.First == "" {
		f.First = o.First
	}
}

// silence watches for the longest time without an answer to any client. It is safe for
// concurrent use. An answer that is told late, by a client that was held up meanwhile,
// does not turn time back; it may leave a silence longer than it was, though never
// longer than some client waited.
type silence struct {
	start   time.Time
	last    atomic.Int64 // when there was an answer, since the start
	longest atomic.Int64
}

func (s *silence) answered(at time.Time) {
	now := int64(at.Sub(s.start))
	last := s.last.Load()
	for now > last && !s.last.CompareAndSwap(last, now) {
		last = s.last.Load()
	}
	for old := s.longest.Load(); now-last > old && !s.longest.CompareAndSwap(old, now-last); old = s.longest.Load() {
	}
}

// rested notes that the clients did nothing up to now.
func (s *silence) rested(now time.Time) { s.last.Store(int64(now.Sub(s.start))) }

// cut returns the longest silence since the last cut, that up to now included.
func (s *silence) cut(now time.Time) time.Duration {
	longest := max(s.longest.Swap(0), int64(now.Sub(s.start))-s.last.Load())
	return time.Duration(longest)
}

// shard is where some clients write down what became of their operations.
type shard struct {
	mu    sync.Mutex
	began time.Time // of the window
	limit time.Time // its end; zero: when it is cut
	tally *tally
	last  []time.Time // of each of its clients, when it had an answer
}

// answered writes down an operation of one of the shard's clients.
func (s *shard) answered(client int, k Kind, meant, began, ended time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally
	latency := ended.Sub(meant)
	t.latencies[k].record(latency)
	t.served.record(ended.Sub(began))
	at := max(0, int(ended.Sub(s.began)/SlotLength))
	for len(t.slots) <= at {
		t.slots = append(t.slots, Slot{})
	}
	t.slots[at].Operations++
	t.slots[at].Longest = max(t.slots[at].Longest, latency)
	if !s.limit.IsZero() && ended.After(s.limit) {
		t.late++
	}
	t.longest = max(t.longest, ended.Sub(s.last[client]))
	s.last[client] = ended
}

// failed writes down an operation that was not answered.
func (s *shard) failed(k Kind, f Failures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.failed[k].Add(f)
}

// cut returns the tally of the window that ends, and begins another, which ends at a
// limit, if that is not zero. Clients that wait for an answer wait in both.
func (s *shard) cut(now, limit time.Time) *tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally
	end := now
	if !s.limit.IsZero() {
		end = s.limit // who had an answer after it is not waiting
	}
	for _, last := range s.last {
		t.longest = max(t.longest, end.Sub(last))
	}
	s.began, s.limit, s.tally = now, limit, new(tally)
	return t
}

// rested notes that the clients did nothing up to now.
func (s *shard) rested(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.last {
		s.last[i] = now
	}
}

// waited returns the longest that a client has been without an answer up to now, and
// was before in the window.
func (s *shard) waited(now time.Time) (longest time.Duration, oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest, oldest = s.tally.longest, now
	for _, last := range s.last {
		longest = max(longest, now.Sub(last))
		if last.Before(oldest) {
			oldest = last
		}
	}
	return longest, oldest
}

// merge adds another shard's tally of the same window.
func (t *tally) merge(o *tally) {
	for k := range t.latencies {
		t.latencies[k].merge(&o.latencies[k])
		t.failed[k].Add(o.failed[k])
	}
	t.served.merge(&o.served)
	for i, s := range o.slots {
		if i == len(t.slots) {
			t.slots = append(t.slots, Slot{})
		}
		t.slots[i].Operations += s.Operations
		t.slots[i].Longest = max(t.slots[i].Longest, s.Longest)
	}
	t.late += o.late
	t.longest = max(t.longest, o.longest)
}

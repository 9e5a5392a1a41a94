package workload

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/tandemkv/tandem/simulation"
)

// Witnessed counts what of a history is wrong beyond doubt, whatever order its
// operations ran in, in words that a checker has not. Each is a breach of
// linearizability, but there are breaches that none of these counts.
//
// A write is a Put, an Append, or a CompareAndSwap that swapped, which was
// acknowledged. A read has to show it if it began after that and ended before
// anything began that might remove it (a Put, PutHash, Delete or CompareAndSwap),
// where one that was under way when the write began, or is of unknown outcome and
// began before the read ended, might.
type Witnessed struct {
	Lost       int `json:"lost"`       // writes that the last read of their key had to show, and did not
	Stale      int `json:"stale"`      // reads that had to show another write, and did not
	Duplicated int `json:"duplicated"` // writes that stand twice in a value that was read
}

// Any reports whether there is something.
func (w Witnessed) Any() bool { return w != Witnessed{} }

func (w *Witnessed) add(other Witnessed) {
	w.Lost += other.Lost
	w.Stale += other.Stale
	w.Duplicated += other.Duplicated
}

// witness counts for the operations on one key.
func witness(ops []simulation.Operation) Witnessed {
	var gets, writes, removers []*simulation.Operation
	for i := range ops {
		op := &ops[i]
		if op.Verdict == simulation.Done && op.Input.Kind == simulation.Get {
			gets = append(gets, op)
		}
		if acknowledgedWrite(op) {
			writes = append(writes, op)
		}
		if mayRemove(op) {
			removers = append(removers, op)
		}
	}
	slices.SortFunc(gets, func(a, b *simulation.Operation) int { return cmp.Compare(a.Call, b.Call) })
	w := Witnessed{Duplicated: duplicated(ops)}
	stale := make(map[*simulation.Operation]bool)
	for _, write := range writes {
		missed := missing(write, gets, safeUntil(write, removers))
		if len(missed) > 0 && missed[len(missed)-1] == gets[len(gets)-1] {
			w.Lost++
			continue
		}
		for _, r := range missed {
			stale[r] = true
		}
	}
	w.Stale = len(stale)
	return w
}

// acknowledgedWrite reports whether an operation left a token in its key's value.
func acknowledgedWrite(op *simulation.Operation) bool {
	switch op.Input.Kind {
	case simulation.Put, simulation.Append:
		return op.Verdict == simulation.Done
	case simulation.CompareAndSwap:
		return op.Verdict == simulation.Done && op.Output.Swapped
	}
	return false
}

// mayRemove reports whether an operation may have removed what others wrote.
func mayRemove(op *simulation.Operation) bool {
	switch op.Input.Kind {
	case simulation.Put, simulation.PutHash, simulation.Delete:
		return op.Verdict != simulation.Failed
	case simulation.CompareAndSwap:
		return op.Verdict == simulation.Unknown || op.Verdict == simulation.Done && op.Output.Swapped
	}
	return false
}

// safeUntil returns the time until which nothing can have removed what an operation
// wrote.
func safeUntil(write *simulation.Operation, removers []*simulation.Operation) int64 {
	until := int64(math.MaxInt64)
	for _, r := range removers {
		if r != write && (r.Verdict == simulation.Unknown || r.Return >= write.Call) {
			until = min(until, r.Call)
		}
	}
	return until
}

// missing returns the reads that had to show what was written, and did not.
func missing(write *simulation.Operation, gets []*simulation.Operation, until int64) []*simulation.Operation {
	var missed []*simulation.Operation
	for _, r := range gets {
		if r.Call > write.Return && r.Return < until && !strings.Contains(r.Output.Value, write.Input.Value) {
			missed = append(missed, r)
		}
	}
	return missed
}

// duplicated returns how many tokens stand more than once in a value.
func duplicated(ops []simulation.Operation) int {
	twice := make(map[string]bool)
	for i := range ops {
		if ops[i].Verdict != simulation.Done {
			continue
		}
		seen := make(map[string]bool)
		for _, piece := range strings.SplitAfter(ops[i].Output.Value, "]") {
			begin := strings.IndexByte(piece, '[')
			if begin < 0 {
				continue
			}
			if tok := piece[begin:]; seen[tok] {
				twice[tok] = true
			} else {
				seen[tok] = true
			}
		}
	}
	return len(twice)
}

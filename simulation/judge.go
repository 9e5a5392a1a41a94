package simulation

import (
	"slices"

	"github.com/tandemkv/tandem"
)

// named is told under which name an operation is sent: it may have several, one
// after the other, but a name belongs to one operation (rule S1).
func (o *oracle) named(name requestName, op int) {
	if was, ok := o.names[name]; !ok {
		o.names[name] = op
		o.order = append(o.order, name)
	} else if was != op {
		o.w.fail("S1", "request %d.%d was operation %d and is sent as operation %d", name.session, name.number, was, op)
	} else {
		o.w.cover.count(Retries)
		o.w.cover.rule("S1")
	}
}

// judge compares what clients were told with the log.
func (o *oracle) judge(history []Operation) {
	ran := make([]int, len(history))
	for _, name := range o.order {
		op := o.names[name]
		result, ok := o.rules.results[name]
		if !ok || result.err == tandem.ErrTooLarge {
			continue
		}
		if ran[op]++; ran[op] > 1 {
			o.w.fail("I10", "operation %d, %s, was executed under two names", op, describe(history[op].Input, history[op].Output))
		}
	}
	for i := range history {
		op := &history[i]
		if op.Input.Kind == Get || op.Input.Kind == Scan {
			continue
		}
		if op.Verdict == Done && ran[i] == 0 {
			o.w.fail("I9", "operation %d, %s, was answered and is not in the log", i, describe(op.Input, op.Output))
		}
		if op.Verdict == Failed && ran[i] > 0 {
			o.w.fail("S5", "operation %d, %s, failed definitely (%s) and is in the log", i, describe(op.Input, op.Output), op.Err)
		}
	}
}

// settled returns a history in which nothing is of unknown outcome: the log says
// which of those operations took effect, and at which event the first server
// applied them: at that very moment it took effect, since every read is from what a
// server has applied. The search of a checker doubles with each that might yet run
// and with each that others overlap, and what is linearizable with less freedom is
// so with more.
func (o *oracle) settled(history []Operation) []Operation {
	ran := make([]uint64, len(history)) // the index of the entry; zero: none
	for _, name := range o.order {
		if result, ok := o.rules.results[name]; ok && result.err != tandem.ErrTooLarge {
			ran[o.names[name]] = result.index
		}
	}
	known := slices.Clone(history)
	for i := range known {
		op := &known[i]
		if op.Verdict != Unknown && op.Verdict != Running {
			continue
		}
		op.Output, op.Verdict = Output{Unknown: true}, Failed
		if ran[i] > 0 {
			op.Verdict, op.Call, op.Return = Done, o.appliedAt[ran[i]-1], o.appliedAt[ran[i]-1]
		}
	}
	return known
}

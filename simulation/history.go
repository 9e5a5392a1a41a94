package simulation

import (
	"cmp"
	"io"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verdict is what became of an operation, as far as its client knows.
type Verdict uint8

// The verdicts.
const (
	// Running: the client still waits.
	Running Verdict = iota
	// Done: the operation ran, and Output holds.
	Done
	// Failed: the operation did not run and never will (rule S5).
	Failed
	// Unknown: it may have run, or may yet run (rule S5).
	Unknown
)

var verdictNames = [...]string{"running", "done", "failed", "unknown"}

// String returns the verdict's name.
func (v Verdict) String() string { return verdictNames[v] }

// Operation is one operation of a history. Call and Return order the
// operations of a run; they may count anything that orders what happened.
type Operation struct {
	Client       int
	Call, Return int64
	Input        Input
	Output       Output
	Verdict      Verdict
	Err          string // why it failed, or is unknown
}

// Linearizability tells whether a history is linearizable: porcupine.Ok, or
// porcupine.Illegal, or porcupine.Unknown if that could not be found out within
// the time, which counts as a failure. Operations of unknown outcome never
// return; those that failed definitely are left out, as are scans (LinearizableStore).
func Linearizability(history []Operation, limit time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(Model(), forPorcupine(history), limit)
}

// Linearizable is Linearizability without the picture.
func Linearizable(history []Operation, limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(Model(), forPorcupine(history), limit)
}

// LinearizableStore is Linearizable by StoreModel, which has scans in it and looks
// at all keys at once. That takes long for long histories, so it judges the first
// so many operations alone: those that began before the next. Whatever had not
// returned by then counts as of unknown outcome. (What begins a linearizable
// history is linearizable.)
func LinearizableStore(history []Operation, most int, limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(StoreModel(), storeOperations(history, most), limit)
}

// storeOperations returns a beginning of a history for porcupine, with scans.
func storeOperations(history []Operation, most int) []porcupine.Operation {
	began := slices.Clone(history)
	slices.SortStableFunc(began, func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
	end := int64(math.MaxInt64)
	if len(began) > most {
		end = began[most].Call
		began = began[:most]
	}
	for i := range began {
		if op := &began[i]; op.Verdict != Failed && op.Return >= end {
			op.Verdict, op.Return = Running, -1
		}
	}
	return operations(began, true)
}

func forPorcupine(history []Operation) []porcupine.Operation { return operations(history, false) }

func operations(history []Operation, scans bool) []porcupine.Operation {
	ops := make([]porcupine.Operation, 0, len(history))
	for _, op := range history {
		o := porcupine.Operation{ClientId: op.Client, Input: op.Input, Output: op.Output, Call: op.Call, Return: op.Return}
		switch {
		case op.Verdict == Failed || (op.Input.Kind == Scan && !scans):
			continue
		case op.Verdict == Running || op.Verdict == Unknown:
			if op.Input.Kind == Get || op.Input.Kind == Scan {
				continue // it told nobody anything
			}
			o.Output, o.Return = Output{Unknown: true}, math.MaxInt64
		}
		ops = append(ops, o)
	}
	return ops
}

// Picture writes porcupine's picture of a history, an HTML page.
func Picture(history []Operation, limit time.Duration, to io.Writer) error {
	_, info := Linearizability(history, limit)
	return porcupine.Visualize(Model(), info, to)
}

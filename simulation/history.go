package simulation

import (
	"io"
	"math"
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
// return; those that failed definitely are left out, as are scans.
func Linearizability(history []Operation, limit time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	return porcupine.CheckOperationsVerbose(Model(), forPorcupine(history), limit)
}

// Linearizable is Linearizability without the picture.
func Linearizable(history []Operation, limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(Model(), forPorcupine(history), limit)
}

func forPorcupine(history []Operation) []porcupine.Operation {
	ops := make([]porcupine.Operation, 0, len(history))
	for _, op := range history {
		o := porcupine.Operation{ClientId: op.Client, Input: op.Input, Output: op.Output, Call: op.Call, Return: op.Return}
		switch {
		case op.Verdict == Failed || op.Input.Kind == Scan:
			continue
		case op.Verdict == Running || op.Verdict == Unknown:
			if op.Input.Kind == Get {
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

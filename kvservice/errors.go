package kvservice

import (
	"errors"
	"fmt"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/clerk"
)

var (
	// ErrOutcomeUnknown: the operation may have run, or may yet run. Errors of a
	// KVClient that are not ErrOutcomeUnknown are definite: it did not run and
	// never will, or, with ErrNoKey, it ran and found nothing.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrClosed: the client was closed.
	ErrClosed = clerk.ErrClosed
	// ErrSessionLost: the session under which the request was sent has expired
	// or belonged to another cluster, so nobody can tell whether it ran. It
	// comes together with ErrOutcomeUnknown.
	ErrSessionLost = clerk.ErrSessionLost
)

// OpError is the error of every operation of a KVClient.
type OpError struct {
	Op      string // Get, Put, ...
	Key     string // the key, or a scan's prefix
	Outcome tandem.Outcome
	// Err is why: a tandem.Err, the context's error, ErrClosed or
	// ErrSessionLost, possibly wrapped.
	Err error
	// Because says more with a context's error: what the operation was waiting
	// for when it was given up, such as a view service that cannot be reached, or
	// a primary that refuses connections.
	Because error
}

// Error names the operation, the key, the reason, and whether the outcome is
// unknown.
func (e *OpError) Error() string {
	key := e.Key
	if len(key) > maxKeyShown {
		key = key[:maxKeyShown] + "..."
	}
	s := fmt.Sprintf("%s %q: %v", e.Op, key, e.Err)
	if e.Because != nil {
		s += fmt.Sprintf(" (%v)", e.Because)
	}
	if e.unknown() && !errors.Is(e.Err, clerk.ErrSessionLost) {
		s += "; " + ErrOutcomeUnknown.Error()
	}
	return s
}

// Unwrap lets errors.Is find the reason, and ErrOutcomeUnknown.
func (e *OpError) Unwrap() []error {
	errs := []error{e.Err}
	if e.unknown() {
		errs = append(errs, ErrOutcomeUnknown)
	}
	if e.Because != nil {
		errs = append(errs, e.Because)
	}
	return errs
}

func (e *OpError) unknown() bool { return e.Outcome == tandem.OutcomeUnknown }

// err returns the error of a request that is done, nil if it succeeded. A read
// changes nothing, so its outcome is never in doubt.
func (op *operation) err(because error) error {
	req, d := &op.request, &op.done
	if d.Err == nil {
		return nil
	}
	e := &OpError{Outcome: d.Outcome, Err: d.Err, Because: because}
	switch {
	case req.Put != nil:
		e.Op, e.Key = req.Put.Op.String(), req.Put.Key
	case req.Get != nil:
		e.Op, e.Key, e.Outcome = "Get", req.Get.Key, tandem.DidNotRun
	default:
		e.Op, e.Key, e.Outcome = "Scan", req.Scan.Prefix, tandem.DidNotRun
	}
	if errors.Is(d.Err, tandem.ErrNoKey) {
		e.Outcome = tandem.DidRun
	}
	return e
}

// failed is err of a request that the clerk has not answered.
func (op *operation) failed(why error, outcome tandem.Outcome) error {
	op.done = clerk.Done{Err: why, Outcome: outcome}
	return op.err(nil)
}

// maxKeyShown bounds what an error message shows of a key, in bytes.
const maxKeyShown = 64

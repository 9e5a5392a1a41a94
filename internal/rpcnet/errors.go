package rpcnet

import (
	"errors"
	"fmt"
)

// What an error of a Transport may be, for errors.Is. Anything that is not
// ErrNotSent and not an rpc.ServerError leaves open whether the request ran or
// may yet run.
var (
	// ErrNotSent: the request was certainly never handed to the network, and
	// never will be. It comes together with a reason, such as a refused dial or
	// the end of the context.
	ErrNotSent = errors.New("request not sent")
	// ErrConnLost: the connection broke, or nothing moved on it for too long.
	ErrConnLost = errors.New("connection lost")
	// ErrClosed: the Transport, or the Server, was closed.
	ErrClosed = errors.New("closed")
	// ErrQueueFull: too many calls to this address wait to be written. It comes
	// together with ErrNotSent.
	ErrQueueFull = errors.New("too many unsent calls")
	// ErrFrameTooLarge: a message exceeds the limit on frames.
	ErrFrameTooLarge = errors.New("frame too large")
)

// CallError is the error of a call that failed: which one, where, and why. Err
// wraps what errors.Is and errors.As look for: one of the sentinels above, the
// context's error, or an rpc.ServerError.
type CallError struct {
	Addr   string // the address that was called
	Method string
	Err    error
}

// Error returns the failure in one line.
func (e *CallError) Error() string { return e.Method + " at " + e.Addr + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *CallError) Unwrap() error { return e.Err }

// notSent says that the request was never handed to the network, and why.
func notSent(why error) error { return fmt.Errorf("%w: %w", ErrNotSent, why) }

// connLost says that the outcome is unknown, and why.
func connLost(why error) error {
	if errors.Is(why, ErrClosed) {
		return why
	}
	return fmt.Errorf("%w: %w", ErrConnLost, why)
}

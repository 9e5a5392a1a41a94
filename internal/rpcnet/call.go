package rpcnet

import "context"

// Call calls a method at an address and waits for its reply. The reply is a new
// object; it is nil if and only if the error is not. An error is a *CallError.
//
// The end of ctx abandons the call: it may yet run, unless the error is
// ErrNotSent as well. While as many calls wait to be written as MaxQueue allows,
// Call waits for room.
//
// args belong to the transport from here on and must never change again, not
// even after Call has returned: an abandoned call may still be being written.
func Call[R any](ctx context.Context, t *Transport, addr, method string, args any) (*R, error) {
	return nil, &CallError{addr, method, ErrNotSent}
}

// Start starts a call and returns without waiting for the network. Calls to one
// address and lane that one goroutine starts one after another are written in
// that order. args are under the same rule as Call's.
//
// If Start returns an error (a *CallError that is ErrNotSent, with ErrQueueFull
// or ErrClosed), nothing was started and done is never called. Otherwise done is
// called exactly once, from another goroutine, with either a reply or an error
// as Call returns them, unless Abandon forestalls it; Close waits for it. done
// should be brief: while it runs no other reply of that connection is read.
func Start[R any](t *Transport, addr, method string, args any, done func(*R, error)) (*Pending, error) {
	return nil, &CallError{addr, method, ErrNotSent}
}

// Pending is a call that was started.
type Pending struct{}

// Abandon gives the call up. It reports whether it came in time: if so, done
// will never be called; if not, done was called or is being called. The request
// may run either way. The connection and its other calls are unaffected.
func (p *Pending) Abandon() bool { return false }

package rpcnet

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
)

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
	c, reply := new(call), new(R)
	settled := make(chan error, 1)
	c.init(t, addr, method, args, reply, func(err error) { settled <- err })
	err := c.submit(ctx, true, false)
	if err != nil {
		return nil, c.failed(err)
	}
	select {
	case err = <-settled:
	case <-ctx.Done():
		if state, mine := c.take(); mine {
			err = c.failed(c.abandoned(state, ctx.Err()))
		} else {
			err = <-settled
		}
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
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
	return startCall(t, addr, method, args, done, false)
}

// Queue is Start, but the call may wait for the next Flush before it is written, so that
// calls which are started together are written together. Flush must follow.
func Queue[R any](t *Transport, addr, method string, args any, done func(*R, error)) (*Pending, error) {
	return startCall(t, addr, method, args, done, true)
}

func startCall[R any](t *Transport, addr, method string, args any, done func(*R, error), later bool) (*Pending, error) {
	p, reply := new(Pending), new(R)
	err := p.start(t, addr, method, args, reply, func(err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(reply, nil)
	}, later)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Pending is a call that was started. It is safe for concurrent use.
type Pending struct{ call call }

// Queue is the function Queue with the caller's own memory: reply points to a zero value,
// and when done is called without an error it holds the reply. p is new, or Free.
func (p *Pending) Queue(t *Transport, addr, method string, args, reply any, done func(error)) error {
	return p.start(t, addr, method, args, reply, done, true)
}

func (p *Pending) start(t *Transport, addr, method string, args, reply any, done func(error), later bool) error {
	p.call.init(t, addr, method, args, reply, done)
	if err := p.call.submit(context.Background(), false, later); err != nil {
		return p.call.failed(err)
	}
	return nil
}

// Free reports whether the transport holds nothing of the call any more, neither the
// call itself nor its args nor its reply, so that all of it may be used for another. It
// is for those who know that done was called without an error. What is not free then is
// so rarely, and best left alone.
func (p *Pending) Free() bool { return p.call.fate == nil && p.call.written.Load() }

// Abandon gives the call up. It reports whether it came in time: if so, done
// will never be called; if not, done was called or is being called. The request
// may run either way. The connection and its other calls are unaffected.
func (p *Pending) Abandon() bool {
	state, mine := p.call.take()
	if mine {
		p.call.abandoned(state, nil)
	}
	return mine
}

// The states of a call. It only moves forward.
const (
	callQueued  uint32 = iota // not handed to the network
	callHanded                // handed to the network, or to faults: it may run
	callSettled               // its caller has, or is being given, the outcome
)

// call is one RPC of a transport.
type call struct {
	hub                *hub
	addr, lane, method string
	args               any
	reply              any // a pointer, new for this call; nobody but the reading goroutine touches it until the call is settled
	finish             func(error)

	state   atomic.Uint32
	written atomic.Bool // nobody who writes has it in hand any more
	// link and seq say where its reply is awaited; guarded by the link.
	link atomic.Pointer[link]
	seq  uint64
	own  atomic.Pointer[link] // with DialPerCall: the connection that is its own
	// fate is set before the call goes anywhere, if there are faults.
	fate *fate
}

// init makes a call of c, which nobody holds but its maker.
func (c *call) init(t *Transport, addr, method string, args, reply any, finish func(error)) {
	c.hub, c.lane = t.hub, t.lane
	c.addr, c.method, c.args, c.reply, c.finish = addr, method, args, reply, finish
	c.state.Store(callQueued)
	c.written.Store(false)
	c.link.Store(nil)
	c.own.Store(nil)
	c.seq, c.fate = 0, nil
}

var errNilArgs = errors.New("arguments are nil")

// submit sends the call on its way, if need be with the next Flush. If it may wait it waits for room in the queue,
// until ctx ends; else a full queue is an error. After an error the call is over, and
// finish is not called.
func (c *call) submit(ctx context.Context, wait, later bool) error {
	if v := reflect.ValueOf(c.args); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return notSent(errNilArgs)
	}
	if ctx.Err() != nil {
		return notSent(ctx.Err())
	}
	if c.hub.cfg.Faults != nil {
		return c.hub.cfg.Faults.request(c)
	}
	for {
		room, err := c.hub.enqueue(c, false, later)
		if room == nil {
			return err
		}
		if !wait {
			return notSent(ErrQueueFull)
		}
		select {
		case <-room:
		case <-ctx.Done():
			return notSent(ctx.Err())
		case <-c.hub.ctx.Done():
			return notSent(ErrClosed)
		}
	}
}

// take claims the right to say how the call ended, which one can have; state is
// how far it had come.
func (c *call) take() (state uint32, mine bool) {
	state = c.state.Swap(callSettled)
	if state == callSettled {
		return state, false
	}
	if c.fate != nil {
		c.hub.mu.Lock()
		delete(c.hub.loose, c)
		c.hub.mu.Unlock()
	}
	return state, true
}

// settle ends the call, if nobody has before.
func (c *call) settle(err error) {
	h := c.hub
	c.settleQuietly(err)
	h.settled()
}

// settleQuietly is settle for those who call the hub's settled themselves.
func (c *call) settleQuietly(err error) {
	if _, mine := c.take(); mine {
		if err != nil {
			err = c.failed(err)
		}
		c.finish(err) // and c may be another call
	}
}

func (c *call) failed(why error) error { return &CallError{c.addr, c.method, why} }

// abandoned lets the links forget a call that its caller has taken back, and returns
// the error for it.
func (c *call) abandoned(state uint32, why error) error {
	if l := c.link.Load(); l != nil {
		l.forget(c)
	}
	if l := c.own.Load(); l != nil && !c.runs() {
		l.shut(context.Canceled)
	}
	if state == callQueued && why != nil {
		return notSent(why)
	}
	return why
}

// runs reports whether the request goes to the network even if its caller has
// given up, because faults have had it in hand.
func (c *call) runs() bool { return c.fate != nil && c.fate.runs.Load() }

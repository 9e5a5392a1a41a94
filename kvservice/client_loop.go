package kvservice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/numbered"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/clerk"
)

// clientLoop is what belongs to whoever has the turn to step the clerk.
type clientLoop struct {
	client  *KVClient
	clerk   *clerk.Clerk
	lastID  clerk.RequestID
	waiting numbered.Map[clerk.RequestID, operation]
	calls   numbered.Map[clerk.CallID, attempt]
	events  []clientEvent // done with; take fills another
	// together: more than one caller was answered last time. They may be back soon.
	together bool

	// Time passes for the clerk only while it waits for something: whenever anything
	// happens, and when it has something to do by then. Most of what it waits for
	// comes sooner, and so no client wakes for it.
	passed time.Time   // up to here
	timer  *time.Timer // wakes run
	due    time.Time   // when; zero: nothing waits for it
	// patience is after how many ticks a call that is made now has something to do.
	patience int

	// Why nothing gets on, for the error of a request that is given up.
	viewErr error // what the view service said last, if it was no view
	callErr error // what came of the last call to a server, if it was no answer
}

// run waits for time to pass, and for work that nobody else does.
func (l *clientLoop) run() {
	c := l.client
	defer l.timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-l.timer.C:
			c.turn.Lock()
			l.due = time.Time{}
			l.work()
		case <-c.turn.bell:
			c.turn.Lock()
			c.turn.letOthersGoFirst()
			l.work()
		}
		c.turn.pass()
	}
}

// work steps the clerk with the time that has passed and with what has arrived, and
// carries out what it wants.
func (l *clientLoop) work() {
	now := time.Now()
	l.guarded(func() {
		l.pass(now)
		l.drain(now)
	})
	l.wind()
}

// pass counts time.
func (l *clientLoop) pass(now time.Time) {
	if l.waiting.Len() == 0 {
		l.passed = now
	}
	for range ticksUntil(now, &l.passed, clientTick, maxClientTicks) {
		l.clerk.Tick()
	}
}

// wind sees to it that run wakes when time has something to do for the clerk, but not
// that it does not wake in vain.
func (l *clientLoop) wind() {
	if l.waiting.Len() == 0 || !l.due.IsZero() && !l.clerk.Delayed() {
		return
	}
	ticks := l.clerk.Until()
	if ticks == 0 || ticks > l.patience {
		ticks = l.patience
	}
	at := l.passed.Add(time.Duration(ticks) * clientTick)
	if l.due.IsZero() || at.Before(l.due) {
		l.due = at
		l.timer.Reset(time.Until(at))
	}
}

// guarded steps the clerk, and carries out what it wants, unless the client is closed.
// If an invariant breaks, the client is closed.
func (l *clientLoop) guarded(step func()) {
	c := l.client
	if c.ctx.Err() != nil {
		return
	}
	if broken := guard(step, l.carryOut); broken != nil {
		c.opts.logger.Error("closing a client: an invariant is broken", "invariant", broken.Invariant, "detail", broken.Detail)
		c.halt()
		go c.Close() // it waits for this goroutine, so it needs one of its own
	}
}

func (l *clientLoop) drain(now time.Time) {
	l.events = l.client.inbox.take(l.events)
	for i := range l.events {
		e := &l.events[i]
		switch {
		case e.do != nil:
			e.do(l)
		case e.start != nil:
			l.start(e.start, now)
		default:
			l.returned(e.back)
		}
		*e = clientEvent{} // its array is used again, and keeps nothing alive
	}
}

func (l *clientLoop) start(op *operation, now time.Time) {
	l.lastID++
	op.id, op.since = l.lastID, now
	l.waiting.Put(op.id, op)
	l.clerk.Start(op.id, op.request)
}

// carryOut does what the clerk asks for.
func (l *clientLoop) carryOut() {
	for effects := l.clerk.Take(); !effects.Empty(); effects = l.clerk.Take() {
		for i := range effects.Calls {
			l.call(&effects.Calls[i])
		}
		for _, id := range effects.Abandon {
			if a := l.calls.Delete(id); a != nil {
				a.Abandon()
			}
		}
		for _, ask := range effects.Ask {
			l.ask(ask)
		}
		if n := len(effects.Done); n > 0 {
			l.together = n > 1
		}
		for i := range effects.Done {
			d := &effects.Done[i]
			if op := l.waiting.Delete(d.ID); op != nil {
				op.answer(d)
			}
		}
	}
	l.client.transport.Flush()
}

// answerRest answers whoever still waits, when nobody steps the clerk any more.
func (l *clientLoop) answerRest() {
	// Events are left of a step that an invariant broke off.
	for _, e := range append(l.events, l.client.inbox.take(nil)...) {
		if e.start != nil && e.start.id == 0 {
			e.start.answer(&clerk.Done{Err: ErrClosed, Outcome: tandem.DidNotRun})
		}
	}
	for op := range l.waiting.All() {
		op.answer(&clerk.Done{Err: ErrClosed})
	}
	l.waiting = numbered.Map[clerk.RequestID, operation]{}
}

// call makes an RPC, which goes out with the next Flush.
func (l *clientLoop) call(call *clerk.Call) {
	a := attempts.Get().(*attempt)
	a.client, a.call = l.client, *call
	method, args, reply := scanMethod, any(call.Scan), any(&a.scan)
	switch {
	case call.Put != nil:
		method, args, reply = putMethod, call.Put, &a.put
	case call.Get != nil:
		method, args, reply = getMethod, call.Get, &a.get
	}
	if err := a.Queue(l.client.transport, call.Addr, method, args, reply, a.done); err != nil {
		l.callErr = err
		l.clerk.Failed(call.ID, false)
		return
	}
	l.calls.Put(call.ID, a)
}

// returned takes what came of an attempt: its reply, or that it failed, and with that
// whether the request may have left.
func (l *clientLoop) returned(a *attempt) {
	call := &a.call
	l.calls.Delete(call.ID)
	if l.callErr = a.err; a.err != nil {
		l.clerk.Failed(call.ID, !errors.Is(a.err, rpcnet.ErrNotSent))
		return
	}
	method, code := scanMethod, a.scan.Err
	switch {
	case call.Put != nil:
		method, code = putMethod, a.put.Err
		l.clerk.PutReplied(call.ID, &a.put)
	case call.Get != nil:
		method, code = getMethod, a.get.Err
		l.clerk.GetReplied(call.ID, &a.get)
	default:
		l.clerk.ScanReplied(call.ID, &a.scan)
	}
	if refusal(code) {
		l.callErr = fmt.Errorf("%s at %s: %w", method, call.Addr, code)
	}
	if a.Free() {
		l.clerk.Recycle(call)
		a.release()
	}
}

// refusal tells whether a code says that a server does not serve a call for now.
func refusal(code tandem.Err) bool {
	switch code {
	case tandem.ErrWrongServer, tandem.ErrWrongCluster, tandem.ErrBusy, tandem.ErrTooManySessions:
		return true
	}
	return false
}

// trouble says what requests are waiting for.
func (l *clientLoop) trouble() error {
	v := l.clerk.View()
	switch {
	case v.Viewnum == 0 && l.viewErr != nil:
		return l.viewErr
	case v.Viewnum == 0:
		return fmt.Errorf("no view yet from the view service at %s", l.client.monitorAddr)
	case l.callErr != nil:
		return l.callErr
	}
	return fmt.Errorf("no answer yet from %s, the primary of view %d", v.Primary, v.Viewnum)
}

// operation is a request of a caller's who waits.
type operation struct {
	request  clerk.Request
	put      tandem.PutArgs // of the request, or
	get      tandem.GetArgs
	answered chan struct{} // has room for one, and then done is the caller's
	done     clerk.Done
	mine     bool // nobody but the caller holds it

	id    clerk.RequestID // these two are the loop's
	since time.Time
}

var operations = sync.Pool{New: func() any { return &operation{answered: make(chan struct{}, 1)} }}

func newOperation() *operation { return operations.Get().(*operation) }

func (op *operation) answer(d *clerk.Done) {
	op.done = *d
	op.answered <- struct{}{}
}

// release lets it be used again, if nobody else holds it.
func (op *operation) release() {
	if op.mine {
		*op = operation{answered: op.answered}
		operations.Put(op)
	}
}

// attempt is a call that is made for the clerk.
type attempt struct {
	rpcnet.Pending
	client *KVClient
	call   clerk.Call
	done   func(error) // settled

	err  error // or else the reply to what is called
	put  tandem.PutReply
	get  tandem.GetReply
	scan tandem.ScanReply
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.done = a.settled
	return a
}}

// settled brings the loop what came of the attempt. OnSettled follows.
func (a *attempt) settled(err error) {
	a.err = err
	a.client.inbox.add(clientEvent{back: a})
}

// release lets an attempt that is Free be used again.
func (a *attempt) release() {
	a.client, a.call = nil, clerk.Call{}
	a.put, a.get, a.scan = tandem.PutReply{}, tandem.GetReply{}, tandem.ScanReply{}
	attempts.Put(a)
}

// clientEvent is something for the loop to do: a function, an operation to start, or an
// attempt that came to its end.
type clientEvent struct {
	do    func(*clientLoop)
	start *operation
	back  *attempt
}

// anyFor reports whether an operation has been under way for at least so long.
func (l *clientLoop) anyFor(d time.Duration) bool {
	for w := range l.waiting.All() {
		if time.Since(w.since) >= d {
			return true
		}
	}
	return false
}

func (l *clientLoop) ask(ask clerk.AskView) {
	c := l.client
	c.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, viewWait+stallTimeout)
		defer cancel()
		reply, err := c.monitor.Wait(ctx, tandem.ViewArgs{
			Wait: viewWait, Viewnum: ask.Viewnum, Cluster: ask.Cluster, Group: ask.Group,
		})
		c.post(func(l *clientLoop) {
			if l.viewErr = err; err != nil {
				l.clerk.ViewFailed()
				return
			}
			if reply.Err != "" && reply.Err != tandem.OK {
				l.viewErr = fmt.Errorf("the view service at %s: %w", c.monitorAddr, reply.Err)
			}
			l.clerk.ViewReplied(reply)
		})
	})
}

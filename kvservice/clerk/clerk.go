package clerk

import (
	"fmt"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/numbered"
)

// Clerk is a client's state. It is not safe for concurrent use.
//
// A request is in order from Start until it is done. An update waits for a
// session first (it is in waiting), and so
//
//	sessions = free + those of a request in order
//	len(sessions) + opening <= MaxSessions
//
// Maps are looked up and never walked, for their order is not deterministic.
type Clerk struct {
	config Config
	out    Effects
	spare  memory

	view   tandem.View // Viewnum zero: none yet
	ask    asking
	random uint64 // the generator's state; zero: none

	first, last *request                         // in order, rising by their places
	places      uint64                           // given out so far
	requests    numbered.Map[RequestID, request] // the callers', by their names
	calls       numbered.Map[CallID, request]    // those whose call is under way
	lastCall    CallID                           // given out so far

	sessions map[uint64]*session
	free     []*session // in no use; the last was used last
	waiting  []*request // updates without a session, the first to be served first
	opening  int        // requests of kind open

	delayed bool // see Delayed; it is for whoever counts time, and changes nothing here
	closed  bool
}

// session is one line of requests (rule S1).
type session struct {
	id     uint64
	number uint64   // the last used up
	owner  *request // that it serves; nil: none
	sent   content
}

// content is what a number stands for.
type content struct {
	op                   tandem.Op
	doHash               bool
	key, value, expected string
}

func contentOf(args *tandem.PutArgs) content {
	return content{args.Op, args.DoHash, args.Key, args.Value, args.Expected}
}

// New returns a clerk that knows no view yet.
func New(c Config) *Clerk {
	return &Clerk{
		config:   c.withDefaults(),
		random:   c.Seed,
		sessions: make(map[uint64]*session),
	}
}

// View returns the view that is held, the zero View if none is.
func (c *Clerk) View() tandem.View { return c.view }

// Stats are what a clerk holds.
type Stats struct {
	Requests int // not done yet
	Waiting  int // of these, updates that wait for a session
	Calls    int // under way
	Sessions int
	Opening  int // sessions being opened
}

// Stats returns what the clerk holds.
func (c *Clerk) Stats() Stats {
	return Stats{
		Requests: c.requests.Len(),
		Waiting:  len(c.waiting),
		Calls:    c.calls.Len(),
		Sessions: len(c.sessions),
		Opening:  c.opening,
	}
}

// Awaits reports whether a reply to this call can still change anything.
func (c *Clerk) Awaits(id CallID) bool {
	return c.calls.Get(id) != nil
}

// Start takes a request in. Its Done comes later, or in the next Take. A request
// that is none (no arguments or two, an OpOpenSession) is done at once, with
// tandem.ErrBadRequest. Start panics if the id is that of a request under way.
func (c *Clerk) Start(id RequestID, req Request) {
	if c.requests.Get(id) != nil {
		c.broken("RequestID", "request %d started twice", id)
	}
	kind := kindOf(&req)
	switch {
	case c.closed:
		c.out.Done = append(c.out.Done, Done{ID: id, Err: ErrClosed, Outcome: tandem.DidNotRun})
		return
	case kind == none:
		err := fmt.Errorf("request %d is not one of Put, Get and Scan: %w", id, tandem.ErrBadRequest)
		c.out.Done = append(c.out.Done, Done{ID: id, Err: err, Outcome: tandem.DidNotRun})
		return
	}
	r := c.add(kind)
	r.id, r.req = id, req
	c.requests.Put(id, r)
	if kind == update {
		c.waiting = append(c.waiting, r)
		c.serve()
		return
	}
	c.dispatch(r)
}

// Cancel gives a request up. It is done with ErrCanceled, and DidNotRun if it
// was never sent. A request that is done already is left alone.
func (c *Clerk) Cancel(id RequestID) {
	if r := c.requests.Get(id); r != nil {
		c.giveUp(r, ErrCanceled)
	}
}

// Close gives all requests up with ErrClosed, and those yet to come. Nothing is
// sent any more.
func (c *Clerk) Close() {
	if c.closed {
		return
	}
	c.closed = true
	c.waiting, c.ask.wanted, c.ask.wait = nil, false, 0
	for r := range c.inOrder() {
		c.giveUp(r, ErrClosed)
	}
}

// Tick counts time.
func (c *Clerk) Tick() {
	if c.closed {
		return
	}
	if c.ask.wait > 0 {
		c.ask.wait--
		c.askView()
	}
	for r := range c.inOrder() {
		switch {
		case r.call != 0:
			c.tickCall(r)
		case r.wait > 0:
			r.wait--
			c.dispatch(r)
		}
	}
}

// Until returns after how many ticks there is something to do, if nothing else happens
// before; 0 if time alone brings nothing. A call that is made later has something to do
// DoubtTicks or AttemptTicks later, and Delayed tells whether there is anything else.
func (c *Clerk) Until() int {
	c.delayed = false
	if c.closed {
		return 0
	}
	next := sooner(0, c.ask.wait)
	for r := range c.inOrder() {
		switch {
		case r.call != 0:
			next = sooner(sooner(next, r.left), r.doubt)
		default:
			next = sooner(next, r.wait)
		}
	}
	return next
}

// sooner returns the lesser of two numbers of ticks, of which 0 is none.
func sooner(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Delayed reports whether something was put off since Until was called last, and so
// may be due before what it returned.
func (c *Clerk) Delayed() bool { return c.delayed }

// tickCall counts time for a request whose call is under way.
func (c *Clerk) tickCall(r *request) {
	if r.left > 0 {
		if r.left--; r.left == 0 {
			c.observe("C2", "call %d to %s abandoned after %d ticks", r.call, r.server.Addr, c.config.AttemptTicks)
			c.abandon(r)
			c.failed(r)
			return
		}
	}
	if r.doubt > 0 {
		if r.doubt--; r.doubt == 0 {
			r.doubt = c.config.DoubtTicks // the answer to this question may come before there is news
			c.want("an attempt takes long")
		}
	}
}

// observe tells the observer, if there is one.
func (c *Clerk) observe(rule, format string, args ...any) {
	if c.config.Observe == nil {
		return
	}
	c.config.Observe(tandem.Observation{
		Rule:   rule,
		View:   c.view.Viewnum,
		Detail: fmt.Sprintf(format, args...),
	})
}

// broken stops a clerk whose own assertion fails.
func (c *Clerk) broken(invariant, format string, args ...any) {
	panic(&tandem.InvariantError{Invariant: invariant, Detail: fmt.Sprintf(format, args...)})
}

package clerk

import (
	"iter"
	"slices"

	"github.com/tandemkv/tandem"
)

// kind is the kind of a request.
type kind uint8

const (
	none   kind = iota // not a request
	update             // a Put: needs a session
	get
	scan
	open // the clerk's own: opens a session
)

// kindOf returns the kind of a caller's request, none if it is not one.
func kindOf(req *Request) kind {
	k, given := none, 0
	if req.Put != nil {
		given++
		if req.Put.Op != tandem.OpOpenSession {
			k = update
		}
	}
	if req.Get != nil {
		given++
		k = get
	}
	if req.Scan != nil {
		given++
		k = scan
	}
	if given != 1 {
		return none
	}
	return k
}

// request is one that is not done. It is in one of four states: waiting for a
// session (an update whose session is nil), under way (call is not zero),
// backing off (wait is not zero), or ready and held up by the lack of a primary.
type request struct {
	place      uint64
	prev, next *request // in order; they stay when it is gone
	gone       bool     // it is done
	kind       kind
	id         RequestID // not of open
	req        Request   // not of open

	session *session // rule S1; nil: none yet
	number  uint64   // of the session; zero: none yet

	// sent counts the attempts under this session and number that may have
	// left, the present one included (rule S5).
	sent int

	call    CallID        // zero: none is under way
	server  tandem.Server // whom the last attempt was for
	viewnum uint          // and in which view
	left    int           // ticks until the attempt is given up; zero: never
	doubt   int           // ticks until news is wanted because of it; zero: never

	wait     int // ticks until the next attempt
	failures int // in a row, for the backoff
	expired  int // sessions that expired under it
}

// add makes a request, the last in order.
func (c *Clerk) add(k kind) *request {
	c.places++
	r := spared(&c.spare.requests)
	r.place, r.kind = c.places, k
	c.append(r)
	return r
}

// append enters a request in order, the last.
func (c *Clerk) append(r *request) {
	if r.prev = c.last; r.prev == nil {
		c.first = r
	} else {
		r.prev.next = r
	}
	c.last = r
}

// inOrder walks over the requests. What is added meanwhile is left out: it has no time
// behind it.
func (c *Clerk) inOrder() iter.Seq[*request] {
	return func(yield func(*request) bool) {
		last := c.places
		for r := c.first; r != nil && r.place <= last; r = r.next {
			if !r.gone && !yield(r) {
				return
			}
		}
	}
}

// remove forgets a request that is done.
func (c *Clerk) remove(r *request) {
	if r.kind == open {
		c.opening--
	} else {
		c.requests.Delete(r.id)
	}
	if r.prev == nil {
		c.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		c.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.gone = true
	c.spare.gone = append(c.spare.gone, r)
}

// dispatch makes an attempt at a request, unless something is in the way.
func (c *Clerk) dispatch(r *request) {
	switch {
	case r.call != 0, r.wait > 0, r.kind == update && r.session == nil:
		return
	case r.kind == open && c.opening > len(c.waiting):
		c.remove(r) // nobody waits for this session any more
		return
	case c.view.Primary == "":
		c.want("no primary is known") // rule C1
		return
	case r.pinned() && r.req.Origin != (Origin{c.view.Primary, c.view.Cluster}):
		// The snapshot that the scan reads from was the old primary's.
		c.finish(r, Done{Err: tandem.ErrScanLost, Outcome: c.outcome(r, 0)})
		return
	}
	c.send(r)
}

// pinned reports whether only one server can answer.
func (r *request) pinned() bool { return r.kind == scan && r.req.Scan.Scan != 0 }

// send makes an attempt: the next with the same session and number, if it is
// not the first (rule S1).
func (c *Clerk) send(r *request) {
	c.lastCall++
	r.call = c.lastCall
	r.server, r.viewnum = c.view.PrimaryServer(), c.view.Viewnum
	r.left, r.doubt = c.config.AttemptTicks, c.config.DoubtTicks
	r.sent++
	c.calls.Put(r.call, r)

	call := Call{ID: r.call, Addr: r.server.Addr}
	target := tandem.Target{Cluster: c.view.Cluster, Group: c.config.Group, Viewnum: c.view.Viewnum}
	switch r.kind {
	case update:
		c.checkNumber(r)
		call.Put = spared(&c.spare.puts)
		*call.Put = *r.req.Put
		call.Put.Session, call.Put.Number, call.Put.Target = r.session.id, r.number, target
	case open:
		call.Put = &tandem.PutArgs{Op: tandem.OpOpenSession, Target: target}
	case get:
		call.Get = spared(&c.spare.gets)
		*call.Get = *r.req.Get
		call.Get.Target = target
	case scan:
		args := *r.req.Scan
		args.Target = target
		call.Scan = &args
	}
	c.out.Calls = append(c.out.Calls, call)
}

// checkNumber uses a number up when it is first sent, and asserts what S1 and
// C3 promise: that a session serves one request, and that a number stands for
// one content.
func (c *Clerk) checkNumber(r *request) {
	s := r.session
	sent := contentOf(r.req.Put)
	switch {
	case s.owner != r:
		c.broken("C3", "request %d is sent by session %d, which does not serve it", r.id, s.id)
	case r.number == s.number+1 && r.sent == 1:
		s.number, s.sent = r.number, sent
	case r.number != s.number || sent != s.sent:
		c.broken("S1", "session %d is at number %d, sent %d again", s.id, s.number, r.number)
	}
}

// abandon forgets a request's call. It counts as sent.
func (c *Clerk) abandon(r *request) {
	c.out.Abandon = append(c.out.Abandon, r.call)
	c.ended(r)
}

// ended notes that a request's call is over.
func (c *Clerk) ended(r *request) {
	c.calls.Delete(r.call)
	r.call, r.left, r.doubt = 0, 0, 0
}

// backOff holds a request up (rule C2): never for less than a tick, so that
// however often it fails it does not spin.
func (c *Clerk) backOff(r *request) {
	r.wait, c.delayed = c.backoff(r.failures), true
	r.failures++
}

// backoff returns how many ticks to wait after one more failure than these.
func (c *Clerk) backoff(failures int) int {
	ticks := c.config.BackoffTicksMax
	if failures < 31 && c.config.BackoffTicksMin <= ticks>>failures {
		ticks = c.config.BackoffTicksMin << failures
	}
	if c.random == 0 {
		return ticks
	}
	return ticks - int(c.draw()%uint64(ticks/2+1))
}

// draw returns a number of the generator SplitMix64 (Steele, Lea, Flood 2014).
// It passes over the state zero, which stands for no generator.
func (c *Clerk) draw() uint64 {
	c.random += 0x9e3779b97f4a7c15
	if c.random == 0 {
		c.random += 0x9e3779b97f4a7c15
	}
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// failed deals with an attempt that came to nothing: the view service is asked
// for news (rule C1), and meanwhile the server that is known is tried again
// after a while (rule C2), since it may only have been a lost packet. If there
// was news since the attempt was made, it is tried again at once.
func (c *Clerk) failed(r *request) {
	if r.viewnum < c.view.Viewnum {
		c.observe("C2", "request %d goes out again in view %d", r.id, c.view.Viewnum)
		r.failures = 0
		c.dispatch(r)
		return
	}
	c.backOff(r)
	c.want("an attempt failed")
}

// outcome returns what can be said of a request that did not succeed (rule S5),
// where so many of the attempts are known to have been refused for good.
func (c *Clerk) outcome(r *request, refused int) tandem.Outcome {
	if r.sent > refused {
		return tandem.OutcomeUnknown
	}
	return tandem.DidNotRun
}

// giveUp ends a request at the caller's wish.
func (c *Clerk) giveUp(r *request, err error) {
	if r.call != 0 {
		c.abandon(r)
	}
	c.finish(r, Done{Err: err, Outcome: c.outcome(r, 0)})
}

// finish tells the caller, and frees the session: the request was never sent,
// or its number is used up and the next request takes the next (rule S1).
func (c *Clerk) finish(r *request, d Done) {
	if r.call != 0 {
		c.abandon(r)
	}
	c.remove(r)
	if r.kind == open {
		return // nobody asked for it by name
	}
	if r.kind == update && r.session == nil {
		if i := slices.Index(c.waiting, r); i >= 0 {
			c.waiting = slices.Delete(c.waiting, i, i+1)
		}
	}
	if r.kind == update && d.Outcome == tandem.OutcomeUnknown {
		c.observe("S5", "request %d is done with its outcome unknown: %v", r.id, d.Err)
	}
	d.ID = r.id
	c.out.Done = append(c.out.Done, d)
	c.release(r)
}

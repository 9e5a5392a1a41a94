package clerk

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

// answered returns the request that a reply belongs to, nil if nobody awaits it
// any more: a late reply to an attempt that was abandoned says nothing that the
// later attempts will not (rule S1).
func (c *Clerk) answered(id CallID, wanted ...kind) *request {
	r := c.calls.Get(id)
	if r == nil {
		return nil
	}
	for _, k := range wanted {
		if r.kind == k {
			c.ended(r)
			return r
		}
	}
	c.broken("CallKind", "call %d of kind %d got a reply of another", id, r.kind)
	return nil
}

// PutReplied takes the reply of a Call.Put. It may keep the reply's strings.
func (c *Clerk) PutReplied(id CallID, reply *tandem.PutReply) {
	r := c.answered(id, update, open)
	switch {
	case r == nil:
	case r.kind == open:
		c.openReplied(r, reply)
	default:
		c.updateReplied(r, reply)
	}
}

func (c *Clerk) openReplied(r *request, reply *tandem.PutReply) {
	if !ok(reply.Err) || reply.Session == 0 {
		c.refused(r, reply.Err)
		return
	}
	c.served()
	c.remove(r)
	c.opened(reply.Session)
}

func (c *Clerk) updateReplied(r *request, reply *tandem.PutReply) {
	switch reply.Err {
	case tandem.OK, "", tandem.ErrNoKey:
		c.served()
		c.finish(r, Done{Err: failure(reply.Err), Outcome: tandem.DidRun, Put: *reply})
	case tandem.ErrSessionExpired:
		c.served()
		c.sessionExpired(r)
	case tandem.ErrStaleRequest:
		// Somebody else uses this session, or the server lost track. Either way
		// it is not ours.
		c.served()
		c.drop(r)
		c.finish(r, Done{Err: lost(reply.Err), Outcome: tandem.OutcomeUnknown})
		c.serve()
	default:
		if c.refused(r, reply.Err) {
			return
		}
		c.finish(r, Done{Err: reply.Err, Outcome: c.failedOutcome(r, reply), Put: *reply})
	}
}

// failedOutcome returns what a reply with an error says of the request.
func (c *Clerk) failedOutcome(r *request, reply *tandem.PutReply) tandem.Outcome {
	switch {
	case reply.Err == tandem.ErrTooLarge, reply.Err == tandem.ErrBadRequest, reply.Outcome == tandem.DidNotRun:
		// This attempt was refused for good. An earlier one may have run all
		// the same: on another server, with other limits.
		return c.outcome(r, 1)
	}
	return reply.Outcome // an error that we do not know
}

// sessionExpired deals with a request that was refused, since its session is
// unknown (rule S3). See the package's comment.
func (c *Clerk) sessionExpired(r *request) {
	c.drop(r)
	if r.sent > 1 {
		c.finish(r, Done{Err: lost(tandem.ErrSessionExpired), Outcome: tandem.OutcomeUnknown})
		c.serve()
		return
	}
	c.observe("S5", "request %d is sent under a new name: its session expired before it was first sent", r.id)
	c.requeue(r)
	if r.expired > 0 {
		// Sessions that expire as fast as they are opened: there are too many.
		c.backOff(r)
	}
	r.expired++
	c.serve()
}

// GetReplied takes the reply of a Call.Get. It may keep the reply's strings.
func (c *Clerk) GetReplied(id CallID, reply *tandem.GetReply) {
	r := c.answered(id, get)
	if r == nil || c.refused(r, reply.Err) {
		return
	}
	c.served()
	c.finish(r, Done{Err: failure(reply.Err), Outcome: readOutcome(reply.Err), Get: *reply})
}

// ScanReplied takes the reply of a Call.Scan. It may keep the reply's pairs.
func (c *Clerk) ScanReplied(id CallID, reply *tandem.ScanReply) {
	r := c.answered(id, scan)
	if r == nil || c.refused(r, reply.Err) {
		return
	}
	c.served()
	c.finish(r, Done{Err: failure(reply.Err), Outcome: readOutcome(reply.Err), Scan: *reply, Origin: Origin{r.server.Addr, c.view.Cluster}})
}

// refused deals with the replies that mean "not now" or "not here" to any
// request, and returns whether it did.
func (c *Clerk) refused(r *request, code tandem.Err) bool {
	switch code {
	case tandem.ErrWrongServer:
		c.failed(r)
	case tandem.ErrWrongCluster:
		c.doubtCluster(r.server.Addr)
		c.failed(r)
	case tandem.ErrBusy, tandem.ErrTooManySessions:
		// The right server, at the wrong time: no news to ask for (rule C1).
		c.backOff(r)
	default:
		if r.kind != open {
			return false
		}
		// Nobody can be told, and somebody waits: try again.
		c.backOff(r)
	}
	return true
}

// Failed takes the failure of a call: no reply came, and none will. sent says
// whether the request may have left; false is a promise that it did not.
func (c *Clerk) Failed(id CallID, sent bool) {
	r := c.calls.Get(id)
	if r == nil {
		return
	}
	c.ended(r)
	if !sent {
		r.sent--
	}
	c.failed(r)
}

// readOutcome returns the outcome of a read that was answered.
func readOutcome(code tandem.Err) tandem.Outcome {
	if ok(code) || code == tandem.ErrNoKey {
		return tandem.DidRun
	}
	return tandem.DidNotRun
}

func ok(code tandem.Err) bool { return code == tandem.OK || code == "" }

// failure returns a code as an error, nil if it says that all is well.
func failure(code tandem.Err) error {
	if ok(code) {
		return nil
	}
	return code
}

func lost(code tandem.Err) error { return fmt.Errorf("%w: %w", ErrSessionLost, code) }

package clerk

import "github.com/tandemkv/tandem"

// asking is where the clerk stands with the view service.
type asking struct {
	wanted   bool // something happened that only news can explain (rule C1)
	underway bool // one at a time
	wait     int  // ticks until it may be asked again (rule C2)
	failures int  // answers in a row that held no news
	doubt    bool // somebody said that the cluster is another than the one held
}

// want asks for news of the view (rule C1): there is no view, or an error, or
// a server that says that it is the wrong one.
func (c *Clerk) want(why string) {
	if !c.ask.wanted {
		c.observe("C1", "news of a view above %d is wanted: %s", c.view.Viewnum, why)
	}
	c.ask.wanted = true
	c.askView()
}

// askView asks, if that is wanted and nothing is in the way. News that nobody
// waits for any more is not wanted (rule C1).
func (c *Clerk) askView() {
	if c.first == nil {
		c.ask.wanted = false
	}
	if !c.ask.wanted || c.ask.underway || c.ask.wait > 0 {
		return
	}
	c.ask.underway = true
	a := AskView{Viewnum: c.view.Viewnum, Cluster: c.view.Cluster, Group: c.config.Group}
	if c.ask.doubt {
		// Numbers of another cluster do not compare with ours.
		a.Viewnum, a.Cluster = 0, 0
	}
	c.out.Ask = append(c.out.Ask, a)
}

// served notes that the server in the held view is the primary, so that no news
// is needed (rule C1): what went wrong was a packet.
func (c *Clerk) served() {
	if !c.ask.doubt {
		c.ask.wanted, c.ask.wait, c.ask.failures = false, 0, 0
	}
}

// doubtCluster notes that a server at the primary's address claims to be of
// another cluster. The view service will know.
func (c *Clerk) doubtCluster(addr string) {
	if !c.ask.doubt {
		c.observe("V0", "%s is of another cluster than %x", addr, c.view.Cluster)
	}
	c.ask.doubt = true
}

// ViewReplied takes the answer to an AskView. Only a higher number of the same
// cluster replaces the view that is held. A view of another cluster never does
// (rule V0); once a server or the view service has said that ours is the wrong
// one, it ends what is under way.
func (c *Clerk) ViewReplied(reply *tandem.ViewReply) {
	c.ask.underway = false
	v := reply.View
	switch {
	case c.closed:
	case reply.Err == tandem.ErrWrongCluster && !c.ask.doubt:
		c.doubtCluster("the view service")
		c.want("the cluster is in doubt")
	case !ok(reply.Err), v.Viewnum == 0:
		c.noNews()
	case c.view.Viewnum == 0:
		c.adopt(v)
	case v.Cluster == c.view.Cluster:
		c.ask.doubt = false
		if v.Viewnum > c.view.Viewnum {
			c.adopt(v)
		} else {
			c.noNews()
		}
	case c.ask.doubt:
		c.refuseCluster(v)
	default:
		c.noNews()
	}
}

// ViewFailed takes the failure of an AskView: no answer came, and none will.
func (c *Clerk) ViewFailed() {
	c.ask.underway = false
	if !c.closed {
		c.noNews()
	}
}

// noNews waits for a while before it asks again, if it still wants to: a view
// service that is gone, or one that does not wait before it answers, would
// otherwise be asked without pause (rule C2).
func (c *Clerk) noNews() {
	if !c.ask.wanted || c.first == nil {
		c.ask.wanted, c.ask.failures = false, 0
		return
	}
	c.ask.wait, c.delayed = c.backoff(c.ask.failures), true
	c.ask.failures++
}

// adopt takes a view over, and tries again at once whatever waits for one
// (rule C2). A call to a server that is primary no more is abandoned: it may be
// stuck there, and at best it would come back with ErrWrongServer.
func (c *Clerk) adopt(v tandem.View) {
	c.view = v
	c.ask = asking{}
	c.observe("C2", "view %d, primary %s: what waits goes out at once", v.Viewnum, v.Primary)
	for r := range c.inOrder() {
		if r.call != 0 && r.server != v.PrimaryServer() {
			c.abandon(r)
		}
		r.wait, r.failures = 0, 0
		c.dispatch(r)
	}
}

// refuseCluster ends every request, because another cluster has taken the place of
// the one this client belongs to (rule V0). To go over to it would be to answer
// reads as if what was acknowledged had never been; whoever wants that makes a
// new client, and so says it. What comes later is tried again with the cluster
// that is known, which may be back.
func (c *Clerk) refuseCluster(v tandem.View) {
	c.observe("V0", "this client belongs to cluster %x and refuses %x, which has taken its place", c.view.Cluster, v.Cluster)
	c.ask = asking{}
	c.waiting = nil // what becomes free is not to be given to those that end as well
	for r := range c.inOrder() {
		switch {
		case r.kind == update && c.outcome(r, 0) == tandem.OutcomeUnknown:
			c.finish(r, Done{Err: lost(tandem.ErrWrongCluster), Outcome: tandem.OutcomeUnknown})
		default:
			c.finish(r, Done{Err: tandem.ErrWrongCluster, Outcome: tandem.DidNotRun})
		}
	}
}

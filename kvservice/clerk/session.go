package clerk

import "slices"

// serve gives free sessions to the updates that wait, first come first served,
// and opens as many more as are needed and allowed (rule C3).
func (c *Clerk) serve() {
	for len(c.waiting) > 0 && len(c.free) > 0 {
		last := len(c.free) - 1
		id := c.free[last]
		c.free = c.free[:last]
		r := c.requests[c.waiting[0]]
		c.waiting = slices.Delete(c.waiting, 0, 1)

		s := c.sessions[id]
		if s.owner != 0 {
			c.broken("C3", "session %d of request %d given to %d", id, s.owner, r.place)
		}
		s.owner = r.place
		c.sessions[id] = s
		r.session, r.number, r.sent = id, s.number+1, 0
		c.dispatch(r)
	}
	for !c.closed && c.opening < len(c.waiting) && len(c.sessions)+c.opening < c.config.MaxSessions {
		c.observe("C3", "opening a session: %d held, %d updates wait", len(c.sessions), len(c.waiting))
		c.opening++
		c.dispatch(c.add(open))
	}
}

// opened takes in a session that was opened for whoever waits longest.
func (c *Clerk) opened(id uint64) {
	if _, ok := c.sessions[id]; ok {
		c.broken("S4", "session %d opened twice", id)
	}
	c.sessions[id] = session{}
	c.free = append(c.free, id)
	c.serve()
}

// release frees the session of a request that is done.
func (c *Clerk) release(r *request) {
	id := r.session
	if id == 0 {
		return
	}
	r.session, r.number = 0, 0
	s := c.sessions[id]
	s.owner, s.sent = 0, content{}
	c.sessions[id] = s
	c.free = append(c.free, id)
	if !c.closed {
		c.serve()
	}
}

// drop forgets the session of a request: the servers do not know it any more,
// or somebody else uses it.
func (c *Clerk) drop(r *request) {
	delete(c.sessions, r.session)
	r.session, r.number = 0, 0
}

// requeue makes a request wait for a session again, before all that came later.
// It must be certain that it has not run and will not run under its old name.
func (c *Clerk) requeue(r *request) {
	r.sent, r.failures = 0, 0
	i, _ := slices.BinarySearch(c.waiting, r.place)
	c.waiting = slices.Insert(c.waiting, i, r.place)
}

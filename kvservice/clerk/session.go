package clerk

import (
	"cmp"
	"slices"
)

// serve gives free sessions to the updates that wait, first come first served,
// and opens as many more as are needed and allowed (rule C3).
func (c *Clerk) serve() {
	for len(c.waiting) > 0 && len(c.free) > 0 {
		last := len(c.free) - 1
		s := c.free[last]
		c.free = c.free[:last]
		r := c.nextWaiting()
		if s.owner != nil {
			c.broken("C3", "session %d of request %d given to %d", s.id, s.owner.id, r.id)
		}
		s.owner = r
		r.session, r.number, r.sent = s, s.number+1, 0
		c.dispatch(r)
	}
	for !c.closed && c.opening < len(c.waiting) && len(c.sessions)+c.opening < c.config.MaxSessions {
		c.observe("C3", "opening a session: %d held, %d updates wait", len(c.sessions), len(c.waiting))
		c.opening++
		c.dispatch(c.add(open))
	}
}

func (c *Clerk) nextWaiting() *request {
	r := c.waiting[0]
	if len(c.waiting) == 1 {
		c.waiting = emptied(c.waiting)
	} else {
		c.waiting = c.waiting[1:]
	}
	return r
}

// opened takes in a session that was opened for whoever waits longest.
func (c *Clerk) opened(id uint64) {
	if _, ok := c.sessions[id]; ok {
		c.broken("S4", "session %d opened twice", id)
	}
	s := &session{id: id}
	c.sessions[id] = s
	c.free = append(c.free, s)
	c.serve()
}

// release frees the session of a request that is done.
func (c *Clerk) release(r *request) {
	s := r.session
	if s == nil {
		return
	}
	r.session, r.number = nil, 0
	s.owner, s.sent = nil, content{}
	c.free = append(c.free, s)
	if !c.closed {
		c.serve()
	}
}

// drop forgets the session of a request: the servers do not know it any more,
// or somebody else uses it.
func (c *Clerk) drop(r *request) {
	delete(c.sessions, r.session.id)
	r.session, r.number = nil, 0
}

// requeue makes a request wait for a session again, before all that came later.
// It must be certain that it has not run and will not run under its old name.
func (c *Clerk) requeue(r *request) {
	r.sent, r.failures = 0, 0
	i, _ := slices.BinarySearchFunc(c.waiting, r, inPlace)
	c.waiting = slices.Insert(c.waiting, i, r)
}

func inPlace(r, s *request) int { return cmp.Compare(r.place, s.place) }

package search

import (
	"slices"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// Invariant is something that must hold in every state.
type Invariant struct {
	Name  string
	Holds func(*State) bool
}

// check looks at a state from all sides at once, as a single server cannot.
func (s *State) check() *violation {
	for i := range s.x.cfg.Servers {
		if v := s.checkServer(s.servers[i]); v != nil {
			return v
		}
	}
	if v := s.checkInSync(); v != nil {
		return v
	}
	if v := s.checkCommitters(); v != nil {
		return v
	}
	for _, i := range s.x.cfg.Invariants {
		if !i.Holds(s) {
			return broken(i.Name, "it does not hold in this state")
		}
	}
	return nil
}

// checkServer is I1, I5, I6 and I12 of one server, and I7 and I8 of a primary.
func (s *State) checkServer(n *server) *violation {
	st, f := &n.status, s.oracle.fold
	switch {
	case st.View.Viewnum > s.service.view.Viewnum:
		return broken("I1", "%s is in view %d, and the view service announced %d", name(n.self), st.View.Viewnum, s.service.view.Viewnum)
	case st.Applied > st.Commit || st.Commit > st.Last:
		return broken("I6", "%s has applied %d, committed %d, last %d", name(n.self), st.Applied, st.Commit, st.Last)
	case n.machine != f.at(int(st.Applied)).hash:
		return broken("I12", "the state of %s is not the fold of the log up to %d", name(n.self), st.Applied)
	}
	for i := n.base + 1; i <= st.Commit; i++ {
		if n.has(i) != f.at(int(i)).entry {
			return broken("I5", "%s has committed an entry %d that is not the global log's", name(n.self), i)
		}
	}
	if st.View.PrimaryServer() != n.self || n.ping.Viewnum != st.View.Viewnum || st.View.Backup == "" {
		return nil
	}
	// It has acknowledged a view with a backup.
	b := s.find(st.View.BackupServer())
	if b == nil || b.status.View != st.View {
		return nil // died or went on: this view will never do harm
	}
	switch {
	case b.status.Durable < st.Commit:
		return broken("I8", "%s acknowledges view %d, whose backup has %d of %d committed", name(n.self), st.View.Viewnum, b.status.Durable, st.Commit)
	case st.Authority == replica.Joint && (b.status.Commit > st.Commit || st.Commit > b.status.Last):
		return broken("I7", "primary %s has committed %d; its backup %s has committed %d and has %d", name(n.self), st.Commit, name(b.self), b.status.Commit, b.status.Last)
	}
	return nil
}

// checkInSync is I3.
func (s *State) checkInSync() *violation {
	f := s.oracle.fold
	for _, m := range s.service.inSync {
		n := s.find(m)
		if n == nil {
			continue
		}
		if n.status.Durable < uint64(f.index) {
			return broken("I3", "%s is in sync as of view %d and has %d of %d committed", name(m), s.service.active, n.status.Durable, f.index)
		}
		for i := n.status.Commit + 1; i <= uint64(f.index); i++ {
			if e := n.has(i); e != f.at(int(i)).entry {
				return broken("I3", "%s is in sync as of view %d and holds entry %d of epoch %d; committed is that of epoch %d", name(m), s.service.active, i, e.Epoch, f.at(int(i)).entry.Epoch)
			}
		}
	}
	return nil
}

// checkCommitters is I4.
func (s *State) checkCommitters() *violation {
	var first *server
	for i := range s.x.cfg.Servers {
		n := s.servers[i]
		if !s.mayCommit(n) {
			continue
		}
		if first != nil {
			return broken("I4", "both %s (%s in view %d) and %s (%s in view %d) may commit", name(first.self), first.status.Authority, first.status.View.Viewnum,
				name(n.self), n.status.Authority, n.status.View.Viewnum)
		}
		first = n
	}
	return nil
}

// mayCommit: solo, or joint with the backup still in that epoch.
func (s *State) mayCommit(n *server) bool {
	switch n.status.Authority {
	case replica.Solo:
		return true
	case replica.Joint:
		b := s.find(n.status.View.BackupServer())
		return b != nil && b.status.View == n.status.View
	}
	return false
}

// serves tells whether somebody serves: the view is active, and its primary has
// authority and knows, and nothing waits at it.
func (s *State) serves() bool {
	v := s.service.view
	p := s.find(v.PrimaryServer())
	return p != nil && s.service.active == v.Viewnum && p.status.View == v &&
		(p.status.Authority == replica.Solo || (p.status.Authority == replica.Joint && p.status.BackupInSync)) &&
		p.status.Applied == p.status.Last && p.status.Waiting == 0
}

// hopeful tells whether a member of the in-sync set still lives, so that service
// must come back (P1).
func (s *State) hopeful() bool {
	return slices.ContainsFunc(s.service.inSync, s.alive)
}

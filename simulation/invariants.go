package simulation

import (
	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// check looks at the invariants that an event at a node may have broken. Those
// that concern several servers are looked at from all sides.
func (w *World) check(node int) {
	if node >= w.firstClient() {
		return
	}
	if node != monitorNode {
		if s := w.server(node); s.up() && !s.isForeign() {
			w.checkServer(s)
		}
	}
	w.checkInSync()
	w.checkCommitters()
	w.checkLeases()
}

// checkLeases is I13: as long as a server may believe, by its own clock at this
// very moment, that its lease holds, nobody else is active in a higher view.
func (w *World) checkLeases() {
	if w.opt.Replica.Lease == 0 {
		return
	}
	o := &w.oracle
	for _, s := range w.servers {
		until := s.status.LeaseUntil
		if until == 0 || !s.up() || s.isForeign() || o.active <= s.status.View.Viewnum || o.leader == s.self {
			continue
		}
		if now := s.elapsed(); now < until {
			w.fail("I13", "%s in view %d has a lease for another %s by its clock, and %s is active in view %d",
				serverText(s.self), s.status.View.Viewnum, until-now, serverText(o.leader), o.active)
		}
	}
}

// checkServer is I1 and I6, of one server.
func (w *World) checkServer(s *server) {
	st := &s.status
	if st.View.Viewnum < s.seen {
		w.fail("I1", "%s goes from view %d to view %d", serverText(s.self), s.seen, st.View.Viewnum)
	}
	s.seen = st.View.Viewnum
	if told, _ := w.monitor.core.View(); st.View.Viewnum > told.Viewnum && w.amnesia == 0 {
		w.fail("I1", "%s is in view %d, and the view service announced %d", serverText(s.self), st.View.Viewnum, told.Viewnum)
	}
	if st.Applied > st.Commit || st.Commit > st.Last {
		w.fail("I6", "%s has applied %d, committed %d, last %d", serverText(s.self), st.Applied, st.Commit, st.Last)
	}
	if st.Authority == replica.Joint && st.BackupInSync {
		w.checkPrefix(s)
	}
}

// checkPrefix is I7: of a primary that has acknowledged a view with a backup.
func (w *World) checkPrefix(p *server) {
	b := w.find(p.status.View.BackupServer())
	if b == nil || b.status.View.Viewnum != p.status.View.Viewnum {
		return
	}
	if b.status.Commit > p.status.Commit || p.status.Commit > b.has() {
		w.fail("I7", "primary %s has committed %d; its backup %s has committed %d and has %d", serverText(p.self), p.status.Commit, serverText(b.self), b.status.Commit, b.has())
	}
}

// checkInSync is I3. What a server holds is looked at entry by entry when its
// turn to commit them comes (I5), so here it is the count that matters, and that
// what lies beyond its commit index is the global log's.
func (w *World) checkInSync() {
	w.checkMembers(w.oracle.active, w.oracle.inSync)
	if w.oracle.sure.active != w.oracle.active {
		w.checkMembers(w.oracle.sure.active, w.oracle.sure.inSync)
	}
}

func (w *World) checkMembers(active uint, members []tandem.Server) {
	o := &w.oracle
	for _, member := range members {
		s := w.find(member)
		if s == nil {
			continue
		}
		if s.has() < o.last() {
			w.fail("I3", "%s is in sync as of view %d and has %d of %d committed", serverText(member), active, s.has(), o.last())
		}
		for index := s.status.Commit + 1; index <= o.last(); index++ {
			if e, ok := s.core.Entry(index); !ok || e.Epoch != o.log[index-1].Epoch {
				w.fail("I3", "%s is in sync as of view %d and holds entry %d of epoch %d; committed is that of epoch %d", serverText(member), active, index, e.Epoch, o.log[index-1].Epoch)
			}
		}
	}
}

// checkCommitters is I4.
func (w *World) checkCommitters() {
	var first *server
	for _, s := range w.servers {
		if !s.up() || s.isForeign() || !w.mayCommit(s) {
			continue
		}
		if first != nil {
			w.fail("I4", "both %s (%s in view %d) and %s (%s in view %d) may commit", serverText(first.self), first.status.Authority, first.status.View.Viewnum,
				serverText(s.self), s.status.Authority, s.status.View.Viewnum)
		}
		first = s
	}
}

// mayCommit: solo, or joint with the backup still in that epoch.
func (w *World) mayCommit(s *server) bool {
	switch s.status.Authority {
	case replica.Solo:
		return true
	case replica.Joint:
		b := w.find(s.status.View.BackupServer())
		return b != nil && b.status.View.Viewnum == s.status.View.Viewnum
	}
	return false
}

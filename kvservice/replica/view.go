package replica

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

func (r *Replica) isPrimary() bool {
	return r.view.Viewnum != 0 && r.view.PrimaryServer() == r.cfg.Self
}

func (r *Replica) isBackup() bool {
	return r.view.Viewnum != 0 && r.view.BackupServer() == r.cfg.Self
}

// isMember goes by the address alone: as long as the view names it, with
// whatever incarnation, the view service has not dropped it.
func (r *Replica) isMember() bool {
	return r.view.Primary == r.cfg.Self.Addr || r.view.Backup == r.cfg.Self.Addr
}

func (r *Replica) role() string {
	switch {
	case r.isPrimary():
		return "primary"
	case r.isBackup():
		return "backup"
	}
	return "idle"
}

// ViewHeard tells what the view service says: its view, and the last number that
// was activated.
func (r *Replica) ViewHeard(v tandem.View, active uint) {
	r.adopt(v)
	// The very number, for a view activated later says nothing of this one.
	// Another cluster's number says nothing at all (rule V0).
	if active == r.view.Viewnum && active != 0 && !r.activated && v.Cluster == r.view.Cluster {
		r.activated = true
		if r.isPrimary() && r.authority == None && r.view.Backup == "" {
			r.becomeSolo("A2")
		}
		r.leaveIfDrained()
	}
	r.check()
}

// adopt takes a view over if it is newer (rule F1) and of this cluster (V0).
func (r *Replica) adopt(v tandem.View) bool {
	if v.Viewnum <= r.view.Viewnum {
		return false
	}
	if v.Group != r.cfg.Group || (r.view.Viewnum != 0 && v.Cluster != r.view.Cluster) {
		r.note("V0", 0, "refused a view of another cluster or group")
		return false
	}
	wasPrimary := r.isPrimary()
	r.view = v
	r.activated = false
	r.peer = peer{}
	r.upstream = upstream{}
	r.askInstead() // a lease ends with its view
	r.note("F1", 0, fmt.Sprintf("adopted view %d as %s", v.Viewnum, r.role()))

	if !r.isPrimary() {
		r.authority = None // rule A1
		if wasPrimary {
			r.supersede()
		}
		r.acknowledged = v.Viewnum
	} else {
		r.adoptAsPrimary()
	}
	r.leftWith = 0 // what was said of leaving was said in another role
	r.unpark()
	r.Ping() // forming a view takes round trips, not intervals
	return true
}

func (r *Replica) adoptAsPrimary() {
	r.held = true
	r.requests.uncommittedBytes = r.log.bytesAfter(r.applied)
	if r.authority == Solo && !r.ackedWithBackup {
		r.note("A3", 0, "stays solo")
		r.boundReads()
	} else {
		r.authority = None // rule A1
	}
	if r.view.Backup == "" {
		r.acknowledgeAlone() // rule A2; solo only when told that it is active
		return
	}
	if r.authority == None {
		r.becomeSolo("A2")
	}
	r.startTransfer()
}

// becomeSolo is the step of rule A2, with A6: from now on the whole log is
// committed, as far as it is durable.
func (r *Replica) becomeSolo(rule string) {
	r.authority = Solo
	r.ackedWithBackup = false
	r.soloBarrier = r.log.last()
	r.continueTime()
	r.boundReads()
	r.note(rule, r.log.last(), "solo")
	r.note("A6", r.log.last(), "commits its whole log")
	r.advance()
}

// acknowledgeJoint is the second half of rule A4: the view is acknowledged only
// when the backup has everything that is committed.
func (r *Replica) acknowledgeJoint() {
	if r.authority != Joint || r.acknowledged == r.view.Viewnum || r.peer.match < r.commit {
		return
	}
	r.acknowledged = r.view.Viewnum
	r.ackedWithBackup = true
	r.note("A4", r.commit, "acknowledges the view: the backup has everything committed")
	r.Ping()
}

// supersede is rule A7: what is pending is of unknown outcome, what never
// entered the log did not run, and the log stays as it is.
func (r *Replica) supersede() {
	r.note("A7", r.log.last(), "superseded")
	r.refuseInFlight()
	r.refuseReads()
	r.refuseParked()
}

// Deliver hands over a message. Whatever does not fit this server, this epoch or
// its role is ignored (rules N1, F1).
func (r *Replica) Deliver(m Message) {
	if m.To != r.cfg.Self || m.View.Group != r.cfg.Group {
		r.note("N1", 0, "ignored a message for another server")
		return
	}
	if r.view.Viewnum != 0 && m.View.Cluster != r.view.Cluster {
		r.note("N1", 0, "ignored a message of another cluster")
		return
	}
	if m.View.Viewnum < r.view.Viewnum {
		r.note("F1", 0, "ignored a message of an older view")
		return
	}
	switch m.Kind {
	case Forward, Chunk, Offer:
		if m.From != m.View.PrimaryServer() || m.To != m.View.BackupServer() {
			return
		}
	case Acknowledge, Gap, ChunkTaken, Installed, Holds:
		if m.From != m.View.BackupServer() || m.To != m.View.PrimaryServer() {
			return
		}
	default:
		return
	}
	r.adopt(m.View)
	if m.View != r.view {
		return
	}
	switch m.Kind {
	case Forward:
		r.accepted()
		r.takeForward(m)
	case Chunk:
		r.accepted()
		r.takeChunk(m)
	case Offer:
		r.accepted()
		r.takeOffer(m)
	default:
		r.takeAnswer(m)
	}
	r.check()
}

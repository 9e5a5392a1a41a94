package simulation

import (
	"math/bits"
	"slices"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// Recording is everything that happened in one run: what was sent and what
// became of it, what every node was, the faults, the rules that fired, and the
// operations. It draws no random number and schedules nothing, so a recorded run
// is the same, event for event, as one that is not. Make it with Record.
type Recording struct {
	w       *World
	failure *Failure
	// stepping: an event is happening; if the run stops now, it broke something.
	stepping bool
	node     int // whose event it is, -1: nobody's

	moments    []moment
	conditions []condition // by node, as they were last
	counts     [numCounts]uint64
	committed  uint64
	operations []span // when each operation of the history began and ended
	running    []int  // those that have not ended
}

// moment is one line of a recording.
type moment struct {
	happening
	what  what
	now   condition // became
	place int       // began, ended: in the history
	again bool      // arrived: another copy had come before
	stale bool      // arrived: from a lower view than the receiver's
}

// what says which kind of moment it is.
type what uint8

const (
	observed  what = iota // a core reported a rule
	said                  // the world told of a fault, or of what became of one
	sent                  // a message
	arrived               // a copy of it
	lost                  // a copy of it
	stirred               // an event that is no message: an answer of a disk, a broken connection
	became                // a node's condition changed
	committed             // an entry is in the global log
	began                 // an operation
	ended                 // an operation
)

// span is from one virtual time to another; from -1 to -1 is not known.
type span struct{ from, to int64 }

// condition is what a node is at a moment.
type condition struct {
	up, frozen bool
	life       uint64
	mute, deaf uint64 // the nodes it cannot reach, and those it cannot hear, as bits

	view      tandem.View
	active    uint // of the view service: the number last activated
	role      string
	authority replica.Authority
	synced    bool // primary: its view with a backup is acknowledged; backup: it has the state
}

// Record runs a world as Run does, with everything recorded. The report's hash is
// the one that Run reports, and the error is Run's. It takes some hundred bytes of
// memory for each message.
func Record(o Options) (*Recording, Report, error) {
	w := New(o)
	r := w.record()
	report, err := w.whole()
	return r, report, err
}

// record begins to record what happens from now on.
func (w *World) record() *Recording {
	r := &Recording{w: w, node: -1, conditions: make([]condition, len(w.nodes)), counts: w.cover.Counts, committed: w.oracle.last()}
	w.trace.all = r
	r.look()
	return r
}

// end closes the recording; failure is what the run came to, nil if it holds.
func (r *Recording) end(failure *Failure) {
	if r == nil {
		return
	}
	broke := r.stepping
	r.look() // what the event that broke it had changed
	r.stepping = broke && failure != nil
	r.failure = failure
	r.w.trace.all = nil
}

// Millis returns when an operation of the history began and ended, in virtual
// time; -1 for what the recording did not see.
func (r *Recording) Millis(operation int) (call, back int64) {
	if operation >= len(r.operations) {
		return -1, -1
	}
	s := r.operations[operation]
	return s.from, s.to
}

// States tells where the view service and each server stood at the end.
func (r *Recording) States() string { return r.w.states() }

// Every method below may be called on a nil Recording, which records nothing.

func (r *Recording) add(m moment) {
	if r != nil {
		r.moments = append(r.moments, m)
	}
}

// note adds a moment of now.
func (r *Recording) note(node int, m moment) {
	m.event, m.at, m.node = r.w.events, r.w.now, node
	r.add(m)
}

// event is told of every event before it happens.
func (r *Recording) event(e *event) {
	if r == nil {
		return
	}
	r.stepping, r.node = true, e.node
	switch e.kind {
	case evChaos, evHeal:
		r.node = -1
	case evTick, evDeliver, evDrain, evThink, evRestart:
		// What comes of them is told by itself.
	default:
		r.note(e.node, moment{what: stirred, happening: happening{kind: e.kind}})
	}
}

func (r *Recording) sent(env *envelope) {
	if r == nil {
		return
	}
	r.notice() // what made the sender speak comes before what it says
	r.note(env.from, moment{what: sent, happening: happening{env: env}})
}

func (r *Recording) lost(env *envelope) {
	if r != nil {
		r.note(env.to, moment{what: lost, happening: happening{env: env}})
	}
}

// arrived is told of a copy that is about to be taken in.
func (r *Recording) arrived(env *envelope) {
	if r == nil {
		return
	}
	m := moment{what: arrived, happening: happening{env: env}, again: env.arrived}
	if env.body.Kind == peerMessage {
		m.stale = env.body.Peer.View.Viewnum < r.w.server(env.to).core.View().Viewnum
	}
	r.note(env.to, m)
}

// look is called after every event.
func (r *Recording) look() {
	if r == nil {
		return
	}
	r.notice()
	r.stepping = false
}

// notice notes what has changed.
func (r *Recording) notice() {
	r.lookAtFaults()
	for i := range r.conditions {
		if now := r.w.condition(i); now != r.conditions[i] {
			r.conditions[i] = now
			r.note(i, moment{what: became, now: now})
		}
	}
	for ; r.committed < r.w.oracle.last(); r.committed++ {
		r.note(r.node, moment{what: committed, place: int(r.committed)})
	}
	r.lookAtOperations()
}

// told are the faults that show in nothing but their count.
var told = []Count{Ghosts, Hints, Reports, Resends, Abandoned, Cancelled, DiskLate, Leavings, Left, ClientCrashes}

func (r *Recording) lookAtFaults() {
	now := &r.w.cover.Counts
	for _, c := range told {
		if now[c] != r.counts[c] {
			r.note(r.node, moment{what: said, happening: happening{said: "fault: " + c.String()}})
		}
	}
	r.counts = *now
}

func (r *Recording) lookAtOperations() {
	history := r.w.history
	for i := len(r.operations); i < len(history); i++ {
		r.operations = append(r.operations, span{r.w.now, -1})
		r.running = append(r.running, i)
		r.note(r.w.firstClient()+history[i].Client, moment{what: began, place: i})
	}
	r.running = slices.DeleteFunc(r.running, func(i int) bool {
		if history[i].Verdict == Running {
			return false
		}
		r.operations[i].to = r.w.now
		r.note(r.w.firstClient()+history[i].Client, moment{what: ended, place: i})
		return true
	})
}

// condition returns what a node is now.
func (w *World) condition(i int) condition {
	n := &w.nodes[i]
	c := condition{up: n.up, frozen: w.isFrozen(i), life: n.life}
	for j := range w.nodes {
		if w.net.link(i, j).cuts > 0 {
			c.mute |= 1 << j
		}
		if w.net.link(j, i).cuts > 0 {
			c.deaf |= 1 << j
		}
	}
	switch {
	case i == monitorNode:
		c.view, c.active = w.monitor.core.View()
	case i < w.firstClient() && n.up:
		s := w.server(i).core.Status()
		c.view, c.role, c.authority = s.View, s.Role, s.Authority
		c.synced = s.Role == "primary" && s.BackupInSync || s.Role == "backup" && s.Installed
	}
	return c
}

// names lists the nodes of a set of bits.
func (w *World) names(set uint64) string {
	text := ""
	for ; set != 0; set &= set - 1 {
		if text != "" {
			text += ", "
		}
		text += w.nodes[bits.TrailingZeros64(set)].name
	}
	return text
}

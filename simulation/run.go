package simulation

import (
	"time"

	"github.com/anishathalye/porcupine"
)

// The bounds of a run.
const (
	// operationsMin is the least that clients start while there are faults.
	operationsMin = 200
	// faultMillisMax is the longest that a run has faults, in virtual time.
	faultMillisMax = 120_000
	// amnesiaMillis is for how long a run goes on once the view service has lost
	// its memory.
	amnesiaMillis = 2_000
	// progressMillis is within what time everything is answered once the
	// faults have stopped (P1).
	progressMillis = 30_000
	// storeOps is how much of a history is judged with its scans.
	storeOps = 80
	// judging is how long porcupine may take.
	judging = 30 * time.Second
)

// Report is what a run came to.
type Report struct {
	Hash     uint64 // of all events
	Coverage Coverage
	History  []Operation
	Schedule Schedule // of the faults that struck
	Started  int      // operations that clients started while there were faults
}

// Run runs a world: first with faults, until the clients have started all their
// operations; then without, until everything is answered. The error, if any, is
// a *Failure, and the report is there all the same; or else it says why there is no
// world of these options (Check).
func Run(o Options) (Report, error) {
	if err := o.Check(); err != nil {
		return Report{}, err
	}
	return New(o).whole()
}

// whole is Run in a world that has just been made.
func (w *World) whole() (Report, error) {
	failure := w.Try(w.run)
	w.trace.all.end(failure)
	w.cover.Runs, w.cover.Events, w.cover.Millis = 1, w.events, w.now
	report := Report{Hash: w.hash, Coverage: w.cover, History: w.history, Schedule: w.scheduled(), Started: w.started}
	if failure != nil {
		return report, failure
	}
	return report, nil
}

func (w *World) run() {
	w.RunUntil(func() bool { return w.enough }, faultMillisMax)
	w.StopFaults()
	if w.amnesia > 0 {
		// Nothing is promised any more but that what is answered is right (V0).
		w.RunFor(amnesiaMillis)
		if w.usurped {
			w.cover.count(Usurped)
		}
	} else {
		w.Progress()
	}
	w.Judge()
}

// hopeless tells whether the view service has lost its memory for so long that
// there is nothing more to learn. With servers that remember nothing either it may
// begin another cluster, and only the cluster's id tells the two apart.
func (w *World) hopeless() bool {
	return w.amnesia > 0 && w.now > w.amnesia+amnesiaMillis
}

// downForGood tells whether nobody is left who holds everything committed.
func (w *World) downForGood() bool {
	if w.oracle.active == 0 {
		return false
	}
	for _, m := range w.oracle.inSync {
		if w.find(m) != nil {
			return false
		}
	}
	return true
}

// Progress demands P1: every request that waits is answered, and so is a last
// read of every key by every client; then the servers come to be in sync. If
// nobody is left who holds everything, the view service has to say so instead.
func (w *World) Progress() {
	for _, c := range w.clients {
		for k := range w.opt.Keys {
			c.todo = append(c.todo, Input{Kind: Get, Key: key(k)})
		}
		if c.running < 0 {
			c.think()
		}
	}
	if !w.RunUntil(func() bool { return w.answered() || w.saysDown() }, progressMillis) {
		w.fail("P1", "not everything was answered within %d ms after the faults stopped; the view service says %q", progressMillis, w.why())
	}
	if !w.answered() {
		w.cover.count(Down)
		return
	}
	if !w.RunUntil(w.servedAll, progressMillis) {
		w.fail("P1", "a server took a request and did not answer it within %d ms", progressMillis)
	}
	if (w.opt.Severed || w.opt.Stuck) && len(w.servers) < 3 {
		return // no backup can be reached
	}
	if len(w.servers) > 1 && !w.RunUntil(w.settled, progressMillis) {
		w.fail("P1", "no view with a backup became active within %d ms; the view service says %q", progressMillis, w.why())
	}
	if !w.RunUntil(func() bool { return w.why() == "" }, progressMillis) {
		w.fail("P1", "all is well, and the view service says %q", w.why())
	}
}

// saysDown tells whether the group is down for good and the view service says
// so. (An acknowledgement that was on its way when the last member of the
// in-sync set died may still make another server a member.)
func (w *World) saysDown() bool { return w.downForGood() && w.monitor.core.Status().Down }

func (w *World) why() string { return w.monitor.core.Status().Why }

// answered tells whether no client waits or has anything left to do.
func (w *World) answered() bool {
	for _, c := range w.clients {
		if c.running >= 0 || len(c.todo) > 0 {
			return false
		}
	}
	return true
}

// servedAll tells whether the servers have answered every request that they took
// (rule L5: at a bound it waits, and is not lost). That its client tried again, and
// was answered elsewhere, is no excuse.
func (w *World) servedAll() bool {
	for _, s := range w.servers {
		if w.works(s) && s.open > 0 {
			return false
		}
	}
	return true
}

// settled tells whether a primary and a backup are in sync, and hold the same.
func (w *World) settled() bool {
	for _, p := range w.servers {
		if w.joint(p) {
			b := w.find(p.status.View.BackupServer())
			return b != nil && p.status.Applied == w.oracle.last() && b.status.Applied == p.status.Applied
		}
	}
	return false
}

// Judge looks at what can be said at the end only: at the state of every server
// (I12), at what became of each operation (I9, I10, S5), and at whether the
// history is linearizable.
func (w *World) Judge() {
	for _, s := range w.servers {
		if s.up() && !s.isForeign() {
			w.oracle.compare(s, s.status.Applied)
		}
	}
	w.oracle.judge(w.history)
	history := w.oracle.settled(w.history)
	if verdict := Linearizable(history, judging); verdict != porcupine.Ok {
		w.fail("Linearizable", "porcupine says %s", verdict)
	}
	if w.cover.Counts[ScansDone] > 0 {
		w.cover.count(StoreChecks)
		if verdict := LinearizableStore(history, storeOps, judging); verdict != porcupine.Ok {
			w.fail("LinearizableStore", "porcupine says %s of the first %d operations, scans included", verdict, storeOps)
		}
	}
}

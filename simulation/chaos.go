package simulation

import (
	"slices"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// chaosMillis is how often the faults that come of themselves have an opportunity.
const chaosMillis = 10

// chaos lets the faults of the last 10 ms happen.
func (w *World) chaos() {
	n := uint64(w.now / chaosMillis)
	for k := firstOfChaos; k < numFaults; k++ {
		d := decision{k, everywhere, n}
		if rolled, ok := w.strikes(d); ok && w.strike(k, &rolled) {
			w.struck(d)
		}
	}
	for i := range w.servers {
		w.checkAfterChaos(w.servers[i])
	}
}

// strike makes a fault happen, and tells whether it could.
func (w *World) strike(k fault, d *dice) bool {
	switch k {
	case Ghosts:
		return w.chaosGhost(d)
	case CutsOneWay:
		w.cutFor(w.anyNode(d), w.anyNode(d), d.upTo(w.lastMillis()))
		return true
	case CutsTwoWay:
		w.cutBothWays(d)
		return true
	case SlowLinks:
		return w.chaosSlowLink(d)
	case Crashes:
		return w.chaosCrash(w.anyServer(d), w.deadMillis()+d.upTo(w.lastMillis()))
	case Restarts:
		return w.chaosCrash(w.anyServer(d), d.upTo(20))
	case ClientCrashes:
		w.anyClient(d).crash()
		return true
	case Freezes:
		w.Freeze(w.anyNode(d), d.upTo(w.lastMillis()))
		return true
	case Leavings:
		return w.chaosLeave(d)
	case ClockJumps:
		return w.chaosClockJump(d)
	case ClockRates:
		return w.chaosClockRate(d)
	case ClocksBeyond:
		return w.chaosClockBeyond(d)
	case MonitorRestarts:
		return w.chaosMonitorRestart(d)
	case MonitorAmnesias:
		return w.chaosMonitorAmnesia(d)
	}
	return w.nudge(k, d)
}

// nudge makes a core do what it does of its own accord at another time.
func (w *World) nudge(k fault, d *dice) bool {
	s, c := w.anyServer(d), w.anyClient(d)
	switch {
	case k == Hints:
		return w.chaosHint(s, d)
	case k == Reports && w.works(s):
		s.tellTime()
		s.core.ReportBackup()
	case k == Resends && w.works(s):
		s.tellTime()
		s.core.Resend()
	case k == Abandoned && !w.isFrozen(c.node) && c.running >= 0 && c.core.Stats().Calls > 0:
		c.breakCalls()
		return true
	case k == Cancelled && !w.isFrozen(c.node) && c.running >= 0:
		c.cancel()
		return true
	default:
		return false
	}
	s.did()
	return true
}

func (w *World) anyNode(d *dice) int {
	return d.pick(w, w.everyNode...)
}

func (w *World) anyServer(d *dice) *server {
	return w.server(d.pick(w, w.everyNode[1:w.firstClient()]...))
}

func (w *World) anyClient(d *dice) *client {
	return w.client(d.pick(w, w.everyNode[w.firstClient():]...))
}

func (w *World) lastMillis() int64 { return orElse(w.opt.Faults.LastMillis, 500) }

func orElse(millis, otherwise int64) int64 {
	if millis > 0 {
		return millis
	}
	return otherwise
}

// deadMillis is about how long it takes until a silent server is suspected.
func (w *World) deadMillis() int64 {
	return w.opt.TickMillis * int64(max(1, w.opt.View.TicksPerPing)*max(2, w.opt.View.DeadPings))
}

// checkAfterChaos looks at a server that chaos may have stepped.
func (w *World) checkAfterChaos(s *server) {
	if s.up() {
		w.check(s.node)
	}
}

func (w *World) isFrozen(node int) bool { return w.nodes[node].frozen > w.now }

// works tells whether a server can do anything at this moment.
func (w *World) works(s *server) bool { return s.up() && !w.isFrozen(s.node) }

func (w *World) cutFor(from, to int, millis int64) {
	w.Cut(from, to)
	w.queue.push(event{at: w.after(millis), kind: evHeal, a: uint64(from), b: uint64(to)})
}

// cutBothWays parts two nodes, or one from all.
func (w *World) cutBothWays(d *dice) {
	a, millis := w.anyNode(d), d.upTo(w.lastMillis())
	if d.intN(2) == 0 {
		w.part(a, w.anyNode(d), millis)
		return
	}
	for b := range w.nodes {
		w.part(a, b, millis)
	}
}

// part cuts two nodes off from each other for a while.
func (w *World) part(a, b int, millis int64) {
	w.cutFor(a, b, millis)
	w.cutFor(b, a, millis)
}

func (w *World) chaosGhost(d *dice) bool {
	if len(w.net.ghosts) == 0 {
		return false
	}
	env := w.net.ghosts[d.intN(len(w.net.ghosts))]
	if d.intN(4) > 0 || env.body.Kind != peerMessage {
		w.transmit(env)
		return true
	}
	for _, next := range w.net.after(env) {
		w.transmit(next)
	}
	return true
}

// chaosSlowLink makes messages between two nodes take long for a while, without
// changing their order.
func (w *World) chaosSlowLink(d *dice) bool {
	a, b := w.anyNode(d), w.anyNode(d)
	if a == b {
		return false
	}
	slow, millis := d.upTo(w.lastMillis()/2), d.upTo(2*w.lastMillis())
	for _, way := range [][2]int{{a, b}, {b, a}} {
		w.net.link(way[0], way[1]).slow += slow
		w.queue.push(event{at: w.after(millis), kind: evFast, node: way[1], a: uint64(way[0]), b: uint64(slow)})
	}
	return true
}

// chaosCrash crashes a server for so many milliseconds.
func (w *World) chaosCrash(s *server, away int64) bool {
	if !s.up() || (w.opt.Faults.Merciful && w.needed(s)) {
		return false
	}
	w.hintOfCrash(s)
	w.stop(s.node, away)
	return true
}

// chaosCutTransfer cuts a transfer short at the moment at which one of its chunks
// is sent: the link breaks, or one of the two ends crashes.
func (w *World) chaosCutTransfer(from, to int, d *dice) bool {
	switch d.intN(4) {
	case 0:
		return w.chaosCrash(w.server(to), d.upTo(w.lastMillis()))
	case 1:
		return w.chaosCrash(w.server(from), d.upTo(w.lastMillis()))
	}
	w.part(from, to, d.upTo(w.lastMillis()))
	return true
}

func (w *World) chaosLeave(d *dice) bool {
	s := w.anyServer(d)
	if !w.works(s) {
		return false
	}
	w.Leave(s.node)
	w.queue.push(event{at: w.after(d.upTo(2 * w.lastMillis())), kind: evStay, node: s.node, life: w.nodes[s.node].life})
	return true
}

// chaosMonitorRestart crashes the view service for a while.
func (w *World) chaosMonitorRestart(d *dice) bool {
	if !w.nodes[monitorNode].up {
		return false
	}
	w.monitor.crash(d.intN(2) == 0)
	away := d.upTo(w.lastMillis())
	w.queue.push(event{at: w.after(away), kind: evRestart, node: monitorNode})
	if d.intN(2) == 0 {
		w.reportAgain(away, d)
	}
	return true
}

// reportAgain makes the last reports of all servers arrive once more, late: a view
// service that has just started cannot know from their numbers that they are (rules
// V2 and V8).
func (w *World) reportAgain(away int64, d *dice) {
	for _, s := range w.servers {
		if s.report != nil {
			w.queue.push(event{at: w.after(away + d.upTo(20)), tie: uint32(d.next()), kind: evDeliver, node: monitorNode, env: s.report})
		}
	}
}

// chaosMonitorAmnesia crashes the view service and its memory with it. What
// happens from then on is no test of anything but V0, so a run comes to it late,
// unless a new cluster is made to form: the lower the old one's number, the more a
// server would like to go over.
func (w *World) chaosMonitorAmnesia(d *dice) bool {
	usurp := d.intN(2) == 0
	late := w.started >= operationsMin || usurp || w.schedule.kept != nil
	if !w.nodes[monitorNode].up || w.amnesia > 0 || w.oracle.active == 0 || !late {
		return false
	}
	w.monitor.crash(false)
	w.forgetViews()
	if usurp {
		w.usurp(d)
	}
	w.queue.push(event{at: w.after(d.upTo(50)), kind: evRestart, node: monitorNode})
	return true
}

// usurp makes it likely that servers without memory, and old words of others,
// reach a view service without memory before those who remember.
func (w *World) usurp(d *dice) {
	for _, s := range w.servers {
		if d.intN(2) == 0 {
			w.chaosCrash(s, d.upTo(20))
			continue
		}
		w.cutFor(s.node, monitorNode, d.upTo(w.lastMillis()))
		if s.first != nil {
			for range 3 {
				w.queue.push(event{at: w.after(d.upTo(amnesiaMillis)), tie: uint32(d.next()), kind: evDeliver, node: monitorNode, env: s.first})
			}
		}
	}
}

// needed tells whether nobody else is in sync.
func (w *World) needed(s *server) bool {
	o := &w.oracle
	if o.active < o.view.Viewnum && o.acked[o.view.Viewnum] {
		// The acknowledgement is on its way, and will make these the in-sync set.
		if w.neededIn([]tandem.Server{o.view.PrimaryServer(), o.view.BackupServer()}, s) {
			return true
		}
	}
	return w.neededIn(o.inSync, s) || w.neededIn(o.sure.inSync, s)
}

func (w *World) neededIn(inSync []tandem.Server, s *server) bool {
	if !slices.Contains(inSync, s.self) {
		return false
	}
	for _, m := range inSync {
		if m != s.self && w.find(m) != nil {
			return false
		}
	}
	return true
}

// dialMillis is how long a dial takes that is refused.
const dialMillis = 1

// hintOfCrash: a connection that closes, and a dial that is refused, tell the view
// service of a crash.
func (w *World) hintOfCrash(s *server) {
	if w.schedule.rates[Hints] > 0 && w.monitorWorks() {
		w.monitor.closed(s.self, dialMillis)
	}
}

// monitorWorks tells whether the view service can do anything at this moment.
func (w *World) monitorWorks() bool {
	return w.nodes[monitorNode].up && !w.isFrozen(monitorNode)
}

// chaosHint makes the view service suspect a server, now or soon, rightly or not.
func (w *World) chaosHint(s *server, d *dice) bool {
	if !w.monitorWorks() {
		return false
	}
	switch d.intN(3) {
	case 0:
		w.oracle.causes.suspect(s.self)
		w.monitor.core.Suspect(s.self)
		w.monitor.did()
	case 1:
		w.oracle.causes.hint(s.self)
		w.monitor.core.Hint(s.self)
		w.monitor.did()
	default:
		// A wall that refuses the dial of a server that may be well; by the time
		// that this is known the server may have pinged again.
		w.monitor.closed(s.self, d.upTo(2*w.opt.TickMillis*int64(max(1, w.opt.View.TicksPerPing))))
	}
	w.check(monitorNode)
	return true
}

// breakCalls breaks the connections of a client: what it called is lost, as far
// as it knows.
func (c *client) breakCalls() {
	for id := range c.calls + 1 {
		if c.core.Awaits(clerk.CallID(id)) {
			c.failed(id, putArgs)
		}
	}
}

// stop takes a server down, its memory with it, for so many milliseconds.
func (w *World) stop(node int, away int64) {
	w.Crash(node)
	w.queue.push(event{at: w.after(away), kind: evRestart, node: node})
}

// Crash stops a server: its memory is lost.
func (w *World) Crash(node int) {
	w.nodes[node].up = false
	w.nodes[node].frozen = 0
	w.nodes[node].life++
	w.trace.say(w, node, "crashed")
}

// Restart starts a node under its address: a server with a new incarnation, the
// view service with what of its memory was durable.
func (w *World) Restart(node int) {
	if node == monitorNode {
		w.monitor.start()
		w.trace.say(w, node, "started")
		return
	}
	w.server(node).start()
	w.trace.say(w, node, "started as "+serverText(w.server(node).self))
}

// Freeze stops a node for a while. It wakes with its beliefs.
func (w *World) Freeze(node int, millis int64) {
	w.nodes[node].frozen = max(w.nodes[node].frozen, w.after(millis))
	w.trace.say(w, node, "frozen")
}

// Leave asks a server to depart (rule V11).
func (w *World) Leave(node int) {
	s := w.server(node)
	s.leaving = true
	s.tellTime()
	s.core.Leave()
	s.did()
}

// StopFaults ends the faults: what is cut mends, what is frozen wakes, what is
// down comes back, and clocks run as they should. Late messages still arrive.
func (w *World) StopFaults() {
	w.calm = true
	w.faultMillis = w.now
	w.net.mend()
	w.net.hold = nil
	w.Release()
	for i := range w.nodes {
		w.nodes[i].frozen = 0
		w.RunClock(i, trueRate)
		if c := &w.nodes[i].clocks; c.elapsedRate != trueElapsedRate {
			w.RunElapsed(i, trueElapsedRate)
		}
	}
	if !w.nodes[monitorNode].up {
		w.Restart(monitorNode)
	}
	for _, s := range w.servers {
		if !s.up() {
			w.Restart(s.node)
		} else if s.leaving {
			s.stay()
		}
	}
	if w.opt.Severed {
		w.sever()
	}
	if w.opt.Stuck {
		w.stick()
	}
}

// sever cuts two servers off from each other for good: primary and backup if there
// are such. Everybody else reaches both of them, so that P1 holds all the same.
func (w *World) sever() {
	v, _ := w.monitor.core.View()
	a, b := w.byName(v.Primary), w.byName(v.Backup)
	if a < 0 || b < 0 {
		a, b = 1, 2
	}
	w.Cut(a, b)
	w.Cut(b, a)
	w.trace.say(w, a, "cut off from "+w.nodes[b].name+" for good")
}

// stick freezes the primary for good, unless it alone has the data.
func (w *World) stick() {
	v, _ := w.monitor.core.View()
	if p := w.find(v.PrimaryServer()); p != nil && !w.needed(p) {
		w.Freeze(p.node, forGood)
	}
}

// forGood is longer than any run lasts.
const forGood = 1 << 40

// joint tells whether a server is a primary with a backup in sync, and the view
// service knows.
func (w *World) joint(s *server) bool {
	v, active := w.monitor.core.View()
	return s.up() && s.status.Authority == replica.Joint && s.status.BackupInSync && s.status.View == v && active == v.Viewnum
}

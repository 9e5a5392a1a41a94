package simulation

import (
	"slices"

	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// chaos lets the faults of the last 10 ms happen.
func (w *World) chaos() {
	f := &w.faults
	server := func() *server { return w.servers[w.rng.IntN(len(w.servers))] }
	client := func() *client { return w.clients[w.rng.IntN(len(w.clients))] }
	if w.chance(f.Ghost) && len(w.net.ghosts) > 0 {
		w.cover.count(Ghosts)
		w.transmit(w.net.ghosts[w.rng.IntN(len(w.net.ghosts))])
	}
	if w.chance(f.CutOneWay) {
		w.cover.count(CutsOneWay)
		w.cutFor(w.rng.IntN(len(w.nodes)), w.rng.IntN(len(w.nodes)), w.upTo(f.LastMillis))
	}
	if w.chance(f.CutTwoWay) {
		w.cover.count(CutsTwoWay)
		w.cutBothWays(w.upTo(f.LastMillis))
	}
	if w.chance(f.Crash) {
		w.chaosCrash(server(), client())
	}
	if w.chance(f.Freeze) {
		w.cover.count(Freezes)
		w.Freeze(w.rng.IntN(len(w.nodes)), w.upTo(f.LastMillis))
	}
	if s := server(); w.chance(f.Leave) && w.works(s) {
		w.cover.count(Leavings)
		w.Leave(s.node)
		w.queue.push(event{at: w.after(w.upTo(2 * f.LastMillis)), kind: evStay, node: s.node, life: w.nodes[s.node].life})
	}
	if w.chance(f.Suspect) && !w.isFrozen(monitorNode) {
		w.hint(server())
	}
	if s := server(); w.chance(f.Report) && w.works(s) {
		w.cover.count(Reports)
		s.core.ReportBackup()
		s.did()
	}
	if s := server(); w.chance(f.Resend) && w.works(s) {
		w.cover.count(Resends)
		s.core.Resend()
		s.did()
	}
	if c := client(); w.chance(f.Abandon) && !w.isFrozen(c.node) && c.running >= 0 {
		if calls := c.core.Stats().Calls; calls > 0 {
			w.cover.count(Abandoned)
			c.breakCalls()
		}
	}
	if c := client(); w.chance(f.Cancel) && !w.isFrozen(c.node) {
		c.cancel()
	}
	for i := range w.servers {
		w.checkAfterChaos(w.servers[i])
	}
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
func (w *World) cutBothWays(millis int64) {
	a := w.rng.IntN(len(w.nodes))
	if w.rng.IntN(2) == 0 {
		b := w.rng.IntN(len(w.nodes))
		w.cutFor(a, b, millis)
		w.cutFor(b, a, millis)
		return
	}
	for b := range w.nodes {
		w.cutFor(a, b, millis)
		w.cutFor(b, a, millis)
	}
}

// chaosCrash crashes a server, or now and then a client.
func (w *World) chaosCrash(s *server, c *client) {
	if w.rng.IntN(6) == 0 {
		w.cover.count(ClientCrashes)
		c.crash()
		return
	}
	if !s.up() || (w.faults.Merciful && w.needed(s)) {
		return
	}
	away := w.upTo(20)
	if w.rng.IntN(2) == 0 {
		away = w.upTo(w.faults.LastMillis)
	}
	w.cover.count(Crashes)
	w.hintOfCrash(s)
	w.stop(s.node, away)
}

// needed tells whether nobody else is in sync.
func (w *World) needed(s *server) bool {
	if !slices.Contains(w.oracle.inSync, s.self) {
		return false
	}
	for _, m := range w.oracle.inSync {
		if m != s.self && w.find(m) != nil {
			return false
		}
	}
	return true
}

// hintOfCrash: a connection that closes tells the view service of a crash.
func (w *World) hintOfCrash(s *server) {
	if w.faults.Suspect > 0 && !w.isFrozen(monitorNode) {
		w.monitor.core.Hint(s.self)
		w.monitor.did()
	}
}

// hint makes the view service suspect a server, now or soon, rightly or not.
func (w *World) hint(s *server) {
	w.cover.count(Hints)
	if w.rng.IntN(2) == 0 {
		w.monitor.core.Suspect(s.self)
	} else {
		w.monitor.core.Hint(s.self)
	}
	w.monitor.did()
	w.check(monitorNode)
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

// Restart starts a server under its address, with a new incarnation.
func (w *World) Restart(node int) {
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
	s.core.Leave()
	s.did()
}

// StopFaults ends the faults: what is cut mends, what is frozen wakes, and what
// is down comes back. Late messages still arrive.
func (w *World) StopFaults() {
	w.faults = Faults{}
	clear(w.net.cuts)
	w.net.hold = nil
	w.Release()
	for i := range w.nodes {
		w.nodes[i].frozen = 0
	}
	for _, s := range w.servers {
		if !s.up() {
			w.Restart(s.node)
		} else if s.leaving {
			s.stay()
		}
	}
}

// joint tells whether a server is a primary with a backup in sync, and the view
// service knows.
func (w *World) joint(s *server) bool {
	v, active := w.monitor.core.View()
	return s.up() && s.status.Authority == replica.Joint && s.status.BackupInSync && s.status.View == v && active == v.Viewnum
}

package simulation

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

// monitorNode is the view service among the nodes. After it come the servers,
// from 1, and then the clients.
const monitorNode = 0

// node is what every process has: it may be up or not, and may be frozen.
type node struct {
	name   string
	up     bool
	life   uint64 // counts its lives; zero before the first
	frozen int64  // until when
	slot   uint8  // its place in the names of faults and dice
	dice   dice   // of the present life
	clocks clocks
}

// World is a run in progress. It is made by New, and driven by Run, or by a test
// through Step, RunUntil and the methods that do things to it. When something is
// wrong it panics with a *Failure, which Run, and Try around anything, recover.
type World struct {
	opt    Options
	now    int64  // virtual time, in milliseconds
	events uint64 // so far
	queue  queue
	net    network

	schedule    schedule
	calm        bool  // the faults have stopped
	enough      bool  // they should: looked at every 10 ms
	faultMillis int64 // when they did
	startedAt   int64 // when the clients had started all their operations
	amnesia     int64 // since when the view service has lost its memory
	usurped     bool  // and it has begun another cluster since

	nodes     []node
	everyNode []int
	monitor   *monitor
	servers   []*server
	clients   []*client

	oracle oracle
	trace  trace
	cover  Coverage
	hash   uint64

	history []Operation
	started int // operations that count against Options.Ops
}

// New makes a world in which everything has just started.
func New(o Options) *World {
	w := &World{opt: o, hash: 14695981039346656037}
	w.addNode("monitor", 0)
	for i := range o.Servers {
		w.addNode(string(rune('a'+i)), firstServerSlot+i)
	}
	for i := range o.Clients {
		w.addNode(fmt.Sprintf("client%d", i+1), firstClientSlot+i)
	}
	w.net.codec = newCodec()
	w.net.nodes = len(w.nodes)
	w.net.links = make([]link, len(w.nodes)*len(w.nodes))
	w.startSchedule()
	w.oracle.init(w)
	w.monitor = &monitor{w: w}
	w.monitor.start()
	for i := range o.Servers {
		w.servers = append(w.servers, &server{w: w, node: 1 + i})
		w.servers[i].start()
	}
	for i := range o.Clients {
		w.clients = append(w.clients, &client{w: w, node: w.firstClient() + i, number: i})
		w.clients[i].start()
	}
	w.queue.push(event{at: chaosMillis, kind: evChaos})
	return w
}

func (w *World) addNode(name string, slot int) {
	w.everyNode = append(w.everyNode, len(w.nodes))
	w.nodes = append(w.nodes, node{name: name, slot: uint8(slot)})
}

func (w *World) firstClient() int         { return 1 + len(w.servers) }
func (w *World) server(node int) *server  { return w.servers[node-1] }
func (w *World) client(node int) *client  { return w.clients[node-w.firstClient()] }
func (w *World) after(millis int64) int64 { return w.now + millis }

// startNode begins a node's next life: its clock ticks from now on.
func (w *World) startNode(i int) {
	n := &w.nodes[i]
	n.up = true
	n.frozen = 0
	n.life++
	n.dice = newDice(w.opt.Seed, diceOfNode, uint64(n.slot), n.life)
	w.startClocks(i)
	w.queue.push(event{at: w.after(n.dice.upTo(w.opt.TickMillis)), kind: evTick, node: i, life: n.life})
}

// Step lets the next event happen and looks at the invariants. There always is
// one: clocks go on for ever.
func (w *World) Step() {
	e := w.queue.pop()
	w.now = e.at
	n := &w.nodes[e.node]
	if e.life != 0 && e.life != n.life {
		return // that life is over
	}
	if n.frozen > w.now && !e.kind.ofTheWorld() {
		// It waits in a socket, in a timer, on a disk.
		e.at = n.frozen + int64(n.dice.intN(5))
		w.queue.push(e)
		return
	}
	w.events++
	w.trace.event(w, &e)
	w.happen(&e)
	w.check(e.node)
	w.mix(uint64(e.kind)<<32|uint64(e.node), uint64(w.now), w.digest(e.node))
	if e.env != nil {
		w.mix(e.env.id)
	}
	w.trace.all.look()
}

func (w *World) happen(e *event) {
	switch e.kind {
	case evTick:
		w.queue.push(event{at: w.after(w.tickMillis(e.node)), tie: uint32(w.nodes[e.node].dice.next()), kind: evTick, node: e.node, life: e.life})
		switch {
		case e.node == monitorNode:
			w.monitor.tick()
		case e.node < w.firstClient():
			w.server(e.node).tick()
		default:
			w.client(e.node).tick()
		}
	case evDeliver:
		w.deliver(*e)
	case evLost:
		w.server(e.node).lost()
	case evDurable:
		if e.node == monitorNode {
			w.monitor.durable(e.a)
		} else {
			w.server(e.node).confirmed(e.a, e.b)
		}
	case evDrain:
		w.server(e.node).drain()
	case evRestart:
		if !w.nodes[e.node].up {
			w.Restart(e.node)
		}
	case evHeal:
		if !w.calm { // otherwise all has been mended
			w.Mend(int(e.a), int(e.b))
		}
	case evFast:
		if !w.calm {
			w.net.link(int(e.a), e.node).slow -= int64(e.b)
		}
	case evClock:
		w.RunClock(e.node, trueRate)
	case evStay:
		w.server(e.node).stay()
	case evThink:
		w.client(e.node).next()
	case evAbandon:
		w.abandon(e)
	case evChaos:
		if !w.calm {
			w.chaos()
			w.enough = w.stressed() || w.downForGood() || w.hopeless()
			w.queue.push(event{at: w.after(chaosMillis), kind: evChaos})
		}
	case evGiveUp:
		w.monitor.giveUp(e.a)
	case evRefused:
		w.monitor.refused(int(e.a))
	}
}

// abandon tells a node that a call of its own came to nothing.
func (w *World) abandon(e *event) {
	switch {
	case e.node == monitorNode:
	case e.node < w.firstClient():
		if bodyKind(e.b) == viewArgs {
			w.server(e.node).viewFailed(e.a)
		}
	default:
		w.client(e.node).failed(e.a, bodyKind(e.b))
	}
}

// RunUntil steps until a condition holds, and tells whether it came to hold
// within so many milliseconds.
func (w *World) RunUntil(done func() bool, millis int64) bool {
	for end := w.now + millis; w.now <= end; w.Step() {
		if done() {
			return true
		}
	}
	return done()
}

// RunFor steps for so many milliseconds.
func (w *World) RunFor(millis int64) { w.RunUntil(func() bool { return false }, millis) }

func (w *World) mix(values ...uint64) {
	for _, v := range values {
		w.hash = (w.hash ^ v) * 1099511628211
		w.hash ^= w.hash >> 29
	}
}

// digest sums up a node's state for the hash of the run.
func (w *World) digest(i int) uint64 {
	switch {
	case i == monitorNode:
		return uint64(w.monitor.record.View.Viewnum)<<32 | uint64(w.monitor.record.Active)
	case i < w.firstClient():
		s := &w.server(i).status
		return uint64(s.View.Viewnum)<<48 ^ uint64(s.Authority)<<40 ^ s.Last<<20 ^ s.Commit
	}
	return uint64(len(w.history))
}

// observer returns what the cores of a node report to.
func (w *World) observer(node int) func(tandem.Observation) {
	return func(o tandem.Observation) {
		w.cover.rule(o.Rule)
		w.trace.observation(w, node, o)
	}
}

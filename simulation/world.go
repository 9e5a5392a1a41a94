package simulation

import (
	"fmt"
	"math/rand/v2"

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
}

// World is a run in progress. It is made by New, and driven by Run, or by a test
// through Step, RunUntil and the methods that do things to it. When something is
// wrong it panics with a *Failure, which Run, and Try around anything, recover.
type World struct {
	opt    Options
	faults Faults // those in force; none any more once they have stopped
	rng    *rand.Rand
	now    int64  // virtual time, in milliseconds
	events uint64 // so far
	queue  queue
	net    network

	nodes   []node
	monitor *monitor
	servers []*server
	clients []*client

	oracle oracle
	trace  trace
	cover  Coverage
	hash   uint64

	history []Operation
	started int // operations that count against Options.Ops
}

// New makes a world in which everything has just started.
func New(o Options) *World {
	w := &World{opt: o, faults: o.Faults, rng: rand.New(rand.NewPCG(o.Seed, 0x7a9de3)), hash: 14695981039346656037}
	w.nodes = append(w.nodes, node{name: "monitor"})
	for i := range o.Servers {
		w.nodes = append(w.nodes, node{name: string(rune('a' + i))})
	}
	for i := range o.Clients {
		w.nodes = append(w.nodes, node{name: fmt.Sprintf("client%d", i+1)})
	}
	w.net.codec = newCodec()
	w.net.cuts = make([]int, len(w.nodes)*len(w.nodes))
	w.net.last = make([]int64, len(w.nodes)*len(w.nodes))
	w.oracle.init(w)
	w.startMonitor()
	for i := range o.Servers {
		w.servers = append(w.servers, &server{w: w, node: 1 + i})
		w.servers[i].start()
	}
	for i := range o.Clients {
		w.clients = append(w.clients, &client{w: w, node: w.firstClient() + i, number: i})
		w.clients[i].start()
	}
	w.queue.push(event{at: 10, kind: evChaos})
	return w
}

func (w *World) firstClient() int         { return 1 + len(w.servers) }
func (w *World) server(node int) *server  { return w.servers[node-1] }
func (w *World) client(node int) *client  { return w.clients[node-w.firstClient()] }
func (w *World) after(millis int64) int64 { return w.now + millis }

func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// upTo draws a time between one millisecond and a bound.
func (w *World) upTo(millis int64) int64 {
	if millis <= 1 {
		return 1
	}
	return 1 + w.rng.Int64N(millis)
}

// startNode begins a node's next life: its clock ticks from now on.
func (w *World) startNode(i int) {
	n := &w.nodes[i]
	n.up = true
	n.frozen = 0
	n.life++
	w.queue.push(event{at: w.after(w.upTo(w.opt.TickMillis)), kind: evTick, node: i, life: n.life})
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
	if n.frozen > w.now && e.kind != evChaos && e.kind != evHeal && e.kind != evRestart {
		// It waits in a socket, in a timer, on a disk.
		e.at = n.frozen + w.rng.Int64N(5)
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
}

func (w *World) happen(e *event) {
	switch e.kind {
	case evTick:
		w.queue.push(event{at: w.after(w.opt.TickMillis), tie: w.rng.Uint32(), kind: evTick, node: e.node, life: e.life})
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
		if w.faults != (Faults{}) { // otherwise all has been mended
			w.Mend(int(e.a), int(e.b))
		}
	case evStay:
		w.server(e.node).stay()
	case evThink:
		w.client(e.node).next()
	case evAbandon:
		w.abandon(e)
	case evChaos:
		if w.faults != (Faults{}) {
			w.chaos()
			w.queue.push(event{at: w.after(10), kind: evChaos})
		}
	case evGiveUp:
		w.monitor.giveUp(e.a)
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

package simulation

import (
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// waiting is what a Get that waits asks for; Options.PollMillis bounds it.
const waiting = time.Hour

// monitor is what a shell does for the view service.
type monitor struct {
	w        *World
	core     *view.Service
	requests uint64
	pings    map[uint64]*envelope // not answered
	gets     []waiter             // in the order of their arrival

	record view.Record // the last made
}

// waiter is a Get that waits for news.
type waiter struct {
	id   uint64
	env  *envelope
	args tandem.ViewArgs
}

func (w *World) startMonitor() {
	w.startNode(monitorNode)
	c := w.opt.View
	c.Cluster = w.rng.Uint64() | 1
	c.Observer = w.observer(monitorNode)
	w.monitor = &monitor{w: w, core: view.New(c), pings: make(map[uint64]*envelope)}
}

func (m *monitor) tick() {
	m.core.Tick()
	m.did()
}

func (m *monitor) durable(number uint64) {
	m.core.Durable(number)
	m.did()
}

func (m *monitor) deliver(env *envelope, b *body) {
	m.requests++
	switch b.Kind {
	case ping:
		m.pings[m.requests] = env
		m.core.Ping(m.requests, *b.Ping)
	case viewArgs:
		m.gets = append(m.gets, waiter{m.requests, env, *b.View})
		m.w.queue.push(event{at: m.w.after(m.w.opt.PollMillis), kind: evGiveUp, node: monitorNode, a: m.requests})
		m.answerGets()
	}
	m.did()
}

// did carries out the effects of an event.
func (m *monitor) did() {
	w := m.w
	for {
		e := m.core.Take()
		for _, r := range e.Replies {
			env := m.pings[r.Request]
			delete(m.pings, r.Request)
			reply := r.Ping
			w.send(monitorNode, env.from, body{Kind: pingReply, Life: env.fromLife, Call: env.body.Ping.Seq, PingReply: &reply})
		}
		if e.News {
			m.answerGets()
		}
		if e.Record == nil {
			return
		}
		w.oracle.recorded(&m.record, e.Record)
		m.record = *e.Record
		if w.opt.ViewDiskMillis > 0 {
			at := w.after(w.upTo(w.opt.ViewDiskMillis))
			w.queue.push(event{at: at, kind: evDurable, node: monitorNode, a: e.Record.Number})
			return
		}
		m.core.Durable(e.Record.Number)
	}
}

// answerGets answers the Gets that have waited for what there is now.
func (m *monitor) answerGets() {
	rest := m.gets[:0]
	for _, g := range m.gets {
		if reply, ready := m.core.Get(g.args); ready {
			m.answer(g, reply)
		} else {
			rest = append(rest, g)
		}
	}
	clear(m.gets[len(rest):])
	m.gets = rest
}

// giveUp answers a Get that has waited for long enough.
func (m *monitor) giveUp(id uint64) {
	for i, g := range m.gets {
		if g.id == id {
			m.gets = append(m.gets[:i], m.gets[i+1:]...)
			reply, _ := m.core.Get(g.args)
			m.answer(g, reply)
			return
		}
	}
}

func (m *monitor) answer(g waiter, reply tandem.ViewReply) {
	m.w.send(monitorNode, g.env.from, body{Kind: viewReply, Life: g.env.fromLife, Call: g.env.body.Call, ViewReply: &reply})
}

// askView makes a Get that waits for news. If nothing is heard of it for too
// long its caller gives it up.
func (w *World) askView(node int, call uint64, args tandem.ViewArgs) {
	args.Wait = waiting
	w.queue.push(event{at: w.after(2*w.opt.PollMillis + 100), kind: evAbandon, node: node,
		life: w.nodes[node].life, a: call, b: uint64(viewArgs)})
	w.send(node, monitorNode, body{Kind: viewArgs, Call: call, View: &args})
}

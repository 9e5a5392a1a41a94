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
	closings []closing            // connections of servers that closed, in this life

	record view.Record // the last made
	kept   view.Record // the last that the disk confirmed
	writes uint64      // records given to the disk, in all lives
}

// waiter is a Get that waits for news.
type waiter struct {
	id   uint64
	env  *envelope
	args tandem.ViewArgs
}

// closing is the end of a connection of a server's.
type closing struct {
	who tandem.Server
	seq uint64 // of the last ping that was heard until then
}

// start begins a life with what the disk kept.
func (m *monitor) start() {
	w := m.w
	w.startNode(monitorNode)
	w.oracle.causes = causes{w: w}
	c := w.opt.View
	c.Cluster = w.nodes[monitorNode].dice.next() | 1
	c.Observer = w.observer(monitorNode)
	m.pings, m.gets, m.closings = make(map[uint64]*envelope), nil, nil
	if m.kept.Number == 0 { // it never told anybody of a view
		m.core = view.New(c)
		return
	}
	core, err := view.Restore(c, m.kept)
	if err != nil {
		w.fail("V10", "the view service does not start from its own record: %v", err)
	}
	m.core = core
}

// crash ends a life. A record that was on its way to the disk may have reached it
// or not; either way nobody was told of it.
func (m *monitor) crash(reached bool) {
	w := m.w
	w.Crash(monitorNode)
	if reached {
		m.kept = m.record
	}
	w.oracle.reverted(&m.kept)
	m.record = m.kept
}

// forgetViews takes the view service's disk away, too (rule V0).
func (w *World) forgetViews() {
	w.amnesia = w.now
	w.monitor.record, w.monitor.kept = view.Record{}, view.Record{}
}

func (m *monitor) tick() {
	if down, _ := m.core.Down(); down {
		m.w.cover.rule("V9")
	}
	m.w.oracle.causes.ticks++
	m.core.Tick()
	m.did()
}

func (m *monitor) durable(number uint64) {
	m.confirm(number)
	m.did()
}

// confirm tells the core that the record last made is on the disk.
func (m *monitor) confirm(number uint64) {
	if m.record.Number == number {
		m.kept = m.record
		m.w.oracle.kept(&m.kept)
		m.w.cover.rule("V10")
	}
	m.core.Durable(number)
}

func (m *monitor) deliver(env *envelope, b *body) {
	m.requests++
	forgot := m.mustNotice(b)
	switch b.Kind {
	case ping:
		m.pings[m.requests] = env
		m.w.oracle.heard(b.Ping)
		m.core.Ping(m.requests, *b.Ping)
	case viewArgs:
		m.gets = append(m.gets, waiter{m.requests, env, *b.View})
		m.w.queue.push(event{at: m.w.after(m.w.opt.PollMillis), kind: evGiveUp, node: monitorNode, life: m.w.nodes[monitorNode].life, a: m.requests})
		m.answerGets()
	}
	m.did()
	if forgot && !m.core.LostMemory() {
		m.w.fail("V0", "the view service heard of what is beyond its own memory, in %s, and goes on", b)
	}
}

// mustNotice tells whether a ping shows that the view service has lost its memory
// (rule V0). Once it has seen that it stays silent.
func (m *monitor) mustNotice(b *body) bool {
	if m.core.LostMemory() {
		return true
	}
	told, _ := m.core.View()
	return b.Kind == ping && m.record.View.Viewnum == 0 && (b.Ping.Cluster != 0 || b.Ping.Viewnum > told.Viewnum)
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
			m.silent(reply.Err)
			w.send(monitorNode, env.from, body{Kind: pingReply, Life: env.fromLife, Call: env.body.Ping.Seq, PingReply: &reply})
		}
		if e.News {
			m.answerGets()
		}
		if e.Record == nil {
			return
		}
		if w.amnesia > 0 {
			w.usurped = true // another cluster begins, which is nothing to the oracle
		} else {
			w.oracle.recorded(&m.record, e.Record)
		}
		m.record = *e.Record
		m.writes++
		if delay := w.diskDelay(decision{ViewDiskLate, w.at(monitorNode), m.writes}, w.opt.ViewDiskMillis); delay > 0 {
			w.queue.push(event{at: w.after(delay), kind: evDurable, node: monitorNode, life: w.nodes[monitorNode].life, a: e.Record.Number})
			return
		}
		m.confirm(e.Record.Number)
	}
}

// closed is the end of a server's connection, a hint (rule V7). The server's address
// is dialled at once, and it refuses so many milliseconds later.
func (m *monitor) closed(who tandem.Server, refuses int64) {
	w := m.w
	w.oracle.causes.hint(who)
	m.closings = append(m.closings, closing{who, w.oracle.causes.of(who).seq})
	w.queue.push(event{at: w.after(refuses), kind: evRefused, node: monitorNode,
		life: w.nodes[monitorNode].life, a: uint64(len(m.closings) - 1)})
	m.core.Hint(who)
	m.did()
}

// refused is what came of that dial.
func (m *monitor) refused(i int) {
	e := m.closings[i]
	m.w.oracle.causes.refused(e.who, e.seq)
	m.core.Refused(e.who, e.seq)
	m.did()
}

// silent checks V0: who has lost its memory announces nothing.
func (m *monitor) silent(err tandem.Err) {
	if !m.core.LostMemory() {
		return
	}
	if err != tandem.ErrLostMemory && err != tandem.ErrWrongCluster && err != tandem.ErrBadRequest {
		m.w.fail("V0", "the view service has lost its memory and answers %s", err)
	}
	m.w.cover.count(RefusedForgotten)
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
	m.silent(reply.Err)
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

package simulation

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// server is what a shell does for a replica: it carries out its effects.
type server struct {
	w    *World
	node int

	self    tandem.Server // of the present life, or of the last
	core    *replica.Replica
	status  replica.Status // after the last event
	ids     uint64         // request ids given out
	calls   map[uint64]arrival
	drained bool // effects are on their way out: a drain is scheduled
	resends bool // something was sent again, and is to be among the next effects

	records    uint64 // given to the disk, in all lives
	generation uint64 // of what the disk holds
	onDisk     uint64 // up to which index
	diskFree   int64  // when the disk has done what it was asked so far

	watching uint64 // the View call under way; zero: none
	leaving  bool
	seen     uint      // the highest number it was in (I1)
	open     int       // requests taken, not answered and not forgotten
	first    *envelope // its first ping
	report   *envelope // its last ping that reports its backup
	goBack   goBack
}

// arrival is a call that a client made of this server.
type arrival struct {
	env       *envelope
	kind      bodyKind
	committed uint64 // operations committed anywhere when it arrived
	session   requestName
	// again: a copy had arrived before. The connection that a call came by
	// brings it once; whoever sends it again does not get the answer.
	again     bool
	forgotten bool // nobody waits for the answer any more
}

type requestName struct{ session, number uint64 }

// machine is a store that tells the oracle what is applied to it.
type machine struct {
	*store.Store
	s *server
}

// Apply implements replica.Machine.
func (m *machine) Apply(e replica.Entry) []byte {
	reply := m.Store.Apply(e)
	m.s.w.oracle.applied(m.s, e, reply)
	return reply
}

// Empty implements replica.Machine.
func (m *machine) Empty() replica.Machine {
	return &machine{m.Store.Empty().(*store.Store), m.s}
}

// Clone implements replica.Machine.
func (m *machine) Clone() replica.Machine {
	return &machine{m.Store.Clone().(*store.Store), m.s}
}

// Read implements replica.Machine. In front of the answer it puts the index that
// it saw: not every value read is answered, nor in that order (rule R3).
func (m *machine) Read(query []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, m.Store.Stats().Index), m.Store.Read(query)...)
}

// sawIndex takes apart what Read put together.
func sawIndex(payload []byte) (index uint64, answer []byte) {
	return binary.BigEndian.Uint64(payload), payload[8:]
}

// start begins a new life, without memory.
func (s *server) start() {
	w := s.w
	w.startNode(s.node)
	*s = server{w: w, node: s.node, calls: make(map[uint64]arrival), records: s.records}
	s.self = tandem.Server{Addr: w.nodes[s.node].name, Incarnation: s.dice().next()>>40 | 1}
	c := w.opt.Replica
	c.Self = s.self
	if w.opt.NoGrace>>(s.node-1)&1 != 0 {
		c.Lease, c.Grace = 0, 0
	}
	c.Machine = &machine{store.New(s.limits()), s}
	c.Observer = w.observer(s.node)
	s.core = replica.New(c)
	s.status = s.core.Status()
}

// limits returns what this server allows.
func (s *server) limits() store.Limits {
	l := s.w.opt.Limits
	if s.w.opt.Tight>>(s.node-1)&1 != 0 {
		l.MaxValue /= 4
	}
	return l
}

// isForeign tells whether the server belongs to a cluster that has formed beside the
// one that clients began with (rule V0). What is done there is nothing to the oracle.
func (s *server) isForeign() bool {
	c := s.core.View().Cluster
	return s.w.amnesia > 0 && c != 0 && c != s.w.oracle.view.Cluster
}

func (s *server) up() bool { return s.w.nodes[s.node].up }

func (s *server) dice() *dice { return &s.w.nodes[s.node].dice }

// did is called after every event: effects are carried out, now or a little
// later together with those of other events.
func (s *server) did() {
	w := s.w
	switch {
	case s.drained:
	case s.dice().chance(w.opt.Lazy):
		s.drained = true
		w.queue.push(event{at: w.after(s.dice().upTo(3)), kind: evDrain, node: s.node, life: w.nodes[s.node].life})
	default:
		s.drain()
	}
	s.look()
}

// look notes the replica's state after an event.
func (s *server) look() {
	was := s.status
	s.status = s.core.Status()
	if s.status.Stats.Installs != was.Stats.Installs {
		s.w.oracle.installed(s)
	}
	if c := was.View.Cluster; c != 0 && c != s.status.View.Cluster {
		s.w.fail("V0", "%s goes over from cluster %x to cluster %x", serverText(s.self), c, s.status.View.Cluster)
	}
	p := &s.status.Stats
	s.resends = (s.resends || p.Resends != was.Stats.Resends) && s.status.View == was.View && p.TransfersDone == was.Stats.TransfersDone
	s.w.cover.server(&was, &s.status, &s.w.opt.Replica)
}

// drain carries out effects.
func (s *server) drain() {
	w := s.w
	s.drained = false
	for {
		s.tellTime()
		e := s.core.TakeEffects()
		if s.look(); s.resends && len(e.Messages) == 0 {
			s.w.fail("P1", "%s sends again what its backup did not answer, and no message comes of it", serverText(s.self))
		}
		s.resends = false
		s.carryOut(&e)
		more := s.answersGone(&e)
		if e.Departed {
			w.cover.count(Left)
			w.oracle.departed(s)
			w.stop(s.node, s.dice().upTo(w.lastMillis()))
			return
		}
		if k := e.Keep; k != nil {
			if more = !s.write(k); more {
				s.generation, s.onDisk = k.Generation, k.Last
				s.core.Durable(k.Generation, k.Last)
			}
		}
		e.Messages = nil // the network has them
		s.core.Reuse(e)
		if !more {
			return
		}
	}
}

// answersGone tells the core that its replies have left; what waited for that is
// among the effects of the next time.
func (s *server) answersGone(e *replica.Effects) (more bool) {
	bytes := 0
	for i := range e.Replies {
		bytes += len(e.Replies[i].Payload)
	}
	if bytes == 0 || s.w.opt.Replica.MaxAnswerBytes == 0 {
		return false
	}
	s.core.AnswersGone(bytes)
	return true
}

// write gives a record to the disk, which confirms in order. It tells whether the
// confirmation takes time.
func (s *server) write(r *replica.Record) (late bool) {
	w := s.w
	s.records++
	delay := w.diskDelay(decision{DiskLate, w.at(s.node), s.records}, w.opt.DiskMillis)
	s.diskFree = max(s.diskFree, w.now+delay)
	if s.diskFree == w.now {
		return false
	}
	w.queue.push(event{at: s.diskFree, kind: evDurable, node: s.node, life: w.nodes[s.node].life, a: r.Generation, b: r.Last})
	return true
}

// diskDelay returns how long a disk takes to confirm a record.
func (w *World) diskDelay(d decision, usual int64) int64 {
	if rolled, ok := w.strikes(d); ok {
		w.struck(d)
		return rolled.upTo(300)
	}
	if usual == 0 {
		return 0
	}
	rolled := newDice(w.opt.Seed, uint64(d.kind)+uint64(numFaults), uint64(d.place), d.n)
	return int64(rolled.intN(int(usual) + 1))
}

func (s *server) confirmed(generation, last uint64) {
	switch {
	case generation > s.generation:
		s.generation, s.onDisk = generation, last
	case generation == s.generation:
		s.onDisk = max(s.onDisk, last)
	} // or else it is late word of what has been replaced since
	s.tellTime()
	s.core.Durable(generation, last)
	s.did()
}

// has returns the last index up to which the server durably has the log: the
// last that its disk confirmed of what it holds now.
func (s *server) has() uint64 {
	if s.generation != s.status.Stats.Installs { // one generation a transfer
		return 0
	}
	return s.onDisk
}

func (s *server) carryOut(e *replica.Effects) {
	w := s.w
	for i := range e.Messages {
		m := &e.Messages[i]
		s.goBack.sent(m)
		if to := w.byName(m.To.Addr); to >= 0 {
			w.send(s.node, to, body{Kind: peerMessage, Peer: m})
		}
	}
	if e.Ping != nil {
		w.oracle.pinged(s, e.Ping)
		w.send(s.node, monitorNode, body{Kind: ping, Ping: e.Ping})
	}
	for i := range e.Replies {
		s.reply(&e.Replies[i])
	}
	if w.opt.Watch && s.watching == 0 {
		v := s.core.View()
		s.ids++
		s.watching = s.ids
		w.askView(s.node, s.watching, tandem.ViewArgs{Viewnum: v.Viewnum, Cluster: v.Cluster})
	}
}

// byName returns the node with an address, -1 if there is none.
func (w *World) byName(addr string) int {
	for i := range w.nodes {
		if w.nodes[i].name == addr {
			return i
		}
	}
	return -1
}

// elapsed is what the server's lease clock shows now.
func (s *server) elapsed() time.Duration { return s.w.elapsedClock(s.node, s.w.now) }

// tellTime tells the core what its node takes for the time. A shell looks at the
// clock once for all events that it takes before it carries effects out, and may
// be put to sleep among them: rule R3 has to bear that.
func (s *server) tellTime() {
	s.core.Clock(s.w.wallClock(s.node))
	if s.w.opt.Replica.Grace > 0 && !s.drained {
		s.core.Elapsed(s.elapsed())
	}
}

func (s *server) tick() {
	s.tellTime()
	s.core.Tick()
	s.did()
	s.goBack.tick(s)
}

func (s *server) lost() {
	s.tellTime()
	s.core.Lost()
	s.did()
}

func (s *server) viewFailed(call uint64) {
	if s.watching == call {
		s.watching = 0
	}
}

func (s *server) stay() {
	s.leaving = false
	s.tellTime()
	s.core.Stay()
	s.did()
}

// deliver hands over a message.
func (s *server) deliver(env *envelope, b *body, again bool) {
	s.tellTime()
	switch b.Kind {
	case peerMessage:
		s.w.cover.peer(s, b.Peer)
		s.goBack.heard(s, b.Peer)
		s.core.Deliver(*b.Peer)
	case pingReply:
		s.core.PingReplied(b.Call, *b.PingReply)
	case viewReply:
		if s.watching == b.Call {
			s.watching = 0
		}
		if b.ViewReply.Err == tandem.OK {
			s.core.ViewHeard(b.ViewReply.View, b.ViewReply.Active)
		}
	default:
		s.take(env, b, again)
	}
	s.did()
}

// take takes a client's call.
func (s *server) take(env *envelope, b *body, again bool) {
	var payload []byte
	var err error
	req := replica.Request{}
	a := arrival{env: env, kind: b.Kind, committed: s.w.oracle.last(), again: again}
	switch b.Kind {
	case putArgs:
		payload, err = store.PutCommand(b.Put, s.limits())
		req.Kind, req.Session, req.Number, req.Target = replica.Update, b.Put.Session, b.Put.Number, b.Put.Target
		a.session = requestName{b.Put.Session, b.Put.Number}
	case getArgs:
		payload, err = store.GetQuery(b.Get, s.w.opt.Limits)
		req.Kind, req.Target = replica.Read, b.Get.Target
	case scanArgs:
		payload, err = store.ScanQuery(b.Scan, s.w.opt.Limits)
		req.Kind, req.Target = replica.Read, b.Scan.Target
		if b.Scan.Scan != 0 {
			req.Kind = replica.Local
		}
	}
	s.ids++
	req.ID, req.Payload = s.ids, payload
	s.calls[req.ID] = a
	s.open++
	if err != nil {
		var code tandem.Err
		if !errors.As(err, &code) {
			s.w.fail("RefusalHasCode", "%v", err)
		}
		s.reply(&replica.Reply{ID: req.ID, Err: code, Outcome: tandem.DidNotRun})
		return
	}
	s.core.Submit(req)
	if d := (decision{Abandoned, s.w.at(s.node), s.ids}); s.w.decides(d) {
		s.core.Forget(req.ID)
		if a, waits := s.calls[req.ID]; waits {
			a.forgotten = true
			s.calls[req.ID] = a
			s.open--
		}
	}
}

// reply gives a client its answer.
func (s *server) reply(r *replica.Reply) {
	a, ok := s.calls[r.ID]
	if !ok {
		s.w.fail("ReplyOnce", "a reply to request %d of %s, which nobody made or which was answered already", r.ID, serverText(s.self))
	}
	delete(s.calls, r.ID)
	if !a.forgotten {
		s.open--
	}
	var b body
	var err error
	switch a.kind {
	case putArgs:
		p := tandem.PutReply{Err: r.Err, Outcome: r.Outcome}
		if r.Err == tandem.OK {
			p, err = store.PutReply(r.Payload)
		}
		s.w.oracle.answered(s, &a, &p)
		b = body{Kind: putReply, PutReply: &p}
	case getArgs:
		p := tandem.GetReply{Err: r.Err}
		if r.Err == tandem.OK {
			index, answer := sawIndex(r.Payload)
			p, err = store.GetReply(answer)
			s.w.oracle.read(s, &a, index)
		}
		b = body{Kind: getReply, GetReply: &p}
	case scanArgs:
		p := tandem.ScanReply{Err: r.Err}
		if r.Err == tandem.OK {
			index, answer := sawIndex(r.Payload)
			p, err = store.ScanReply(answer)
			s.w.oracle.scanned(s, &a, &p, index)
		}
		b = body{Kind: scanReply, ScanReply: &p}
	}
	if err != nil {
		s.w.fail("ReplyUnderstood", "%v", err)
	}
	if a.again {
		return
	}
	b.Life, b.Call = a.env.fromLife, a.env.body.Call
	s.w.send(s.node, a.env.from, b)
}

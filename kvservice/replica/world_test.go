package replica_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// world is a few Replicas, a model of the view service, clients, and a set of
// messages from which delivery does not consume, so that any can be lost,
// repeated and overtaken. After every event it checks the invariants.
type world struct {
	cfg     replica.Config // of every server, but for Self, Machine, and what plain leaves out
	now     time.Duration  // the true time
	monitor *monitor
	nodes   []*node
	mail    []*parcel

	// committed is the one global log, as far as any server has committed it.
	committed []replica.Entry
	places    map[string][]uint64 // where a payload stands in it

	nextID   uint64
	waiting  map[uint64]*operation
	sessions [3]session
	answers  map[string]string // to the requests of sessions, by payload
	refused  map[string]bool   // payloads that are known not to run (rule S5)
	answered int
	trace    []event
	first    int // nothing before it in mail is on its way
}

// event is what happened, to be put into words if something breaks.
type event struct {
	format string
	args   []any
}

func (e event) String() string { return fmt.Sprintf(e.format, e.args...) }

// shown is a message that can be put into words.
type shown replica.Message

func (m shown) String() string { return describe(replica.Message(m)) }

// digest tells whether a message has changed since it was sent.
func digest(m replica.Message) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, m.Kind, m.Seq, m.Index, m.Commit, len(m.Entries))
	h.Write(m.Data)
	for _, e := range m.Entries {
		h.Write(appendEntry(nil, e))
	}
	return h.Sum64()
}

// node is a server in one life.
type node struct {
	tandem.Server
	*replica.Replica
	view uint // the highest it held

	twin     *replica.Replica // a clone that lives through the same
	together int              // for how long it goes on doing so

	agreed   uint64 // entries that are those of the global log
	installs uint64 // when that was compared

	frozen  int           // for so many events nothing reaches it and nothing leaves it
	started time.Duration // the true time then
	ppm     int           // by which its clock is fast
	plain   bool          // it knows nothing of leases

	sync    bool // what it keeps is durable at once
	kept    []kept
	durable uint64
}

// kept is a record on its way to the disk.
type kept struct {
	replica.Record
	counts uint64 // up to where it makes the present log durable
}

// parcel is a message, a ping or the answer to one.
type parcel struct {
	to      tandem.Server // nobody: the view service
	message *replica.Message
	ping    *tandem.PingArgs
	reply   tandem.PingReply
	seq     uint64 // of the ping that reply answers
	digest  uint64 // of message, as it was sent
	arrived bool   // or was lost
}

type session struct {
	number  uint64
	payload []byte
}

// operation is a request that waits.
type operation struct {
	replica.Request
	at     tandem.Server
	before int // committed when it was made
}

// breach is what a check reports by panicking, so that the search for a smaller
// example sees one failure, whatever noticed it.
type breach struct{ error }

func (w *world) fail(format string, args ...any) {
	var last strings.Builder
	for _, e := range w.trace[max(0, len(w.trace)-40):] {
		last.WriteString("\n\t" + e.String())
	}
	panic(breach{fmt.Errorf(format+"\nlast events:%s", append(args, last.String())...)})
}

func newWorld(cfg replica.Config, servers int) *world {
	w := &world{
		cfg:     cfg,
		monitor: &monitor{},
		places:  map[string][]uint64{},
		waiting: map[uint64]*operation{},
		answers: map[string]string{},
		refused: map[string]bool{},
	}
	for i := range servers {
		w.nodes = append(w.nodes, &node{Server: tandem.Server{Addr: string(rune('a' + i))}, sync: true})
		w.restart(w.nodes[i])
	}
	return w
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, event{format, args})
}

// restart begins a new life without memory.
func (w *world) restart(n *node) {
	cfg := w.cfg
	cfg.Self = tandem.Server{Addr: n.Addr, Incarnation: n.Incarnation + 1}
	cfg.Machine = newRecorder()
	if n.plain {
		cfg.Lease, cfg.Grace = 0, 0
	}
	*n = node{Server: cfg.Self, Replica: replica.New(cfg), sync: n.sync, started: w.now, ppm: n.ppm, plain: n.plain}
	w.note("%s restarts", n.Addr)
	for id, op := range w.waiting {
		if op.at.Addr == n.Addr {
			delete(w.waiting, id)
		}
	}
}

// elapsed is what a server's clock shows.
func (w *world) elapsed(n *node) time.Duration {
	return (w.now - n.started) * time.Duration(1_000_000+n.ppm) / 1_000_000
}

// tell tells a server the time, if it has to do with leases.
func (w *world) tell(n *node) {
	if n.plain || w.cfg.Grace == 0 {
		return
	}
	now := w.elapsed(n)
	w.do(n, event{"elapsed %s", []any{now}}, func(r *replica.Replica) { r.Elapsed(now) })
}

// do carries out an event at a server, and at its twin.
func (w *world) do(n *node, what any, event func(*replica.Replica)) {
	w.note("%s: %v", n.Addr, what)
	event(n.Replica)
	if err := n.Audit(); err != nil {
		w.fail("%s: %v", n.Addr, err)
	}
	if n.twin != nil {
		event(n.twin)
	}
	w.check(n)
}

// take takes a server's effects.
func (w *world) take(n *node) {
	if n.frozen > 0 {
		return
	}
	w.tell(n)
	e := n.TakeEffects()
	if n.twin != nil {
		if o := n.twin.TakeEffects(); !reflect.DeepEqual(e, o) {
			w.fail("%s: its clone wants %+v, itself %+v", n.Addr, o, e)
		}
		if !n.Equal(n.twin) || n.Hash() != n.twin.Hash() {
			w.fail("%s: its clone is in another state", n.Addr)
		}
		if n.together--; n.together == 0 {
			n.twin = nil
		}
	}
	for _, m := range e.Messages {
		w.mail = append(w.mail, &parcel{to: m.To, message: &m, digest: digest(m)})
	}
	if e.Ping != nil {
		w.mail = append(w.mail, &parcel{ping: e.Ping})
	}
	for _, r := range e.Replies {
		w.answer(n, r)
	}
	if e.Keep != nil {
		switch {
		case e.Keep.Installed != nil:
			n.forgets(0)
		case e.Keep.Cut:
			n.forgets(e.Keep.Base)
		}
		n.kept = append(n.kept, kept{*e.Keep, e.Keep.Last})
		if n.sync {
			w.makeDurable(n, len(n.kept))
			w.take(n)
		}
	}
}

// forgets makes nothing above an index count that was kept so far.
func (n *node) forgets(index uint64) {
	n.durable = min(n.durable, index)
	for i := range n.kept {
		n.kept[i].counts = min(n.kept[i].counts, index)
	}
}

// makeDurable lets the oldest records become durable.
func (w *world) makeDurable(n *node, records int) {
	for _, k := range n.kept[:min(records, len(n.kept))] {
		n.durable = max(n.durable, k.counts)
		n.kept = n.kept[1:]
		w.do(n, event{"durable up to %d", []any{k.Last}}, func(r *replica.Replica) { r.Durable(k.Generation, k.Last) })
	}
}

// deliver hands a parcel over, if whom it is for lives under that address; the
// Replica has to see for itself that it is not that one's former life.
func (w *world) deliver(p *parcel) {
	p.arrived = true
	if p.ping != nil {
		w.note("view service gets %+v", *p.ping)
		if p.ping.Viewnum > w.monitor.view.Viewnum {
			w.fail("I1: %s is at view %d, the view service at %d", p.ping.Me, p.ping.Viewnum, w.monitor.view.Viewnum)
		}
		if reply, ok := w.monitor.ping(*p.ping); ok {
			w.mail = append(w.mail, &parcel{to: tandem.Server{Addr: p.ping.Me, Incarnation: p.ping.Incarnation}, reply: reply, seq: p.ping.Seq})
		}
		return
	}
	for _, n := range w.nodes {
		switch {
		case n.Addr != p.to.Addr:
		case p.message != nil:
			if p.digest != digest(*p.message) {
				w.fail("a message changed after it was sent: it is now %v", *p.message)
			}
			w.do(n, shown(*p.message), func(r *replica.Replica) { r.Deliver(*p.message) })
		case n.Server == p.to: // a reply comes over the connection that it asks for
			w.do(n, event{"hears %+v", []any{p.reply}}, func(r *replica.Replica) { r.PingReplied(p.seq, p.reply) })
		}
	}
}

// flow delivers what is on its way, in order, at most so many.
func (w *world) flow(most int) {
	for w.first < len(w.mail) && w.mail[w.first].arrived {
		w.first++
	}
	for i := w.first; i < len(w.mail) && most > 0; i++ {
		if p := w.mail[i]; !p.arrived && !w.frozen(p.to.Addr) {
			w.deliver(p)
			most--
			for _, n := range w.nodes {
				w.take(n)
			}
		}
	}
}

func (w *world) frozen(addr string) bool {
	return slices.ContainsFunc(w.nodes, func(n *node) bool { return n.Addr == addr && n.frozen > 0 })
}

// calm lets everything through for some ticks.
func (w *world) calm(ticks int) {
	for range ticks {
		w.now += time.Millisecond
		for _, n := range w.nodes {
			if n.frozen > 0 {
				continue
			}
			w.do(n, "tick", (*replica.Replica).Tick)
			w.take(n)
			w.makeDurable(n, len(n.kept))
			w.take(n)
		}
		w.flow(1000)
	}
}

func (w *world) submit(n *node, req replica.Request) {
	w.nextID++
	req.ID = w.nextID
	w.waiting[req.ID] = &operation{Request: req, at: n.Server, before: len(w.committed)}
	w.do(n, event{"request %d: %s", []any{req.ID, req.Payload}}, func(r *replica.Replica) { r.Submit(req) })
}

// update sends the next request of a session, or its last one again; or one
// without a session, which is never sent twice.
func (w *world) update(n *node, who int, again bool) {
	req := replica.Request{Kind: replica.Update}
	req.Viewnum = w.monitor.view.Viewnum
	if who == len(w.sessions) {
		req.Payload = command(0, 0, "append k "+strconv.FormatUint(w.nextID, 10)+".")
	} else {
		s := &w.sessions[who]
		req.Session = uint64(who) + 1
		if !again || s.number == 0 {
			s.number++
			s.payload = command(req.Session, s.number, fmt.Sprintf("append k %d/%d.", req.Session, s.number))
		}
		req.Number, req.Payload = s.number, s.payload
	}
	w.submit(n, req)
}

func (w *world) read(n *node, viewnum uint) {
	w.submit(n, replica.Request{Kind: replica.Read, Payload: []byte("k"), Target: tandem.Target{Viewnum: viewnum}})
}

// answer checks the reply to a request: I9, I10, I11 and rule S5.
func (w *world) answer(n *node, reply replica.Reply) {
	op := w.waiting[reply.ID]
	if op == nil || op.at != n.Server {
		w.fail("%s answered %d, for which nobody waits", n.Addr, reply.ID)
	}
	delete(w.waiting, reply.ID)
	w.note("%s answers %d: %s %s %s", n.Addr, reply.ID, reply.Err, reply.Outcome, reply.Payload)
	payload := string(op.Payload)
	if reply.Err != tandem.OK {
		if op.Kind == replica.Update && op.Session == 0 && reply.Outcome == tandem.DidNotRun {
			w.refused[payload] = true
			if len(w.places[payload]) > 0 {
				w.fail("S5: %q was said not to run, and ran", payload)
			}
		}
		return
	}
	w.answered++
	text := string(reply.Payload)
	at, value, _ := strings.Cut(text, ":")
	index, err := strconv.Atoi(at)
	if op.Kind == replica.Read {
		switch {
		case index < op.before:
			w.fail("I11: a read saw the state of %d, and %d were committed before it was made", index, op.before)
		case index > len(w.committed) || value != w.value(index):
			w.fail("I11: a read of %d saw %q, which never was", index, value)
		}
		return
	}
	switch places := w.places[payload]; {
	case text == "stale":
		if op.Session == 0 || w.sessions[op.Session-1].number <= op.Number {
			w.fail("S3: %q is not stale", payload)
		}
		return
	case err != nil || !slices.Contains(places, uint64(index)):
		w.fail("I9: %q was answered %q, and the global log has it at %d", payload, text, places)
	case op.Session == 0 && len(places) > 1:
		w.fail("I10: %q ran %d times", payload, len(places))
	case value != w.value(index-1):
		w.fail("I10: %q was answered %q, and the value before was %q", payload, text, w.value(index-1))
	}
	if first, ok := w.answers[payload]; op.Session != 0 && ok && first != text {
		w.fail("I10: %q was answered %q and then %q", payload, first, text)
	}
	w.answers[payload] = text
}

// value is what k held after that many entries of the global log.
func (w *world) value(index int) string {
	m := newRecorder()
	for _, e := range w.committed[:index] {
		m.Apply(e)
	}
	return m.values["k"]
}

// entry returns an entry that a server holds, applied or not.
func (n *node) entry(index uint64) (replica.Entry, bool) {
	if h := n.Machine().(*recorder).history; index <= uint64(len(h)) {
		return h[index-1], true
	}
	return n.Entry(index)
}

func same(a, b replica.Entry) bool {
	return a.Epoch == b.Epoch && a.Index == b.Index && a.Time == b.Time && bytes.Equal(a.Payload, b.Payload)
}

// check checks the invariants after an event at n.
func (w *world) check(n *node) {
	st := n.Status()
	if st.View.Viewnum < n.view || st.View.Viewnum > w.monitor.view.Viewnum {
		w.fail("I1: %s went from view %d to %d, the view service is at %d", n.Addr, n.view, st.View.Viewnum, w.monitor.view.Viewnum)
	}
	n.view = st.View.Viewnum
	if st.Applied > st.Commit || st.Commit > st.Last {
		w.fail("I6: %s: applied %d, commit %d, last %d", n.Addr, st.Applied, st.Commit, st.Last)
	}
	for i := uint64(len(w.committed)) + 1; i <= st.Commit; i++ {
		e, ok := n.entry(i)
		if !ok {
			w.fail("%s does not hold entry %d, which it committed", n.Addr, i)
		}
		w.committed = append(w.committed, e)
		w.places[string(e.Payload)] = append(w.places[string(e.Payload)], i)
		if w.refused[string(e.Payload)] {
			w.fail("S5: %q was said not to run, and ran", e.Payload)
		}
	}
	if w.agree(n) < st.Commit {
		w.fail("I5: %s differs from the global log after %d", n.Addr, n.agreed)
	}
	if len(n.Machine().(*recorder).history) != int(st.Applied) {
		w.fail("I12: the state of %s is as of %d, not %d", n.Addr, len(n.Machine().(*recorder).history), st.Applied)
	}
	w.checkGroup()
}

// agree returns up to where a server's log is the global one. What was compared is
// compared again when the log was replaced.
func (w *world) agree(n *node) uint64 {
	st := n.Status()
	if st.Stats.Installs != n.installs {
		n.agreed, n.installs = 0, st.Stats.Installs
	}
	for n.agreed < min(st.Last, uint64(len(w.committed))) {
		if e, ok := n.entry(n.agreed + 1); !ok || !same(e, w.committed[n.agreed]) {
			break
		}
		n.agreed++
	}
	return n.agreed
}

// holds tells whether a server durably has the global log up to an index.
func (w *world) holds(n *node, index uint64) bool {
	return n.durable >= index && w.agree(n) >= index
}

// checkGroup checks what concerns several servers.
func (w *world) checkGroup() {
	committers := 0
	for _, n := range w.nodes {
		if until := n.Status().LeaseUntil; w.elapsed(n) < until && w.monitor.active > n.View().Viewnum && w.monitor.inSync[0] != n.Server {
			w.fail("I13: %s has a lease in view %d until %s, and view %d is active", n.Addr, n.View().Viewnum, until, w.monitor.active)
		}
		if slices.Contains(w.monitor.inSync, n.Server) && !w.holds(n, uint64(len(w.committed))) {
			w.fail("I3: %s is in sync and does not have all of %d committed entries, but %d", n.Addr, len(w.committed), n.durable)
		}
		st := n.Status()
		var backup *node // in this epoch
		for _, b := range w.nodes {
			if b.Server == st.View.BackupServer() && b.View().Viewnum == st.View.Viewnum {
				backup = b
			}
		}
		if st.Authority == replica.Solo || (st.Authority == replica.Joint && backup != nil) {
			committers++
		}
		if !st.BackupInSync || backup == nil {
			continue
		}
		if b := backup.Status(); b.Commit > st.Commit || st.Commit > b.Last {
			w.fail("I7: the backup committed %d and has %d, the primary committed %d", b.Commit, b.Last, st.Commit)
		}
		if !w.holds(backup, st.Commit) {
			w.fail("I8: %s acknowledged view %d, whose backup lacks some of %d committed entries", n.Addr, st.View.Viewnum, st.Commit)
		}
	}
	if committers > 1 {
		w.fail("I4: %d servers may commit", committers)
	}
}

// heal is the second phase: no more faults. Every request is answered in bounded
// time and new ones succeed (P1), unless the group is down (V9).
func (w *world) heal() {
	for _, n := range w.nodes {
		n.sync, n.frozen = true, 0
		w.do(n, "stays", (*replica.Replica).Stay)
		w.take(n)
	}
	w.calm(200)
	for _, n := range w.nodes {
		n.agreed = 0
		w.check(n)
	}
	if w.monitor.down() {
		return
	}
	for _, n := range w.nodes {
		if st := n.Status(); st.Waiting > 0 {
			w.fail("P1: %s is still %s, %s, and %d requests wait", n.Addr, st.Role, st.Authority, st.Waiting)
		}
	}
	if len(w.waiting) > 0 {
		w.fail("P1: %d requests are not answered", len(w.waiting))
	}
	before := w.answered
	for _, n := range w.nodes {
		if n.Server == w.monitor.view.PrimaryServer() {
			for who := range w.sessions {
				w.update(n, who, false)
			}
			w.read(n, 0)
			w.calm(5)
		}
	}
	if w.answered != before+len(w.sessions)+1 {
		w.fail("P1: the group is in view %+v, active %d, and %d of %d requests were answered", w.monitor.view, w.monitor.active, w.answered-before, len(w.sessions)+1)
	}
}

// guard returns what broke while f ran.
func guard(f func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case breach:
			err = e.error
		case *tandem.InvariantError:
			err = e
		default:
			panic(e)
		}
	}()
	f()
	return nil
}

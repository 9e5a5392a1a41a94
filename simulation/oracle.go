package simulation

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// oracle knows what no single server knows: the one global log of what was
// committed by anybody, and everything that follows from it. An operation
// counts as committed when the first server applies it.
type oracle struct {
	w         *World
	log       []replica.Entry
	replies   [][]byte
	appliedAt []int64        // for each entry, at which event it was first applied
	states    []*store.Store // states[i] is the state after i entries
	rules     reference
	names     map[requestName]int // the operation that was sent under a name
	order     []requestName       // names, in the order of their first use

	// What the view service decided, told from its records.
	view   tandem.View
	active uint
	inSync []tandem.Server // members of the last active view
	leader tandem.Server   // its primary
	sure   durableViews    // the same, as far as it is durable
	acked  map[uint]bool   // views that their primary said it acknowledges
	causes causes          // to change the view
}

// durableViews is what the view service would go on from if it crashed now.
type durableViews struct {
	view   tandem.View
	active uint
	inSync []tandem.Server
	leader tandem.Server
}

func (o *oracle) init(w *World) {
	*o = oracle{w: w, states: []*store.Store{store.New(w.opt.Limits)}, acked: make(map[uint]bool), names: make(map[requestName]int)}
	o.rules.init()
}

// last returns the index of the last operation committed anywhere.
func (o *oracle) last() uint64 { return uint64(len(o.log)) }

// applied is told of every entry that a server applies. Only committed entries
// are (L4), so this is what I5 is checked on.
func (o *oracle) applied(s *server, e replica.Entry, reply []byte) {
	switch {
	case s.isForeign():
		return
	case e.Index == 0 || e.Index > o.last()+1:
		o.w.fail("I5", "%s applied entry %d while %d are committed", serverText(s.self), e.Index, o.last())
	case e.Index == o.last()+1:
		o.commit(e)
	}
	if e.Index < o.last() {
		o.w.cover.rule("L6") // by another replica, or again
	}
	held := &o.log[e.Index-1]
	if held.Epoch != e.Epoch || held.Time != e.Time || !bytes.Equal(held.Payload, e.Payload) {
		o.w.fail("I5", "%s committed another entry %d, of epoch %d, than was committed before, of epoch %d", serverText(s.self), e.Index, e.Epoch, held.Epoch)
	}
	if !bytes.Equal(reply, o.replies[e.Index-1]) {
		o.w.fail("I12", "entry %d came to another reply at %s than the log's fold: %q, not %q", e.Index, serverText(s.self), reply, o.replies[e.Index-1])
	}
}

// commit adds an entry to the global log, and folds it in twice: by a store
// and by the reference, which must agree.
func (o *oracle) commit(e replica.Entry) {
	if n := len(o.log); n > 0 && e.Time < o.log[n-1].Time {
		o.w.fail("L6", "entry %d has time %d, and the one before it %d", e.Index, e.Time, o.log[n-1].Time)
	}
	o.log = append(o.log, e)
	o.checkPace(e)
	o.appliedAt = append(o.appliedAt, int64(o.w.events))
	state := o.states[len(o.states)-1].Clone().(*store.Store)
	reply := state.Apply(e)
	o.states = append(o.states, state)
	o.replies = append(o.replies, reply)
	o.rules.apply(o.w, e, reply)
}

// checkPace is L6: the log's time goes on at the pace of a clock, whichever server
// is primary and whatever its own clock shows, as long as none is set or runs wrong.
func (o *oracle) checkPace(e replica.Entry) {
	wrong := o.w.cover.Counts[ClockJumps] + o.w.cover.Counts[ClockRates]
	if gone := e.Time - o.log[0].Time; gone > o.w.now && wrong == 0 {
		o.w.fail("L6", "at entry %d the log's time has gone %d ms from the first, and the world's only %d in all", e.Index, gone, o.w.now)
	}
}

// installed is told that a server installed a transfer (I12).
func (o *oracle) installed(s *server) {
	if s.isForeign() {
		return
	}
	index := s.status.Applied
	if index > o.last() {
		o.w.fail("I12", "%s installed a state as of %d, and %d are committed", serverText(s.self), index, o.last())
	}
	o.compare(s, index)
	o.w.cover.count(Installed)
	if o.states[index].Stats().Sessions > 0 {
		o.w.cover.rule("S2")
	}
}

// compare checks that a server's state is the fold of the log up to an index.
func (o *oracle) compare(s *server, index uint64) {
	m, ok := s.core.Machine().(*machine)
	if !ok {
		o.w.fail("I12", "%s has lost its machine", serverText(s.self))
	}
	if !m.Store.Equal(o.states[index]) {
		o.w.fail("I12", "the state of %s is not the fold of the log up to %d: %q, not %q", serverText(s.self), index, m.AppendState(nil), o.states[index].AppendState(nil))
	}
}

// pinged is told what a server tells the view service (I8, V11).
func (o *oracle) pinged(s *server, p *tandem.PingArgs) {
	if s.isForeign() {
		return
	}
	v := s.core.View()
	if p.Leaving && v.PrimaryServer() == s.self && (s.status.Authority != replica.Joint || s.status.Applied != s.status.Last) {
		o.w.fail("V11", "primary %s says that it leaves, with authority %s, and %d of %d entries applied", serverText(s.self), s.status.Authority, s.status.Applied, s.status.Last)
	}
	if p.Viewnum == 0 || v.PrimaryServer() != s.self || p.Viewnum != v.Viewnum {
		return
	}
	o.acked[v.Viewnum] = true
	if v.Backup == "" || o.active >= v.Viewnum {
		return
	}
	b := o.w.find(v.BackupServer())
	if b == nil || b.status.View.Viewnum != v.Viewnum {
		return // died or went on: this view will never do harm
	}
	if b.has() < s.status.Commit {
		o.w.fail("I8", "%s acknowledges view %d, whose backup has %d of %d committed", serverText(s.self), v.Viewnum, b.has(), s.status.Commit)
	}
}

// departed is told of a server that has left (V11): the view by which it did
// so does not name it, and is active, so that rule V5 cannot come back to it.
func (o *oracle) departed(s *server) {
	if s.isForeign() {
		return
	}
	v, _ := o.w.monitor.core.View()
	if v.Viewnum == s.status.View.Viewnum && (v.PrimaryServer() == s.self || v.BackupServer() == s.self) {
		o.w.fail("V11", "%s has left, and view %s names it", serverText(s.self), viewText(v))
	}
	if slices.Contains(o.inSync, s.self) {
		o.w.fail("V11", "%s has left, and is in sync as of view %d: should its heir die, nobody has what is committed", serverText(s.self), o.active)
	}
}

// find returns the server with that very incarnation if it is up.
func (w *World) find(who tandem.Server) *server {
	for _, s := range w.servers {
		if s.self == who && s.up() {
			return s
		}
	}
	return nil
}

// heard is told of every ping that arrives: a member of the view with another
// incarnation than the view names has restarted (V6).
func (o *oracle) heard(p *tandem.PingArgs) {
	if o.w.amnesia == 0 {
		o.causes.heard(p)
	}
	who := tandem.Server{Addr: p.Me, Incarnation: p.Incarnation}
	for _, m := range [...]tandem.Server{o.view.PrimaryServer(), o.view.BackupServer()} {
		if m.Addr == who.Addr && m != who && o.w.find(who) != nil {
			o.w.cover.rule("V6")
		}
	}
}

// recorded is told what the view service decides (I1, I2, V3).
func (o *oracle) recorded(was, is *view.Record) {
	w := o.w
	if is.View.Viewnum < was.View.Viewnum || is.Active < was.Active || is.Active > is.View.Viewnum {
		w.fail("I1", "the view service goes from view %d, active %d, to view %d, active %d", was.View.Viewnum, was.Active, is.View.Viewnum, is.Active)
	}
	if is.Active != o.active {
		if is.Active != o.view.Viewnum || !o.acked[is.Active] {
			w.fail("V3", "view %d counts as active: the view is %d, and its primary acknowledged it: %t", is.Active, o.view.Viewnum, o.acked[is.Active])
		}
		o.active = is.Active
		o.leader = o.view.PrimaryServer()
		o.inSync = slices.DeleteFunc([]tandem.Server{o.view.PrimaryServer(), o.view.BackupServer()},
			func(s tandem.Server) bool { return s.Addr == "" })
		w.cover.count(Activations)
	}
	if is.View == o.view {
		return
	}
	primary := is.View.PrimaryServer()
	if o.active > 0 && !slices.Contains(o.inSync, primary) {
		w.fail("I2", "view %s has a primary that is not among the in-sync set of view %d", viewText(is.View), o.active)
	}
	o.causes.look(is.View)
	if o.view.Viewnum > 0 && primary != o.view.PrimaryServer() {
		w.cover.count(Promotions)
	}
	o.view = is.View
	w.cover.count(ViewChanges)
	for _, k := range w.monitor.core.Status().Servers {
		if k.Suspected {
			w.cover.rule("V7")
		}
	}
}

// kept is told of the view service's records that are durable.
func (o *oracle) kept(r *view.Record) {
	if o.w.amnesia == 0 && r.View == o.view && r.Active == o.active {
		o.sure = durableViews{o.view, o.active, o.inSync, o.leader}
	}
}

// reverted is told that the view service crashed and goes on from a record. If
// that is not the last one made, what the last decided is void (V10: nobody was
// told).
func (o *oracle) reverted(r *view.Record) {
	if o.w.amnesia > 0 {
		return
	}
	if r.View == o.view && r.Active == o.active {
		o.sure = durableViews{o.view, o.active, o.inSync, o.leader}
		return
	}
	o.w.cover.count(RecordsLost)
	o.view, o.active, o.inSync, o.leader = o.sure.view, o.sure.active, o.sure.inSync, o.sure.leader
	if r.View != o.view || r.Active != o.active {
		o.w.fail("V10", "the view service goes on from view %s, active %d; durable were view %s, active %d", viewText(r.View), r.Active, viewText(o.view), o.active)
	}
}

// answered is told of every reply to an update before it goes out (I9, I10).
func (o *oracle) answered(s *server, a *arrival, p *tandem.PutReply) {
	w := o.w
	if s.isForeign() {
		return
	}
	if a.session.session == 0 {
		if p.Err == tandem.OK && !o.rules.opened[p.Session] {
			w.fail("I9", "%s opened session %d, and the log does not", serverText(s.self), p.Session)
		}
		return
	}
	got, ran := o.rules.results[a.session]
	switch p.Err {
	case tandem.OK, tandem.ErrNoKey:
		if !ran {
			w.fail("I9", "%s answered request %d.%d, which is not in the log", serverText(s.self), a.session.session, a.session.number)
		}
		if got.err != p.Err || got.previous != p.PreviousValue || got.swapped != p.Swapped {
			w.fail("I10", "%s answered request %d.%d with %+v, and its execution came to %+v", serverText(s.self), a.session.session, a.session.number, *p, got)
		}
		if p.Outcome != tandem.DidRun {
			w.fail("S5", "%s answered request %d.%d and does not say that it ran", serverText(s.self), a.session.session, a.session.number)
		}
	case tandem.ErrSessionExpired:
		if _, known := o.rules.sessions[a.session.session]; known {
			w.fail("S3", "%s says that session %d has expired, and it has not", serverText(s.self), a.session.session)
		}
		w.cover.count(RefusedExpired)
	case tandem.ErrStaleRequest:
		if ses, known := o.rules.sessions[a.session.session]; known && ses.number <= a.session.number {
			w.fail("S3", "%s says that request %d.%d is stale, and it is not", serverText(s.self), a.session.session, a.session.number)
		}
		w.cover.count(RefusedStale)
	}
}

// read is told of every value read, and the index it was read at (I11).
func (o *oracle) read(s *server, a *arrival, index uint64) {
	if s.isForeign() {
		return
	}
	switch s.status.Authority {
	case replica.Solo:
		o.w.cover.rule("R1")
	case replica.Joint:
		o.w.cover.rule("R2")
	}
	if index < a.committed {
		o.w.fail("I11", "%s answered a read from the state at %d; %d were committed when it arrived", serverText(s.self), index, a.committed)
	}
	if index > o.last() {
		o.w.fail("I11", "%s answered a read from the state at %d; only %d are committed", serverText(s.self), index, o.last())
	}
}

// scanned is told of every page of a scan: it shows the state as of its index,
// and that is fresh enough for the first.
func (o *oracle) scanned(s *server, a *arrival, p *tandem.ScanReply, index uint64) {
	if s.isForeign() {
		return
	}
	args := a.env.body.Scan
	if args.Scan == 0 {
		o.read(s, a, index)
	}
	if p.Err != tandem.OK {
		o.w.cover.count(ScanLost)
		return
	}
	want := args.Scan
	if want == 0 {
		want = index
	}
	if p.Index != want || p.Index > o.last() {
		o.w.fail("I11", "%s answered a scan of the state at %d with that at %d", serverText(s.self), want, p.Index)
	}
	pairs := o.pairs(p.Index, args.Prefix, args.Scan != 0, args.After)
	if len(p.Pairs) > len(pairs) || !slices.Equal(p.Pairs, pairs[:len(p.Pairs)]) || p.More != (len(p.Pairs) < len(pairs)) {
		o.w.fail("I11", "%s answered a scan of the state at %d with %v, more %t; there are %v", serverText(s.self), p.Index, p.Pairs, p.More, pairs)
	}
}

// pairs returns the pairs with a prefix as of an index, from or after a key.
func (o *oracle) pairs(index uint64, prefix string, following bool, after string) []tandem.Pair {
	var pairs []tandem.Pair
	for key, value := range o.states[index].All() {
		if strings.HasPrefix(key, prefix) && (!following || key > after) {
			pairs = append(pairs, tandem.Pair{Key: key, Value: value})
		}
	}
	return pairs
}

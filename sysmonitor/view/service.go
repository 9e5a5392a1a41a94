package view

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

// Service is the view service's core: see the package comment. It is not safe
// for concurrent use. When an invariant breaks, the method that noticed panics
// with a *tandem.InvariantError, and the Service must not be used any more.
type Service struct {
	cfg      Config
	state    State
	detector detector

	// known is what is durable, and so may be told: the view and the last
	// activated number.
	told    announcement
	records uint64  // records made so far
	pending *Record // V10: made, and not durable yet
	durable Record  // the last durable one; for telling whether another is due
	held    []held  // replies that wait for pending

	// lost says why the service announces nothing (rule V0); empty: it does.
	lost string
	// listen is the ticks for which it listens before it makes its first view.
	listen int

	out     Effects
	history []Change
	changes uint64 // that the history has ever had
}

// announcement is what replies name.
type announcement struct {
	view   tandem.View
	active uint
}

// held is a reply that waits for what its ping brought about to be durable. A
// ping that came while a record was on its way may bring about the next.
type held struct {
	request uint64
	next    bool // it came while the record was on its way
}

// Reply is the answer to the ping that came with the same request number.
type Reply struct {
	Request uint64
	// Ping lacks PingInterval, which the core does not know.
	Ping tandem.PingReply
}

// Effects is what a Service wants done.
type Effects struct {
	// Record is to be made durable; then Durable is to be called with its
	// Number. Nil if there is nothing new to keep.
	Record *Record
	// Replies are to be sent.
	Replies []Reply
	// News says that Get answers otherwise than before: a view was announced
	// or activated, or the memory was found to be lost.
	News bool
}

// New returns a Service without a past: its view is 0 until a server pings. It
// panics if cfg.Cluster is zero.
func New(cfg Config) *Service {
	if cfg.Cluster == 0 {
		panic("view: Config.Cluster is zero")
	}
	cfg = cfg.withDefaults()
	return &Service{
		cfg:      cfg,
		state:    State{max: cfg.ServersMax, cluster: cfg.Cluster, group: cfg.Group},
		detector: detector{cfg: cfg},
		listen:   cfg.ListenPings * cfg.TicksPerPing,
	}
}

// Restore returns a Service that goes on from its last durable record. The
// cluster id is the record's; cfg.Cluster is used only if the record holds no
// view, since a cluster was given up (StartOver), and must not be that one's. The
// servers that the record names are given DeadPings intervals to be heard; until
// then they are neither suspected nor chosen. The history begins with the view as
// it was restored. The error wraps ErrBadRecord.
func Restore(cfg Config, r Record) (*Service, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.View.Group != cfg.Group {
		return nil, fmt.Errorf("%w: of group %d, wanted %d", ErrBadRecord, r.View.Group, cfg.Group)
	}
	if r.View.Viewnum > 0 {
		cfg.Cluster = r.View.Cluster
	}
	s := New(cfg)
	r.InSync = append([]tandem.Server(nil), r.InSync...)
	r.Abandoned = append([]uint64(nil), r.Abandoned...)
	s.state.abandoned = r.Abandoned
	if s.state.isAbandoned(cfg.Cluster) {
		return nil, fmt.Errorf("%w: cluster %x was given up, and cannot begin anew", ErrBadRecord, cfg.Cluster)
	}
	s.state.view, s.state.active = r.View, r.Active
	s.state.inSync = append([]tandem.Server(nil), r.InSync...)
	s.state.backupLost = r.BackupLost
	s.records, s.durable = r.Number, r
	s.told = announcement{r.View, r.Active}
	for _, m := range append([]tandem.Server{r.View.PrimaryServer(), r.View.BackupServer()}, r.InSync...) {
		if m.Addr == "" || s.state.find(m.Addr) >= 0 {
			continue
		}
		k := server{Server: m, presence: awaited}
		if m.Incarnation == 0 {
			// V6: whether this lab server pinged above 0 is not on record, so 0
			// from it now must be taken for a restart.
			k.number = r.View.Viewnum
		}
		s.state.servers = append(s.state.servers, k)
		s.detector.add(m)
	}
	s.history = []Change{{View: r.View, Active: r.Active, Rule: "V10", Reason: "restored from the record"}}
	s.changes = 1
	if r.View.Viewnum == 0 {
		s.history[0].Rule = "V0"
		s.history[0].Reason = fmt.Sprintf("cluster %x was given up, and a new one begins", r.Abandoned[len(r.Abandoned)-1])
	}
	return s, nil
}

// Ping takes a ping in. The reply comes out of Take with the same request
// number, not before whatever the ping decided is durable (rule V10).
func (s *Service) Ping(request uint64, args tandem.PingArgs) {
	if err := s.refuse(args); err != tandem.OK {
		s.out.Replies = append(s.out.Replies, Reply{request, tandem.PingReply{Err: err, DeadPings: s.cfg.DeadPings}})
		return
	}
	who := tandem.Server{Addr: args.Me, Incarnation: args.Incarnation}
	busy := s.pending != nil
	if args.Incarnation == 0 {
		s.listen = 0 // V0: a lab server names no cluster, whatever it knows, and expects to be named at once
	}
	if s.detector.fresh(who, args.Seq, s.presentAlive(args.Me)) {
		s.step(s.detector.hear(&s.state, args))
	} else {
		s.observe("V2", fmt.Sprintf("ping %d of %s is late, and ignored", args.Seq, name(who)))
	}
	if s.pending != nil {
		s.hold(held{request, busy})
		return
	}
	s.answer(request)
}

// hold has a reply wait for the pending record. Of more than HeldMax the oldest
// is answered, with what names no view: whoever sent it has pinged many times
// since, and does not wait for it any more.
func (s *Service) hold(h held) {
	s.held = append(s.held, h)
	if len(s.held) > HeldMax {
		s.out.Replies = append(s.out.Replies, Reply{s.held[0].request, tandem.PingReply{Err: tandem.ErrBusy, DeadPings: s.cfg.DeadPings}})
		s.held = append(s.held[:0], s.held[1:]...)
	}
}

// refuse returns the error that a ping is refused with, or OK, and notes what
// it shows about the service's own memory.
func (s *Service) refuse(args tandem.PingArgs) tandem.Err {
	who := tandem.Server{Addr: args.Me, Incarnation: args.Incarnation}
	switch {
	case args.Me == "" || len(args.Me) > AddrMax:
		return tandem.ErrBadRequest
	case args.Group != s.cfg.Group:
		return tandem.ErrWrongCluster
	case s.lost != "":
		return tandem.ErrLostMemory
	case s.state.view.Viewnum > 0 && args.Cluster != 0 && args.Cluster != s.state.cluster:
		// V0: this cluster has formed, and that server is of another.
		s.observe("V0", fmt.Sprintf("%s is of cluster %x, and refused", name(who), args.Cluster))
		return tandem.ErrWrongCluster
	case s.state.isAbandoned(args.Cluster):
		// V0: no view has formed since that cluster was given up on purpose.
		s.observe("V0", fmt.Sprintf("%s is of cluster %x, which was given up, and refused", name(who), args.Cluster))
		return tandem.ErrWrongCluster
	case s.state.view.Viewnum == 0 && args.Cluster != 0:
		// V0: whoever knows a cluster has seen a view, and this service none.
		s.lose(fmt.Sprintf("%s knows cluster %x, and this service has made no view", name(who), args.Cluster))
		return tandem.ErrLostMemory
	case args.Viewnum > s.told.view.Viewnum:
		s.lose(fmt.Sprintf("%s has adopted view %d, and the last that this service announced is %d", name(who), args.Viewnum, s.told.view.Viewnum))
		return tandem.ErrLostMemory
	case s.state.find(args.Me) < 0 && s.state.full():
		s.observe("V2", fmt.Sprintf("%s is refused: %d servers are known, and no more allowed", name(who), s.cfg.ServersMax))
		return tandem.ErrBusy
	}
	return tandem.OK
}

// presentAlive reports whether the life that is known at the address is alive.
func (s *Service) presentAlive(addr string) bool {
	i := s.state.find(addr)
	return i >= 0 && s.state.servers[i].presence == alive
}

// lose is V0: from here on nothing is announced. It is final; only a restart
// with the memory brings the service back.
func (s *Service) lose(why string) {
	s.lost = why
	s.pending = nil
	s.out.Record = nil
	s.out.News = true
	for _, h := range s.held {
		s.out.Replies = append(s.out.Replies, Reply{h.request, tandem.PingReply{Err: tandem.ErrLostMemory, DeadPings: s.cfg.DeadPings}})
	}
	s.held = nil
	s.observe("V0", "memory lost: "+why)
}

// Tick counts one tick, a TicksPerPing-th of a ping interval.
func (s *Service) Tick() {
	if s.lost == "" {
		s.listen = max(0, s.listen-1)
		s.step(s.detector.tick(&s.state))
	}
}

// Suspect says that the server is to be suspected now (rule V7), whatever the
// countdown says; a search may fire it at will. A server that pings again is
// alive again. Nothing happens unless that very server is known.
func (s *Service) Suspect(who tandem.Server) {
	if s.lost == "" && s.state.known(who) != nil && !s.state.isSuspected(who) {
		s.step([]Command{{Kind: Suspected, Server: who}})
	}
}

// CoolDown says that the server has pinged for long enough since it was reported
// (rule V8), whatever the countdown says; a search may fire it at will.
func (s *Service) CoolDown(who tandem.Server) {
	if k := s.state.known(who); s.lost == "" && k != nil && k.cooling {
		s.step([]Command{{Kind: CooledDown, Server: who}})
	}
}

// Hint says that the server may be gone (rule V7): a connection of its closed,
// say. It is suspected unless it pings within HintPings intervals.
func (s *Service) Hint(who tandem.Server) {
	if s.lost == "" && s.state.known(who) != nil {
		s.detector.hint(who)
	}
}

// Refused says that the server's process is gone (rule V7): a connection of its
// closed, over which its last ping was the one with that sequence number, and then
// its address refused to be dialled. It is suspected at once, unless it has pinged
// since; and of the pings that came over that connection, one that is heard only
// now is no sign that it lives.
func (s *Service) Refused(who tandem.Server, seq uint64) {
	if s.LastSeq(who) <= seq {
		s.detector.outlived(who, seq)
		s.Suspect(who)
	}
}

// Durable says that the record with that number, and so every one before it, is
// durable. Numbers that nothing waits for are ignored.
func (s *Service) Durable(number uint64) {
	if s.pending == nil || number != s.pending.Number {
		return
	}
	s.durable, s.pending = *s.pending, nil
	s.announce()
	// What was noted while the record was on its way is decided now.
	waiting := s.held
	s.held = nil
	s.step(nil)
	for _, h := range waiting {
		if h.next && s.pending != nil {
			// V10: its facts may be in that record. Were a lab server that
			// restarted answered before its restart is durable, it would adopt
			// the view it lost, and a service restarted from the old record
			// would take it for a member of the in-sync set.
			s.held = append(s.held, held{request: h.request})
			continue
		}
		s.answer(h.request)
	}
}

// Pending returns the number of the record that is not durable yet, and whether
// there is one.
func (s *Service) Pending() (number uint64, ok bool) {
	if s.pending == nil {
		return 0, false
	}
	return s.pending.Number, true
}

// Take returns the effects collected since it was last called.
func (s *Service) Take() Effects {
	out := s.out
	s.out = Effects{}
	return out
}

// step applies commands, decides, and makes a record of what must be kept.
func (s *Service) step(commands []Command) {
	for _, c := range commands {
		s.note(s.state.apply(c))
		if c.Kind == Forgotten && s.state.find(c.Server.Addr) < 0 {
			s.detector.drop(c.Server.Addr)
		}
	}
	if s.pending != nil {
		return // V10: one record at a time; Durable goes on from here
	}
	if s.listens() {
		return
	}
	s.note(s.state.decide())
	if r := s.state.record(s.records + 1); !r.same(s.durable) {
		s.records++
		s.pending = &r
		out := r
		out.InSync = append([]tandem.Server(nil), r.InSync...)
		out.Abandoned = append([]uint64(nil), r.Abandoned...)
		s.out.Record = &out
	}
}

// listens reports whether it is too early for a first view (rule V0).
func (s *Service) listens() bool { return s.state.view.Viewnum == 0 && s.listen > 0 }

// record returns what must be durable of the state.
func (s *State) record(number uint64) Record {
	return Record{
		Number: number, View: s.view, Active: s.active,
		InSync: append([]tandem.Server(nil), s.inSync...), BackupLost: s.backupLost,
		Abandoned: s.abandoned,
	}
}

// same reports whether two records of one Service keep the same, whatever their
// numbers. The abandoned clusters never change while it lives.
func (r Record) same(o Record) bool {
	if r.View != o.View || r.Active != o.Active || r.BackupLost != o.BackupLost || len(r.InSync) != len(o.InSync) {
		return false
	}
	for i := range r.InSync {
		if r.InSync[i] != o.InSync[i] {
			return false
		}
	}
	return true
}

// announce makes the durable record the one that replies name.
func (s *Service) announce() {
	now := announcement{s.durable.View, s.durable.Active}
	if now == s.told {
		return
	}
	if now.view.Viewnum < s.told.view.Viewnum || now.active < s.told.active || now.active > now.view.Viewnum {
		panic(&tandem.InvariantError{Invariant: "I1 EpochMonotone", Detail: fmt.Sprintf(
			"announcing %s active %d after %s active %d", viewText(now.view), now.active, viewText(s.told.view), s.told.active)})
	}
	s.told = now
	s.out.News = true
}

// answer replies to a ping with what is durable.
func (s *Service) answer(request uint64) {
	s.out.Replies = append(s.out.Replies, Reply{request, tandem.PingReply{
		View: s.told.view, Active: s.told.active, Err: tandem.OK, DeadPings: s.cfg.DeadPings,
	}})
}

// Get answers MonitorServer.Get. ready is false if the caller asked to wait and
// has nothing to learn yet; reply is then the answer to give when its time is
// up. It changes nothing.
func (s *Service) Get(args tandem.ViewArgs) (reply tandem.ViewReply, ready bool) {
	switch {
	case args.Group != s.cfg.Group:
		return tandem.ViewReply{Err: tandem.ErrWrongCluster}, true
	case s.lost != "":
		return tandem.ViewReply{Err: tandem.ErrLostMemory}, true
	case args.Cluster != 0 && s.told.view.Viewnum > 0 && args.Cluster != s.told.view.Cluster,
		s.state.isAbandoned(args.Cluster):
		return tandem.ViewReply{Err: tandem.ErrWrongCluster}, true
	case args.Cluster != 0 && s.told.view.Viewnum == 0, args.Viewnum > s.told.view.Viewnum:
		// V0 again, but a client's word does not silence the service: with a
		// stale client alone, a fresh cluster may still form here.
		return tandem.ViewReply{Err: tandem.ErrLostMemory}, true
	}
	reply = tandem.ViewReply{View: s.told.view, Active: s.told.active, Err: tandem.OK}
	return reply, args.Wait <= 0 || s.told.view.Viewnum > args.Viewnum
}

// View returns the announced view and the last activated number.
func (s *Service) View() (v tandem.View, active uint) { return s.told.view, s.told.active }

// Changes returns how many changes the history has ever had; those that Status tells
// are the last of them.
func (s *Service) Changes() uint64 { return s.changes }

// note tells the observer and the history what the rules did.
func (s *Service) note(done []change) {
	for _, c := range done {
		s.changes++
		s.history = append(s.history, Change{View: c.view, Active: s.state.active, Rule: c.rule, Reason: c.why})
		if len(s.history) > HistoryMax {
			s.history = append([]Change(nil), s.history[len(s.history)-HistoryMax:]...)
		}
		detail := c.why
		if c.made {
			detail = viewText(c.view) + ": " + c.why
		}
		s.observe(c.rule, detail)
	}
}

// observe tells the observer, if there is one.
func (s *Service) observe(rule, detail string) {
	if s.cfg.Observer != nil {
		s.cfg.Observer(tandem.Observation{Rule: rule, View: s.state.view.Viewnum, Detail: detail})
	}
}

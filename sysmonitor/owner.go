package sysmonitor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

const (
	// ticksPerPing makes suspicion no coarser than a quarter of an interval.
	ticksPerPing = 4
	// hintPings is the number of ping intervals that a server is given after a hint.
	hintPings = 2
	// inboxMax is how many events wait for the owner; handlers wait for room.
	inboxMax = 256
	// warnEvery is how often a refusal of one kind is logged at Warn.
	warnEvery = 10 * time.Second
)

// event is one thing for the owner to do; exactly one field is set.
type event struct {
	ping   *pingCall
	get    *getCall
	giveUp *getCall // answer it now, if it still waits
	hint   Server   // a connection of that server's closed
	gone   *ended   // one did, and the server's process is gone
	status chan Status
	broken error // for tests: break like an invariant
}

// pingCall is a ping that waits for its reply.
type pingCall struct {
	args  tandem.PingArgs
	reply chan tandem.PingReply // has room for it
}

// getCall is a Get that waits for its reply.
type getCall struct {
	args  tandem.ViewArgs
	reply chan tandem.ViewReply // has room for it
}

// owner is the goroutine that owns the core. It drains its inbox in a batch,
// steps the core for each event, and carries out the effects.
type owner struct {
	server *MonitorServer
	inbox  chan event
	done   chan struct{} // closed when run has returned

	// What follows belongs to run.
	core    *view.Service
	pings   map[uint64]*pingCall // by request number
	request uint64
	waiting map[*getCall]bool
	warned  map[string]time.Time
	down    bool        // as last logged
	logged  uint        // the last view that was logged
	keeper  *keeper     // nil: nothing is kept on disk
	stamps  []time.Time // when the last changes of the history were made
	stamped uint64      // changes that have been stamped

	last Status // what was known when run returned; read after done only

	mu  sync.Mutex
	err error // why it stopped of its own accord
}

// newOwner returns the owner of a core that goes on from what the directory holds,
// if there is one.
func newOwner(s *MonitorServer, data *dataDir) (*owner, error) {
	o := &owner{
		server: s, inbox: make(chan event, inboxMax), done: make(chan struct{}),
		pings: map[uint64]*pingCall{}, waiting: map[*getCall]bool{}, warned: map[string]time.Time{},
	}
	cfg := view.Config{
		Cluster: s.opts.cluster, Group: s.opts.group,
		TicksPerPing: ticksPerPing, DeadPings: s.opts.deadPings, HintPings: hintPings, ListenPings: s.opts.listenPings, ServersMax: s.opts.limits.Servers,
		Observer: o.observe,
	}
	if cfg.Cluster == 0 {
		var err error
		if cfg.Cluster, err = drawCluster(); err != nil {
			return nil, err
		}
	}
	if data == nil {
		o.core = view.New(cfg)
		return o, nil
	}
	o.keeper = newKeeper(data)
	if data.last == nil {
		o.core = view.New(cfg)
		return o, nil
	}
	core, err := view.Restore(cfg, *data.last)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", data.path(recordFile), err)
	}
	o.core = core
	v, _ := core.View()
	o.logged = v.Viewnum
	return o, nil
}

// tellStart logs what the service goes on from.
func (o *owner) tellStart() {
	if o.keeper == nil {
		return
	}
	v, active := o.core.View()
	log := o.server.log.With("data", o.server.opts.data)
	if v.Viewnum == 0 {
		for _, c := range o.core.Status().History { // of a cluster that was given up
			log = log.With("rule", c.Rule, "why", c.Reason)
		}
		log.Info("views will be kept; there is none yet")
		return
	}
	log.Info("goes on from the views that were kept", "cluster", fmt.Sprintf("%x", v.Cluster),
		"view", v.Viewnum, "primary", v.Primary, "backup", v.Backup, "active", active)
}

// run owns the core until the server halts, or an invariant breaks: then this
// server stops, and only this one.
func (o *owner) run() {
	defer close(o.done)
	defer func() {
		o.stamp()
		o.last = o.server.statusOf(o.core.Status(), 0)
		if r := recover(); r != nil {
			o.fail(r)
		}
	}()
	o.stamp() // what it was restored to
	ticker := time.NewTicker(o.server.opts.pingInterval / ticksPerPing)
	defer ticker.Stop()
	var kept <-chan attempt
	if o.keeper != nil {
		kept = o.keeper.ended
	}
	for {
		select {
		case <-o.server.quit:
			return
		case e := <-o.inbox:
			o.step(e)
		case a := <-kept:
			o.kept(a)
		case <-ticker.C:
			// What has arrived counts before the time that has passed: after a
			// pause of this process the pings of the living are in the inbox.
			o.drain()
			o.core.Tick()
			o.carryOut()
			o.watchDisk()
			o.logDown()
		}
		o.drain()
	}
}

// drain steps the core for what is in the inbox now.
func (o *owner) drain() {
	for range inboxMax {
		select {
		case e := <-o.inbox:
			o.step(e)
		default:
			return
		}
	}
}

// step gives one event to the core.
func (o *owner) step(e event) {
	switch {
	case e.ping != nil:
		o.request++
		o.pings[o.request] = e.ping
		o.core.Ping(o.request, e.ping.args)
	case e.get != nil:
		o.get(e.get)
	case e.giveUp != nil:
		if o.waiting[e.giveUp] {
			o.answer(e.giveUp)
		}
	case e.status != nil:
		e.status <- o.server.statusOf(o.core.Status(), len(o.waiting))
	case e.broken != nil:
		panic(e.broken)
	case e.gone != nil:
		o.core.Refused(e.gone.who, e.gone.seq) // V7
	default:
		o.core.Hint(e.hint) // V7
	}
	o.carryOut()
}

// get answers a Get, or has it wait for a newer view.
func (o *owner) get(g *getCall) {
	reply, ready := o.core.Get(g.args)
	switch {
	case ready:
		g.reply <- reply
	case len(o.waiting) >= o.server.opts.limits.Waiters:
		g.reply <- tandem.ViewReply{Err: tandem.ErrBusy}
	default:
		o.waiting[g] = true
	}
}

// answer answers a Get that waits with what there is.
func (o *owner) answer(g *getCall) {
	delete(o.waiting, g)
	reply, _ := o.core.Get(g.args)
	g.reply <- reply
}

// carryOut does what the core wants. Where nothing is kept on disk, a record is as
// durable as it gets as soon as it is made (rule V10).
func (o *owner) carryOut() {
	o.stamp()
	for {
		effects := o.core.Take()
		if effects.News {
			o.logViews() // first, so that the log has it before anybody acts on it
			o.announce()
		}
		for _, r := range effects.Replies {
			r.Ping.PingInterval = o.server.opts.pingInterval
			o.pings[r.Request].reply <- r.Ping
			delete(o.pings, r.Request)
		}
		if effects.Record == nil {
			return
		}
		if o.keeper != nil {
			o.keeper.give(effects.Record)
			return
		}
		o.core.Durable(effects.Record.Number)
	}
}

// stamp notes when changes were made: the core has no clock.
func (o *owner) stamp() {
	for ; o.stamped < o.core.Changes(); o.stamped++ {
		o.stamps = append(o.stamps, time.Now())
	}
	o.stamps = o.stamps[max(0, len(o.stamps)-view.HistoryMax):]
}

// announce answers the Gets that the news is for.
func (o *owner) announce() {
	for g := range o.waiting {
		if reply, ready := o.core.Get(g.args); ready {
			delete(o.waiting, g)
			g.reply <- reply
		}
	}
}

// logViews says which views were announced, and why they were made.
func (o *owner) logViews() {
	told, _ := o.core.View()
	if told.Viewnum <= o.logged {
		return
	}
	for _, c := range o.core.Status().History {
		v := c.View
		if v.Viewnum <= o.logged || v.Viewnum > told.Viewnum {
			continue // an activation (V3) has the number of the view before it
		}
		o.logged = v.Viewnum
		o.server.log.Info("view", "number", v.Viewnum, "primary", v.Primary, "backup", v.Backup, "rule", c.Rule, "why", c.Reason)
	}
}

// logDown says, once each, that the group is down or up again. It looks at ticks
// alone: what passes between two of them is not worth a line. While a view waits
// for the disk, nobody can tell.
func (o *owner) logDown() {
	down, why := o.core.Down()
	if _, waits := o.core.Pending(); waits || down == o.down {
		return
	}
	o.down = down
	switch {
	case !down:
		o.server.log.Info("the group is up again")
	case o.core.LostMemory():
		o.server.log.Error("view service announces nothing", "rule", "V0", "why", why)
	default:
		o.server.log.Warn("the group is down", "rule", "V9", "why", why)
	}
}

// observe logs what the core reports: what is decided and what is refused.
func (o *owner) observe(ob tandem.Observation) {
	level := slog.LevelDebug // of views, logViews tells when they are announced
	// Refusals come once per ping: one in a while will do.
	if now := time.Now(); ob.Rule == "V0" && now.Sub(o.warned[ob.Rule]) >= warnEvery {
		o.warned[ob.Rule] = now
		level = slog.LevelWarn
	}
	o.server.log.Log(context.Background(), level, ob.Detail, "rule", ob.Rule, "view", ob.View)
}

// fail stops this server after a panic in the core, loudly.
func (o *owner) fail(r any) {
	err, ok := r.(error)
	if !ok {
		err = fmt.Errorf("panic: %v", r)
	}
	o.mu.Lock()
	o.err = err
	o.mu.Unlock()
	o.server.log.Error("view service stops: what must hold does not", "err", err,
		"status", fmt.Sprintf("%+v", o.last), "stack", string(debug.Stack()))
	o.server.halt()
	// Kill would wait for this goroutine; cutting the connections is enough
	// for now, and Kill does the rest.
	o.server.serving.Go(o.server.rpc.Close)
}

func (o *owner) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// post hands an event to the owner. It reports false if the server has stopped,
// or cancel was closed, before there was room.
func (o *owner) post(e event, cancel <-chan struct{}) bool {
	select {
	case <-o.server.quit:
		return false
	default:
	}
	select {
	case o.inbox <- e:
		return true
	case <-cancel:
		return false
	case <-o.server.quit:
		return false
	}
}

// status asks the owner for the status.
func (o *owner) status(cancel <-chan struct{}) (Status, error) {
	reply := make(chan Status, 1)
	if !o.post(event{status: reply}, cancel) {
		return Status{}, ErrStopped
	}
	select {
	case st := <-reply:
		return st, nil
	case <-cancel:
		return Status{}, ErrStopped
	case <-o.server.quit:
		return Status{}, ErrStopped
	}
}

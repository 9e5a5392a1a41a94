package search

import (
	"fmt"
	"sync/atomic"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// explorer makes States and remembers what every step of every part came to. It
// is safe for concurrent use.
type explorer struct {
	cfg Config

	machine   replica.Machine // an empty one
	updates   []replica.Request
	operation map[string]int // the update that a payload is
	query     []byte
	opening   []byte // of a session
	prepared  int    // entries committed in the start state

	servers   interned[server]
	services  interned[service]
	entries   interned[entry]
	messages  interned[message]
	pings     interned[ping]
	announced interned[announcement]

	messageSets   sets[message]
	announcements sets[announcement]
	pingLists     sets[ping]
	pingSets      sets[ping]
	nothingTold   *set[announcement]

	births [ServersMax]memo[server]
	folds  atomic.Uint32

	preparing bool // disks confirm at once
	// tracing: the cores report the rules that fire to notes. An explorer that
	// does is not safe for concurrent use.
	tracing bool
	notes   []note
}

// note is a rule that fired, at a server's place or at the view service's, -1.
type note struct {
	place int
	tandem.Observation
}

func newExplorer(cfg Config, tracing bool) *explorer {
	x := &explorer{cfg: cfg, tracing: tracing, machine: store.New(store.Limits{}), operation: make(map[string]int)}
	x.messageSets.number = func(m *message) uint32 { return m.id }
	x.announcements.number = func(a *announcement) uint32 { return a.id }
	x.pingLists.number = func(p *ping) uint32 { return p.id }
	x.pingLists.ordered = true
	x.pingSets.number = x.pingLists.number
	x.nothingTold = x.announcements.of(nil)
	for op := range cfg.Ops {
		r := x.update(op)
		x.updates = append(x.updates, r)
		x.operation[string(r.Payload)] = op
	}
	query, err := store.GetQuery(&tandem.GetArgs{Key: theKey}, store.Limits{})
	if err != nil {
		panic(err)
	}
	x.query = query
	x.opening, err = store.PutCommand(&tandem.PutArgs{Op: tandem.OpOpenSession}, store.Limits{})
	if err != nil {
		panic(err)
	}
	return x
}

func (x *explorer) observer(place int) func(tandem.Observation) {
	if !x.tracing {
		return nil
	}
	return func(o tandem.Observation) { x.notes = append(x.notes, note{place, o}) }
}

// birth returns a server's next life.
func (x *explorer) birth(place, life int) *server {
	if n := x.births[place].get(uint64(life)); n != nil {
		return n
	}
	return x.births[place].put(uint64(life), x.newServer(place, life))
}

// start returns the state that the search starts from.
func (x *explorer) start() *State {
	s := &State{x: x, service: x.newService()}
	f := &fold{store: x.machine.Empty().(*store.Store)}
	x.finishFold(f)
	s.oracle.fold = f
	s.sent = x.messageSets.of(nil)
	s.live = s.sent
	for i := range x.cfg.Servers {
		s.told[i], s.news[i] = x.nothingTold, x.nothingTold
		s.servers[i] = x.birth(i, 0)
		s.pings[i], s.old[i] = x.pingLists.of(nil), x.pingSets.of(nil)
		if x.cfg.LatePings {
			s.pings[i] = x.pingLists.add(s.pings[i], s.servers[i].ping)
		}
	}
	if !x.cfg.Fresh {
		x.preparing = true
		s = x.prepare(s)
		x.preparing = false
	}
	return s
}

// prepare brings a group to where a is the primary of view 1, alone, and every
// client has opened its session.
func (x *explorer) prepare(s *State) *State {
	do := func(e event) {
		t, v := s.after(e)
		if v != nil {
			panic(fmt.Sprintf("search: the start state breaks %s: %s", v.invariant, v.detail))
		}
		if t != nil {
			s = t
		}
	}
	pings := func() { do(event{hearsPing, 0, s.servers[0].ping.id}) }
	hears := func() { do(event{learns, 0, s.service.told.id}) }
	pings()
	hears()
	pings()
	hears()
	for op := range x.cfg.Ops {
		e := event{opens, 0, uint32(op)}
		o := x.step(s.servers[0], e, x.serverTakes(s.servers[0], e))
		t := new(State)
		if _, v := s.intoServer(t, e, o); v != nil {
			panic(fmt.Sprintf("search: opening a session breaks %s: %s", v.invariant, v.detail))
		}
		s = t
	}
	x.prepared = s.oracle.fold.index
	return s
}

package search

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// State is everything at one moment. Its parts are shared with other States and
// never change.
type State struct {
	x       *explorer
	service *service
	servers [ServersMax]*server
	// pings holds, for each address, what its lives told the view service and
	// may still arrive, and old what can have no effect any more.
	pings, old [ServersMax]*set[ping]
	// sent is every message that was ever sent, and live what of it can still
	// have an effect.
	sent, live *set[message]
	// told holds, for each server, what the view service announced since the
	// server's life began, and news what of it can still be news to it.
	told, news [ServersMax]*set[announcement]
	oracle     oracle
	// unbound lifts the bound on views, for the way back to service.
	unbound bool
}

// set is an immutable set, once for all that have the same members. Where order
// matters, it is that of arrival.
type set[T any] struct {
	id      uint32
	members []*T
	with    memo[set[T]] // this set and one more
	parts   memo[set[T]] // what is left of it for a purpose
}

// sets makes the sets of one kind.
type sets[T any] struct {
	number  func(*T) uint32
	ordered bool
	all     interned[set[T]]
}

func (k *sets[T]) of(members []*T) *set[T] {
	key := make([]byte, 0, 4*len(members))
	for _, m := range members {
		key = binary.LittleEndian.AppendUint32(key, k.number(m))
	}
	return k.all.of(key, func(id uint32) *set[T] { return &set[T]{id: id, members: members} })
}

// add returns the set with one more member.
func (k *sets[T]) add(s *set[T], m *T) *set[T] {
	key := uint64(k.number(m))
	if t := s.with.get(key); t != nil {
		return t
	}
	t := s
	switch {
	case k.ordered:
		t = k.of(append(slices.Clone(s.members), m))
	case !slices.Contains(s.members, m):
		i, _ := slices.BinarySearchFunc(s.members, m, func(a, b *T) int { return int(k.number(a)) - int(k.number(b)) })
		t = k.of(slices.Insert(slices.Clone(s.members), i, m))
	}
	return s.with.put(key, t)
}

// part returns what is left of the set when only the members to keep are; key
// must tell apart what is kept.
func (k *sets[T]) part(s *set[T], key uint64, keep func(*T) bool) *set[T] {
	if t := s.parts.get(key); t != nil {
		return t
	}
	var kept []*T
	for _, m := range s.members {
		if keep(m) {
			kept = append(kept, m)
		}
	}
	return s.parts.put(key, k.of(kept))
}

// key is what tells one State from another.
type key [2]uint64

func (s *State) key() key { return s.keyOf(true) }

// keyOf leaves out what clients and the bounds remember if all is false: what is
// left decides what becomes of the servers once nothing more is asked of them.
func (s *State) keyOf(all bool) key {
	k := key{0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f}
	mix := func(v uint64) {
		k[0] = scatter(k[0]^v) + 0x165667b19e3779f9
		k[1] = scatter(k[1]+v*0x9fb21c651e98df25) ^ v
	}
	pair := func(a, b uint32) { mix(uint64(a)<<32 | uint64(b)) }
	msgs := s.live.id
	if s.x.cfg.KeepDead {
		msgs = s.sent.id
	}
	pair(s.service.id, msgs)
	mix(uint64(s.oracle.fold.id))
	for i := range s.x.cfg.Servers {
		pair(s.servers[i].id, s.pings[i].id)
		mix(uint64(s.news[i].id))
		if s.x.cfg.KeepDead {
			pair(s.old[i].id, s.told[i].id)
		}
	}
	if all {
		mix(s.oracle.budget())
		c := &s.x.cfg
		mix(s.oracle.clients(c.Goal != nil || len(c.Stages)+len(c.Invariants) > 0 || c.Prune != nil))
	}
	return k
}

// View returns the view that the view service announced last, and the last
// number that was activated.
func (s *State) View() (v tandem.View, active uint) { return s.service.view, s.service.active }

// InSync returns the in-sync set.
func (s *State) InSync() []tandem.Server { return s.service.inSync }

// Servers returns the number of servers.
func (s *State) Servers() int { return s.x.cfg.Servers }

// Server returns what the server at a place (from 0) says of itself.
func (s *State) Server(place int) replica.Status { return s.servers[place].status }

// Committed returns how many entries were committed by anybody.
func (s *State) Committed() int { return s.oracle.fold.index - s.x.prepared }

// Answered returns how many of the clients' updates were answered OK.
func (s *State) Answered() int {
	n := 0
	for i := range s.x.cfg.Ops {
		if s.oracle.answered&(1<<i) != 0 {
			n++
		}
	}
	return n
}

// Crashes returns how often a server has lost its memory.
func (s *State) Crashes() int { return int(s.oracle.crashes) }

// find returns the server with that very incarnation, nil if that life is over.
func (s *State) find(who tandem.Server) *server {
	for i := range s.x.cfg.Servers {
		if s.servers[i].self == who {
			return s.servers[i]
		}
	}
	return nil
}

// String tells the state in a few lines.
func (s *State) String() string {
	var b strings.Builder
	for _, line := range s.lines() {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

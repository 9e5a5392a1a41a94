package search

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// server is a state of one life of a server: the real core, which is never
// stepped again but cloned, and what the search wants to know of it. Equal
// states are one server.
type server struct {
	id     uint32
	place  int // among the servers
	life   int
	self   tandem.Server
	core   *replica.Replica
	copies sync.Mutex     // held while core is copied
	disk   []confirmation // that the disk owes, in order
	status replica.Status
	ping   *ping // what it would tell the view service now

	base    uint64
	entries []*entry // of the log, from base+1 on
	machine uint64   // hash of the state applied

	steps memo[outcome]
}

type confirmation struct{ generation, index uint64 }

// entry is one place of a log.
type entry struct {
	id uint32
	replica.Entry
}

// has returns the entry at an index, nil if the server's state includes it
// without holding it.
func (s *server) has(index uint64) *entry {
	if index <= s.base {
		return nil
	}
	return s.entries[index-s.base-1]
}

// copy returns a copy of the core. One is made at a time, for the trees of a store
// note in themselves that they were copied.
func (s *server) copy() *replica.Replica {
	s.copies.Lock()
	defer s.copies.Unlock()
	return s.core.Clone()
}

// outcome is what a step of a server or of the view service came to.
type outcome struct {
	server  *server
	service *service
	sends   []*message
	replies []replica.Reply
	broken  *tandem.InvariantError
	nothing bool // no change, and nothing to be seen of it
}

// message is a message between servers, once for all its copies.
type message struct {
	id uint32
	to int // the place of the server with its receiver's address
	replica.Message
}

// ping is what a server tells the view service, without the sequence.
type ping struct {
	id    uint32
	place int
	tandem.PingArgs
}

// newServer returns a life without memory.
func (x *explorer) newServer(place, life int) *server {
	self := x.name(place, life)
	core := replica.New(replica.Config{
		Self:           self,
		Machine:        x.machine.Empty(),
		ChunkBytes:     1 << 20,
		WholeTransfers: !x.cfg.Deltas,
		Observer:       x.observer(place),
	})
	return x.settle(&server{place: place, life: life, self: self, core: core}).server
}

// name returns the identity of a server's life.
func (x *explorer) name(place, life int) tandem.Server {
	return tandem.Server{Addr: string(rune('a' + place)), Incarnation: uint64(life + 1)}
}

// step lets a server take an event, or remembers what that came to.
func (x *explorer) step(s *server, ev event, take func(*replica.Replica)) *outcome {
	key := ev.key()
	if o := s.steps.get(key); o != nil {
		return o
	}
	return s.steps.put(key, x.take(s, ev, take))
}

func (x *explorer) take(s *server, ev event, take func(*replica.Replica)) (o *outcome) {
	defer x.catch(ev, &o)
	next := &server{place: s.place, life: s.life, self: s.self, core: s.copy(), disk: s.disk}
	take(next.core)
	if ev.kind == diskConfirms {
		next.disk = s.disk[1:]
	}
	o = x.settle(next)
	o.nothing = o.server == s && len(o.sends) == 0 && len(o.replies) == 0
	return o
}

// catch is deferred around a step: an invariant that a core finds broken is what the
// step came to. Any other panic goes on, and says in which event.
func (x *explorer) catch(ev event, o **outcome) {
	switch err := recover().(type) {
	case nil:
	case *tandem.InvariantError:
		*o = &outcome{broken: err}
	default:
		panic(fmt.Sprintf("%v, when %s", err, x.text(ev)))
	}
}

// settle carries out what a core wants done, and returns the state it comes to.
func (x *explorer) settle(s *server) *outcome {
	o := &outcome{}
	var told *tandem.PingArgs
	for {
		s.core.Ping()
		e := s.core.TakeEffects()
		told = e.Ping
		for _, m := range e.Messages {
			o.sends = append(o.sends, x.messageOf(m))
		}
		o.replies = append(o.replies, e.Replies...)
		if e.Keep == nil {
			break
		}
		c := confirmation{e.Keep.Generation, e.Keep.Last}
		if x.cfg.LateDisks && !x.preparing {
			s.disk = append(s.disk[:len(s.disk):len(s.disk)], c)
			break
		}
		s.core.Durable(c.generation, c.index)
	}
	told.Seq = 0
	s.ping = x.pingOf(s.place, *told)
	o.server = x.intern(s)
	return o
}

// intern returns the one server with this state.
func (x *explorer) intern(s *server) *server {
	b := []byte{byte(s.place), byte(s.life)}
	b = s.core.AppendState(b)
	b = s.core.AppendSequences(b)
	for _, c := range s.disk {
		b = binary.AppendUvarint(b, c.generation)
		b = binary.AppendUvarint(b, c.index)
	}
	return x.servers.of(b, func(id uint32) *server {
		s.id = id
		s.status = s.core.Status()
		s.base = s.status.Last
		for s.base > 0 {
			if _, held := s.core.Entry(s.base); !held {
				break
			}
			s.base--
		}
		for i := s.base + 1; i <= s.status.Last; i++ {
			e, _ := s.core.Entry(i)
			s.entries = append(s.entries, x.entryOf(e))
		}
		s.machine = hash(s.core.Machine())
		return s
	})
}

func hash(m replica.Machine) uint64 {
	h := fnv.New64a()
	h.Write(m.AppendState(nil))
	return h.Sum64()
}

func (x *explorer) entryOf(e replica.Entry) *entry {
	return x.entries.of(fmt.Appendf(nil, "%#v", e), func(id uint32) *entry { return &entry{id, e} })
}

func (x *explorer) messageOf(m replica.Message) *message {
	return x.messages.of(fmt.Appendf(nil, "%#v", m), func(id uint32) *message {
		return &message{id, int(m.To.Addr[0] - 'a'), m}
	})
}

func (x *explorer) pingOf(place int, args tandem.PingArgs) *ping {
	return x.pings.of(fmt.Appendf(nil, "%#v", args), func(id uint32) *ping { return &ping{id, place, args} })
}

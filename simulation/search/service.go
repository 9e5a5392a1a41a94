package search

import (
	"fmt"
	"slices"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// service is a state of the view service: the real core, never stepped again but
// cloned, and what the search wants to know of it.
type service struct {
	id     uint32
	core   *view.Service
	view   tandem.View // announced
	active uint
	inSync []tandem.Server
	known  []tandem.Server // the present life of each address
	alive  []tandem.Server // those of them that are not suspected
	told   *announcement   // what it tells now

	steps memo[outcome]
}

// announcement is what the view service has said at some time.
type announcement struct {
	id     uint32
	view   tandem.View
	active uint
}

func (x *explorer) newService() *service {
	core := view.New(view.Config{Cluster: 1, Observer: x.observer(-1)})
	return x.internService(core)
}

func (x *explorer) internService(core *view.Service) *service {
	return x.services.of(core.AppendState(nil), func(id uint32) *service {
		st := core.Status()
		s := &service{id: id, core: core, view: st.View, active: st.Active, inSync: st.InSync}
		for _, k := range st.Servers {
			s.known = append(s.known, k.Server)
			if !k.Suspected {
				s.alive = append(s.alive, k.Server)
			}
		}
		s.told = x.announced.of(fmt.Appendf(nil, "%#v %d", s.view, s.active), func(id uint32) *announcement {
			return &announcement{id, s.view, s.active}
		})
		return s
	})
}

// stepService lets the view service take an event, or remembers what that came
// to. Its records are durable at once (rule V10).
func (x *explorer) stepService(s *service, ev event, take func(*view.Service)) *outcome {
	key := ev.key()
	if o := s.steps.get(key); o != nil {
		return o
	}
	return s.steps.put(key, x.takeService(s, ev, take))
}

func (x *explorer) takeService(s *service, ev event, take func(*view.Service)) (o *outcome) {
	defer x.catch(ev, &o)
	core := s.core.Clone()
	take(core)
	for e := core.Take(); e.Record != nil; e = core.Take() {
		core.Durable(e.Record.Number)
	}
	o = &outcome{service: x.internService(core)}
	o.nothing = o.service == s
	return o
}

// hears is a ping that arrives: one that is late if a later one of that life has
// been heard (rule V2), and else the next.
func (s *service) hears(p *ping, late bool) func(*view.Service) {
	return func(core *view.Service) {
		args := p.PingArgs
		args.Seq = core.LastSeq(p.sender())
		if !late || args.Seq == 0 {
			args.Seq++
		}
		core.Ping(1, args)
	}
}

// sender returns who sent a ping.
func (p *ping) sender() tandem.Server {
	return tandem.Server{Addr: p.Me, Incarnation: p.Incarnation}
}

// overheard tells whether a ping must be ignored (rule V2): it is late, or of a
// former life while the present one is alive. (That a life never heard before is a
// former one nobody can tell; nor of one that was forgotten after many others.)
func (s *service) overheard(p *ping, late bool) bool {
	return s.core.LastSeq(p.sender()) > 0 && (late || slices.ContainsFunc(s.alive, func(k tandem.Server) bool { return k.Addr == p.Me && k.Incarnation > p.Incarnation }))
}

// speaksFor tells whether what a ping says of a backup counts (rule V8).
func (s *service) speaksFor(p *ping) bool {
	return p.Unreachable == s.view.Viewnum && p.sender() == s.view.PrimaryServer() && p.UnreachableIncarnation == s.view.BackupIncarnation
}

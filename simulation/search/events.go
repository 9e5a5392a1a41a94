package search

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// eventKind is the kind of an event.
type eventKind uint8

const (
	hearsPing     eventKind = iota + 1 // the view service takes a ping
	hearsLatePing                      // one that a later one has overtaken
	suspects                           // the view service suspects a server: for its silence, or a refused dial
	coolsDown                          // a server has pinged long enough since it was reported
	learns                             // a server learns what the view service announced
	delivers                           // a server takes a message
	submits                            // a client sends an update
	asks                               // a client asks for a read
	sendsAgain                         // a primary sends again, or a heartbeat
	reports                            // a primary reports its backup unreachable
	diskConfirms                       // a server's disk confirms what it was asked first
	crashes                            // a server loses its memory and comes back
	opens                              // in the start state alone
)

// event is one thing that can happen in a state, to the server at place.
type event struct {
	kind  eventKind
	place uint8
	arg   uint32 // the number of what arrives, of the update, of the read
}

func (e event) key() uint64 { return uint64(e.kind)<<40 | uint64(e.place)<<32 | uint64(e.arg) }

func eventOf(key uint64) event {
	return event{eventKind(key >> 40), uint8(key >> 32), uint32(key)}
}

// text tells an event in a line. In one state no two have the same.
func (x *explorer) text(e event) string {
	who := string(rune('a' + e.place))
	switch e.kind {
	case hearsPing:
		return fmt.Sprintf("monitor <- ping of %s", x.pings.at(e.arg))
	case hearsLatePing:
		return fmt.Sprintf("monitor <- late ping of %s", x.pings.at(e.arg))
	case suspects:
		return fmt.Sprintf("monitor suspects %s", who)
	case coolsDown:
		return fmt.Sprintf("monitor counts %s as well again", who)
	case learns:
		return fmt.Sprintf("%s learns of %s", who, x.announced.at(e.arg))
	case delivers:
		m := x.messages.at(e.arg)
		return fmt.Sprintf("%s <- %s", who, m)
	case submits:
		return fmt.Sprintf("%s <- update %d", who, e.arg+1)
	case asks:
		return fmt.Sprintf("%s <- read %d", who, e.arg+1)
	case sendsAgain:
		return fmt.Sprintf("%s sends again", who)
	case reports:
		return fmt.Sprintf("%s reports its backup unreachable", who)
	case diskConfirms:
		return fmt.Sprintf("%s's disk confirms", who)
	case opens:
		return fmt.Sprintf("%s <- open session %d", who, e.arg+1)
	case crashes:
		return fmt.Sprintf("%s crashes, and comes back without its memory", who)
	}
	return "nothing"
}

// String tells what a ping says.
func (p *ping) String() string {
	s := fmt.Sprintf("%s: %d", name(tandem.Server{Addr: p.Me, Incarnation: p.Incarnation}), p.Viewnum)
	if p.Cluster == 0 {
		s += ", no view yet"
	}
	if p.Leaving {
		s += ", leaving"
	}
	if p.Unreachable != 0 {
		s += fmt.Sprintf(", unreachable is its backup in view %d", p.Unreachable)
	}
	return s
}

// String tells what was announced.
func (a *announcement) String() string {
	return fmt.Sprintf("view %s, active %d", viewText(a.view), a.active)
}

func viewText(v tandem.View) string {
	return fmt.Sprintf("(%d,%s,%s)", v.Viewnum, name(v.PrimaryServer()), name(v.BackupServer()))
}

// String tells a message.
func (m *message) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d of %s to %s in view %s", m.Kind, m.Seq, name(m.From), name(m.To), viewText(m.View))
	switch m.Kind {
	case replica.Forward:
		fmt.Fprintf(&b, ": after %d, commit %d%s", m.Index, m.Commit, entriesText(m.Entries))
	case replica.Offer:
	case replica.Holds:
		fmt.Fprintf(&b, ": commit %d of epoch %d", m.DeltaIndex, m.DeltaEpoch)
	case replica.Chunk:
		fmt.Fprintf(&b, ": chunk %d of %s", m.ChunkNumber, m.transferText())
	case replica.ChunkTaken:
		fmt.Fprintf(&b, ": %d chunks of %s", m.ChunkNumber, m.transferText())
	default:
		fmt.Fprintf(&b, ": %d", m.Index)
	}
	return b.String()
}

func (m *message) transferText() string {
	if !m.Delta {
		return fmt.Sprintf("the state at %d", m.SnapIndex)
	}
	return fmt.Sprintf("what follows entry %d of epoch %d, up to %d%s", m.DeltaIndex, m.DeltaEpoch, m.SnapIndex, entriesText(m.Entries))
}

func entriesText(entries []replica.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, ", entry %d of epoch %d", e.Index, e.Epoch)
	}
	return b.String()
}

// each calls do with everything that can happen in a state.
func (s *State) each(do func(event)) {
	x, o := s.x, &s.oracle
	for i := range x.cfg.Servers {
		n, place := s.servers[i], uint8(i)
		for _, m := range s.sent.members {
			if m.to == i {
				do(event{delivers, place, m.id})
			}
		}
		for _, a := range s.told[i].members {
			do(event{learns, place, a.id})
		}
		if n.status.Authority != replica.None {
			for op := range x.cfg.Ops {
				// The clients are alike, so the second need not begin first.
				if int(o.submits[op]) <= x.cfg.Retries && (op == 0 || o.submits[op-1] > 0) {
					do(event{submits, place, uint32(op)})
				}
			}
			for r := range x.cfg.Reads {
				if !o.reads[r].asked && (r == 0 || o.reads[r-1].asked) {
					do(event{asks, place, uint32(r)})
				}
			}
			if s.unbound || int(o.resends) < x.cfg.Resends {
				do(event{sendsAgain, place, 0})
			}
			if x.cfg.Reports && n.status.View.Backup != "" && !n.status.BackupUnreachable {
				do(event{reports, place, 0})
			}
		}
		if len(n.disk) > 0 {
			do(event{diskConfirms, place, 0})
		}
		if int(o.crashes) < x.cfg.Crashes {
			do(event{crashes, place, uint32(n.life + 1)})
		}
		s.eachPing(i, do)
	}
}

// eachPing is what the view service may hear of one address.
func (s *State) eachPing(i int, do func(event)) {
	place := uint8(i)
	if !s.x.cfg.LatePings {
		do(event{hearsPing, place, s.servers[i].ping.id})
	} else {
		for _, p := range s.pings[i].members {
			do(event{hearsPing, place, p.id})
		}
		for _, p := range s.old[i].members {
			do(event{hearsLatePing, place, p.id})
		}
	}
	if s.knows(i) {
		do(event{suspects, place, uint32(s.lifeKnown(i))})
		if s.x.cfg.Reports {
			do(event{coolsDown, place, uint32(s.lifeKnown(i))})
		}
	}
}

// knows tells whether the view service has heard of an address.
func (s *State) knows(i int) bool { return s.lifeKnown(i) >= 0 }

// lifeKnown returns which life of an address the view service has heard last.
func (s *State) lifeKnown(i int) int {
	for _, k := range s.service.known {
		if int(k.Addr[0]-'a') == i {
			return int(k.Incarnation) - 1
		}
	}
	return -1
}

// after returns the state that an event leads to, with the invariant that the
// event broke, nil if none. The event must be one of s.each. The result is nil
// if the event changes nothing, or leads beyond the bounds.
func (s *State) after(e event) (*State, *violation) {
	t := new(State)
	changed, v := s.into(t, e)
	if !changed {
		t = nil
	}
	return t, v
}

// into is after, with the result in t; it tells whether there is one.
func (s *State) into(t *State, e event) (changed bool, v *violation) {
	x := s.x
	switch e.kind {
	case hearsPing, hearsLatePing:
		return s.intoPing(t, e)
	case suspects:
		o := x.stepService(s.service, e, s.serviceTakes(e))
		if o.service != nil && o.service.view == s.service.view && !x.cfg.AllSuspicions && !s.unbound {
			return false, nil
		}
		return s.intoService(t, o)
	case coolsDown:
		return s.intoService(t, x.stepService(s.service, e, s.serviceTakes(e)))
	case crashes:
		s.intoCrash(t, e)
		return true, nil
	case delivers:
		n, m := s.servers[e.place], x.messages.at(e.arg)
		o := x.deliver(n, m)
		if !o.nothing && !x.cfg.KeepDead && !s.isLive(m) {
			return false, s.deadTook(n, m, o)
		}
		return s.intoServer(t, e, o)
	}
	n := s.servers[e.place]
	return s.intoServer(t, e, x.step(n, e, x.serverTakes(n, e)))
}

// serverTakes is what an event is to the core of a server.
func (x *explorer) serverTakes(n *server, e event) func(*replica.Replica) {
	return func(r *replica.Replica) {
		switch e.kind {
		case learns:
			a := x.announced.at(e.arg)
			r.ViewHeard(a.view, a.active)
		case delivers:
			r.Deliver(x.messages.at(e.arg).Message)
		case submits:
			r.Submit(x.updates[e.arg])
		case asks:
			r.Submit(replica.Request{ID: readID + uint64(e.arg), Kind: replica.Read, Payload: x.query})
		case opens:
			r.Submit(replica.Request{ID: sessionID + uint64(e.arg), Payload: x.opening})
		case sendsAgain:
			r.Resend()
			r.Heartbeat()
		case reports:
			r.ReportBackup()
		case diskConfirms:
			r.Durable(n.disk[0].generation, n.disk[0].index)
		default:
			panic("search: not an event of a server")
		}
	}
}

// serviceTakes is what an event is to the core of the view service.
func (s *State) serviceTakes(e event) func(*view.Service) {
	if e.kind == suspects {
		return func(c *view.Service) { c.Suspect(s.x.name(int(e.place), int(e.arg))) }
	}
	if e.kind == coolsDown {
		return func(c *view.Service) { c.CoolDown(s.x.name(int(e.place), int(e.arg))) }
	}
	return s.service.hears(s.x.pings.at(e.arg), e.kind == hearsLatePing)
}

// rules returns the rules that fire when an event happens; the explorer must be
// a tracing one.
func (s *State) rules(e event) []note {
	x := s.x
	x.notes = nil
	switch e.kind {
	case crashes:
	case hearsPing, hearsLatePing, suspects, coolsDown:
		x.takeService(s.service, e, s.serviceTakes(e))
	default:
		n := s.servers[e.place]
		x.take(n, e, x.serverTakes(n, e))
	}
	return x.notes
}

// deadTook: a message that is dead by N1 or F1 had an effect.
func (s *State) deadTook(n *server, m *message, o *outcome) *violation {
	if o.server == n && m.To == n.self && m.View == n.status.View {
		return nil // an answer that was given before
	}
	if m.To != n.self {
		return broken("N1", "%s took a message for %s: %s", name(n.self), name(m.To), m)
	}
	return broken("F1", "%s is in view %d and took a message of view %d: %s", name(n.self), n.status.View.Viewnum, m.View.Viewnum, m)
}

// isLive tells whether a message can still have an effect. What is dead stays
// dead: see reduce.go.
func (s *State) isLive(m *message) bool { return s.x.isLive(s.servers[m.to], m) }

// alive tells whether that very life of a server goes on.
func (s *State) alive(who tandem.Server) bool { return s.find(who) != nil }

func (s *State) intoPing(t *State, e event) (bool, *violation) {
	x := s.x
	p := x.pings.at(e.arg)
	late := e.kind == hearsLatePing
	o := x.stepService(s.service, e, s.serviceTakes(e))
	if v := x.checkPing(s.service, p, late, o); v != nil {
		return false, v
	}
	changed, v := s.intoService(t, o)
	if v != nil || !x.cfg.LatePings || late || !s.within(o) {
		return changed, v
	}
	i := int(e.place)
	if !changed {
		if s.pings[i].members[0] == p {
			return false, nil // it overtakes nothing
		}
		*t = *s
	}
	t.overtake(i, p)
	return changed || t.pings[i] != s.pings[i], nil
}

// checkPing looks at what a ping did that should have done nothing (rule V2), or
// nothing but what it does without its report (rule V8).
func (x *explorer) checkPing(s *service, p *ping, late bool, o *outcome) *violation {
	if o.broken != nil {
		return nil
	}
	if s.overheard(p, late) && !o.nothing {
		return broken("V2", "the view service took a ping that is late, or of a former life while the present one is alive: %s", p)
	}
	if p.Unreachable == 0 || s.speaksFor(p) {
		return nil
	}
	args := p.PingArgs
	args.Unreachable, args.UnreachableIncarnation = 0, 0
	silent := x.pingOf(p.place, args)
	e := event{hearsPing, uint8(p.place), silent.id}
	if late {
		e.kind = hearsLatePing
	}
	if x.stepService(s, e, s.hears(silent, late)).service != o.service {
		return broken("V8", "the view service acted upon a report that is not of the present view, or not by its primary: %s", p)
	}
	return nil
}

// overtake notes that the view service has heard a ping: those that its sender
// had sent before are late from now on (rule V2).
func (s *State) overtake(i int, p *ping) {
	x, list := s.x, s.pings[i]
	at := 0
	for list.members[at] != p {
		at++
	}
	n := -1
	s.pings[i] = x.pingLists.part(list, uint64(at), func(q *ping) bool {
		n++
		return n >= at || q.Incarnation != p.Incarnation
	})
	for _, q := range list.members[:at] {
		if q.Incarnation == p.Incarnation {
			s.old[i] = x.pingSets.add(s.old[i], q)
		}
	}
}

// within tells whether an outcome of the view service is within the bounds.
func (s *State) within(o *outcome) bool {
	return s.unbound || o.service == nil || o.service.view.Viewnum <= s.x.cfg.Views
}

// intoService is the state with the view service where a step led it.
func (s *State) intoService(t *State, o *outcome) (bool, *violation) {
	switch {
	case o.broken != nil:
		return false, &violation{o.broken.Invariant, "found by a core: " + o.broken.Detail}
	case o.nothing || !s.within(o):
		return false, nil
	}
	if n := o.service; n.view != s.service.view && n.active > 0 && !slices.Contains(n.inSync, n.view.PrimaryServer()) {
		return false, broken("I2", "view %s has a primary that is not among the in-sync set of view %d", viewText(n.view), n.active)
	}
	*t = *s
	t.service = o.service
	for i := range s.x.cfg.Servers {
		t.hear(i, o.service.told)
	}
	return true, nil
}

// intoServer is the state with a server where a step led it.
func (s *State) intoServer(t *State, e event, o *outcome) (bool, *violation) {
	if o.broken != nil {
		return false, &violation{o.broken.Invariant, "found by a core: " + o.broken.Detail}
	}
	asked := e.kind == submits || e.kind == asks || e.kind == sendsAgain
	if o.nothing && !asked {
		return false, nil
	}
	*t = *s
	switch e.kind {
	case submits:
		t.oracle.submits[e.arg]++
	case asks:
		t.oracle.reads[e.arg] = read{asked: true, need: uint8(s.oracle.fold.index)}
	case sendsAgain:
		t.oracle.resends++
	}
	if o.nothing {
		return true, nil
	}
	was := s.servers[e.place]
	if was.status.Authority == replica.Solo && o.server.status.Authority == replica.None && o.server.status.Role == "primary" {
		return false, broken("A3", "%s was solo, and is not any more in view %s, of which it is the primary", name(was.self), viewText(o.server.status.View))
	}
	t.put(int(e.place), o.server)
	t.send(o.sends)
	t.answerAgain(o.server, o.sends)
	if now := o.server.status.View.Viewnum; now < was.status.View.Viewnum {
		return false, broken("I1", "%s went from view %d to view %d", name(was.self), was.status.View.Viewnum, now)
	}
	return true, s.x.follow(&t.oracle, was, o.server, o.replies)
}

// send adds messages to those that were sent.
func (s *State) send(messages []*message) {
	for _, m := range messages {
		s.sent = s.x.messageSets.add(s.sent, m)
		if s.isLive(m) {
			s.live = s.x.messageSets.add(s.live, m)
		}
	}
}

// put replaces a server by a later state of itself, or by its next life.
func (s *State) put(i int, n *server) {
	was := s.servers[i]
	s.servers[i] = n
	if n.ping != was.ping && s.x.cfg.LatePings {
		s.pings[i] = s.x.pingLists.add(s.pings[i], n.ping)
	}
	if n != was {
		s.live = s.x.liveAt(s.live, n)
		s.news[i] = s.x.newsAt(s.news[i], n)
	}
}

func (s *State) intoCrash(t *State, e event) {
	*t = *s
	i := int(e.place)
	t.oracle.crashes++
	t.told[i], t.news[i] = s.x.nothingTold, s.x.nothingTold
	t.put(i, s.x.birth(i, int(e.arg)))
	t.hear(i, s.service.told)
}

// hear lets a server learn of an announcement from now on.
func (s *State) hear(i int, a *announcement) {
	s.told[i] = s.x.announcements.add(s.told[i], a)
	if isNews(s.servers[i], a) {
		s.news[i] = s.x.announcements.add(s.news[i], a)
	}
}

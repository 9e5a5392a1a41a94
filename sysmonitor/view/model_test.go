package view

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
)

// world drives a Service with servers that keep to the protocol, over a network
// that loses, delays, repeats and reorders pings, and judges every announcement
// by a model of its own. The model knows what really happened (who restarted
// when, who was last heard at which tick), which the Service can only infer.
type world struct {
	t       *rapid.T
	cfg     Config
	service *Service
	late    bool
	record  *Record
	kept    Record

	servers []*actor
	sent    []tandem.PingArgs // pings under way; delivery does not consume them

	view    tandem.View // as announced
	active  uint
	inSync  map[member]bool    // members of the last active view
	named   [2]member          // who they were when the last record was made
	members map[uint][2]member // and so for each view
	acked   map[uint]member    // numbers that their primary has pinged, and which life of it
	request uint64
	owed    map[uint64]asker // pings not answered yet
}

// member is one true life of a server: it differs after a restart even if the
// name is the same.
type member struct {
	addr string
	life int
}

// asker is the start of an actor's that an answer is for.
type asker struct {
	who    *actor
	starts int
}

// actor is a server that keeps to the protocol.
type actor struct {
	addr        string
	lab         bool // has no incarnation and does not count its pings
	life        int
	seq         uint64
	number      uint
	leaving     bool
	cluster     uint64
	incarnation uint64
	starts      int
	told        tandem.View // the highest view that a reply named since it started
	showed      bool        // lab: a number above 0 was pinged, so that a 0 shows a restart
}

func (a *actor) name() tandem.Server {
	return tandem.Server{Addr: a.addr, Incarnation: a.incarnation}
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, late: rapid.Bool().Draw(t, "late"),
		cfg: Config{
			Cluster: 7, DeadPings: 3, CoolDownPings: 2, ForgetPings: 6,
			TicksPerPing: rapid.IntRange(1, 2).Draw(t, "ticksPerPing"),
		},
		inSync: map[member]bool{}, members: map[uint][2]member{}, acked: map[uint]member{}, owed: map[uint64]asker{},
	}
	w.service = New(w.cfg)
	lab := rapid.Bool().Draw(t, "lab")
	for i := range rapid.IntRange(2, 4).Draw(t, "servers") {
		a := &actor{addr: string(rune('a' + i)), lab: lab}
		w.servers = append(w.servers, a)
		a.restart()
	}
	return w
}

// restart begins a new life. That of a lab server is a new one only if it can
// be told from the one before, which had pinged 0 at most and so held nothing
// that the view service ever counted on.
func (a *actor) restart() {
	if !a.lab || a.showed || a.life == 0 {
		a.life++
	}
	a.showed, a.told = false, tandem.View{}
	a.starts++
	a.seq, a.number, a.leaving, a.cluster = 0, 0, false, 0
	if !a.lab {
		a.incarnation = uint64(a.life)
	}
}

func (w *world) pick() *actor { return rapid.SampledFrom(w.servers).Draw(w.t, "server") }

// ping has a server send a ping: adopt says whether it takes the announced view
// first.
func (w *world) ping(a *actor, number uint, report bool) {
	p := tandem.PingArgs{Me: a.addr, Incarnation: a.incarnation, Viewnum: number, Cluster: a.cluster, Leaving: a.leaving}
	if !a.lab {
		a.seq++
		p.Seq = a.seq
	}
	a.showed = a.showed || number > 0
	if report && w.view.PrimaryServer() == a.name() && w.view.Backup != "" {
		p.Unreachable, p.UnreachableIncarnation = w.view.Viewnum, w.view.BackupIncarnation
	}
	if !a.lab { // a lab server's pings carry no sequence; late ones would restart it
		w.sent = append(w.sent, p)
		if len(w.sent) > 50 {
			w.sent = w.sent[1:]
		}
	}
	w.deliver(p)
}

func (w *world) deliver(p tandem.PingArgs) {
	if _, already := w.acked[p.Viewnum]; !already && p.Viewnum == w.view.Viewnum && p.Me == w.view.Primary && p.Incarnation == w.view.PrimaryIncarnation {
		// Only for a lab server can this be another life than the view named: one
		// that restarted before any activation.
		w.acked[p.Viewnum] = w.lifeNamed(w.view.PrimaryServer())
	}
	w.request++
	for _, a := range w.servers {
		if a.addr == p.Me {
			w.owed[w.request] = asker{a, a.starts}
		}
	}
	w.service.Ping(w.request, p)
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"adopt and ping": func(t *rapid.T) {
			a := w.pick()
			a.number, a.cluster = a.told.Viewnum, a.told.Cluster
			w.ping(a, a.number, false)
		},
		"ping": func(t *rapid.T) { a := w.pick(); w.ping(a, a.number, false) },
		"everybody pings": func(t *rapid.T) {
			for _, a := range w.servers {
				w.ping(a, a.number, false)
				w.settle()
			}
		},
		"report":  func(t *rapid.T) { a := w.pick(); w.ping(a, a.number, true) },
		"restart": func(t *rapid.T) { w.pick().restart() },
		"leave":   func(t *rapid.T) { a := w.pick(); a.leaving = !a.leaving; w.ping(a, a.number, false) },
		"late ping": func(t *rapid.T) {
			if len(w.sent) > 0 {
				w.deliver(rapid.SampledFrom(w.sent).Draw(t, "ping"))
			}
		},
		"tick": func(t *rapid.T) {
			for range rapid.IntRange(1, 4).Draw(t, "ticks") {
				w.service.Tick()
				w.settle()
			}
		},
		"hint":    func(t *rapid.T) { w.service.Hint(w.pick().name()) },
		"suspect": func(t *rapid.T) { w.service.Suspect(w.pick().name()) },
		"durable": func(t *rapid.T) { w.durable() },
		"go on as a clone": func(t *rapid.T) {
			c := w.service.Clone()
			if !c.Equal(w.service) || c.Hash() != w.service.Hash() {
				t.Fatal("a clone is not equal")
			}
			w.service = c
		},
		"service restarts": func(t *rapid.T) {
			if w.kept.Number == 0 {
				return
			}
			b, _ := w.kept.MarshalBinary()
			var r Record
			if err := r.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			s, err := Restore(w.cfg, r)
			if err != nil {
				t.Fatal(err)
			}
			w.service, w.record, w.owed = s, nil, map[uint64]asker{}
			for _, a := range w.servers { // what the others pinged is forgotten
				m := member{a.addr, a.life}
				a.showed = a.showed && (w.inSync[m] || w.members[w.view.Viewnum][0] == m || w.members[w.view.Viewnum][1] == m)
			}
			if w.active < w.view.Viewnum {
				// An acknowledgement that was not on record is forgotten.
				delete(w.acked, w.view.Viewnum)
			}
		},
		"": func(t *rapid.T) { w.settle() },
	}
}

// settle carries effects out and judges them.
func (w *world) settle() {
	for {
		e := w.service.Take()
		for _, r := range e.Replies {
			w.judgeReply(r)
		}
		if e.Record != nil {
			w.record = e.Record
			w.named = [2]member{w.lifeNamed(e.Record.View.PrimaryServer()), w.lifeNamed(e.Record.View.BackupServer())}
		}
		if w.record == nil || w.late {
			break
		}
		w.durable()
	}
	v, active := w.service.View()
	w.judge(v, active)
	if _, pending := w.service.Pending(); !pending && len(w.owed) > 0 {
		w.t.Fatalf("V10: nothing is pending, and %d pings have no answer", len(w.owed))
	}
}

func (w *world) durable() {
	if w.record == nil {
		return
	}
	r := *w.record
	w.kept, w.record = r, nil
	w.service.Durable(r.Number)
	v, active := w.service.View()
	if v != r.View || active != r.Active {
		w.t.Fatalf("V10: %s active %d is durable, and %s active %d announced", viewText(r.View), r.Active, viewText(v), active)
	}
	w.judge(v, active)
}

func (w *world) judgeReply(r Reply) {
	asked, ok := w.owed[r.Request]
	if !ok {
		w.t.Fatalf("request %d is answered twice", r.Request)
	}
	delete(w.owed, r.Request)
	// A server knows what it was told since it started. In particular a lab
	// server goes on pinging 0 until a reply has reached it, and by then its
	// restart is durable (rules V6, V10).
	if a := asked.who; asked.starts == a.starts && r.Ping.View.Viewnum > a.told.Viewnum {
		a.told = r.Ping.View
	}
	if r.Ping.Err != tandem.OK {
		w.t.Fatalf("V0: a ping of the cluster's own servers is refused: %v", r.Ping.Err)
	}
	// V10, V3: only what is durable is ever named.
	if r.Ping.View.Viewnum > w.kept.View.Viewnum || r.Ping.Active > w.kept.Active {
		w.t.Fatalf("V10: %s active %d is named, and durable is %s active %d",
			viewText(r.Ping.View), r.Ping.Active, viewText(w.kept.View), w.kept.Active)
	}
}

func (w *world) life(addr string) member {
	for _, a := range w.servers {
		if a.addr == addr {
			return member{addr, a.life}
		}
	}
	return member{}
}

// judge compares what is announced now with what was before, by the words of
// the rules.
func (w *world) judge(v tandem.View, active uint) {
	old, oldActive := w.view, w.active
	if v == old && active == oldActive {
		return
	}
	say := func(rule string) {
		w.t.Fatalf("%s: %s active %d after %s active %d, in sync %v", rule, viewText(v), active, viewText(old), oldActive, w.inSync)
	}
	if v.Viewnum < old.Viewnum || active < oldActive || active > v.Viewnum {
		say("I1")
	}
	if v.Viewnum > old.Viewnum+1 {
		say("V4: more than one change")
	}
	if active != oldActive {
		acked, ok := w.acked[active]
		if active != old.Viewnum || !ok {
			say("V3: activated without an acknowledgement")
		}
		w.inSync = map[member]bool{acked: true, w.members[active][1]: true}
	}
	w.view, w.active = v, active
	if v.Viewnum == old.Viewnum {
		if v != old {
			say("V10: a view changed under its number")
		}
		return
	}
	w.judgeStep(old, v, active, say)
}

// judgeStep judges a new view.
func (w *world) judgeStep(old, v tandem.View, active uint, say func(string)) {
	p, b := v.PrimaryServer(), v.BackupServer()
	w.members[v.Viewnum] = w.named
	sameRoles := p == old.PrimaryServer() && b == old.BackupServer()
	wasActive := active == old.Viewnum
	switch {
	case p.Addr == "" || p.Addr == b.Addr:
		say("V9")
	case sameRoles:
		say("V10: consecutive views are equal")
	case active > 0 && !w.inSync[w.named[0]]:
		say("I2")
	case v.Cluster != w.cfg.Cluster:
		say("V0")
	case active == 0:
		if b.Addr != "" {
			say("V1")
		}
	case b.Addr != "" && (!wasActive || p != old.PrimaryServer() || old.Backup != ""):
		say("V4: a backup may be named only from an active view without one, by its primary")
	case wasActive && p != old.PrimaryServer() && p != old.BackupServer():
		say("V4: who is this primary?")
	}
}

// lifeNamed is the life that a server's name in a view stands for: that of the
// incarnation, or for a lab server, whichever it lives.
func (w *world) lifeNamed(s tandem.Server) member {
	m := w.life(s.Addr) // nobody, for nobody
	if s.Incarnation != 0 {
		m.life = int(s.Incarnation)
	}
	return m
}

// TestModel: V3, V4, V5, V6, V9, V10, I1 and I2 hold in any order of events.
// (A lab server that
// restarted and has not pinged since is beyond what a view service can know, so
// lab servers ping as they restart here.)
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		actions := w.actions()
		actions["restart"] = func(t *rapid.T) {
			a := w.pick()
			a.restart()
			if a.lab {
				w.ping(a, 0, false)
			}
		}
		t.Repeat(actions)
	})
}

// TestModelHeals: P1 as far as the view service has a part in it. After any
// events, once everybody who still lives pings, the primary of the view is live,
// in sync, and the view becomes active with a backup, unless no live server
// holds the data (V9), and then Status says so.
func TestModelHeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		actions := w.actions()
		delete(actions, "service restarts")
		actions["restart"] = func(t *rapid.T) {
			a := w.pick()
			a.restart()
			if a.lab {
				w.ping(a, 0, false)
			}
		}
		t.Repeat(actions)
		w.late = false
		for range 40 {
			for _, a := range w.servers {
				a.leaving = false
				a.number, a.cluster = a.told.Viewnum, a.told.Cluster
				w.ping(a, a.number, false)
				w.settle()
			}
			w.service.Tick()
			w.settle()
		}
		st := w.service.Status()
		if st.Down {
			for _, a := range w.servers {
				if w.inSync[member{a.addr, a.life}] {
					t.Fatalf("V9: down, and %s is in sync and alive: %+v", name(a.name()), st)
				}
			}
			if st.Why == "" {
				t.Fatal("V9: down, and nobody says why")
			}
			return
		}
		if st.Active != st.View.Viewnum || st.View.Backup == "" {
			t.Fatalf("V4: %s active %d at rest: %s", viewText(st.View), st.Active, fmt.Sprint(st.Servers))
		}
	})
}

package torture

import (
	"fmt"
	"slices"
	"time"
)

// kind is a kind of fault. begin arranges for the fault's end, and reports whether
// it could begin.
type kind struct {
	name   string
	weight int // how often it is drawn
	about  string
	begin  func(*run, *kind) bool
}

var allKinds = []*kind{
	{"kill", 5, "kill -9 of a server, which is started again, without its data", (*run).beginKill},
	{"kill-monitor", 1, "kill -9 of the view service, which is started again on its data", (*run).beginKillMonitor},
	{"freeze", 3, "SIGSTOP of a server, for less or more than the dead time, and SIGCONT", (*run).beginFreeze},
	{"freeze-monitor", 1, "the same of the view service", (*run).beginFreezeMonitor},
	{"cut", 2, "nothing passes between two of servers, view service and clients", (*run).beginCut},
	{"cut-one-way", 2, "nothing passes from one of them to another", (*run).beginCut},
	{"isolate", 2, "a server is cut off from all but the clients", (*run).beginIsolate},
	{"reset", 2, "the connections between two of them are reset", (*run).beginReset},
	{"leave", 1, "a server leaves in order, and is started again", (*run).beginLeave},
}

func (r *run) beginKill(k *kind) bool {
	p := r.victim()
	what := r.described(p)
	if !r.crash(p) {
		return false
	}
	r.lasts(k, what, r.upTo(1500*time.Millisecond), func() { r.restart(p) })
	return true
}

func (r *run) beginKillMonitor(k *kind) bool {
	m := r.group.monitor
	if !m.runs() {
		return false
	}
	what := r.described(m)
	r.must(r.group.kill(m))
	r.lasts(k, what, r.upTo(1500*time.Millisecond), func() { r.restart(m) })
	return true
}

func (r *run) beginFreeze(k *kind) bool { return r.freeze(k, r.victim()) }

func (r *run) beginFreezeMonitor(k *kind) bool { return r.freeze(k, r.group.monitor) }

// freeze stops a party for less than a server's silence lasts before it is taken
// for dead, or for longer.
func (r *run) freeze(k *kind, p *party) bool {
	if !p.runs() || p.frozen {
		return false
	}
	what, life := r.described(p), p.proc
	if err := life.Freeze(); err != nil {
		return false // it ends just now; whether it should is looked at elsewhere
	}
	p.frozen = true
	most := 400 * time.Millisecond
	if r.rng.IntN(2) == 0 {
		most = 3 * time.Second
	}
	r.lasts(k, what, r.upTo(most), func() {
		if p.proc == life {
			p.frozen = false
		}
		_ = life.Thaw() // if it has been killed since, there is nothing to thaw
	})
	return true
}

// beginCut cuts a path, in one direction or both: any, or one that matters most, as
// that between a primary and the view service, which goes on without it.
func (r *run) beginCut(k *kind) bool {
	a, b := r.ends()
	if a == b || a == "" || b == "" {
		return false
	}
	if k.name == "cut-one-way" {
		r.cutFor(k, short(a)+" to "+short(b), way{a, b})
	} else {
		r.cutFor(k, short(a)+" and "+short(b), way{a, b}, way{b, a})
	}
	return true
}

// beginIsolate leaves a server alone with its clients, one at a time. If it is the
// primary, as mostly, another takes its place, which it cannot hear of, nor can a
// client who gets its answers.
func (r *run) beginIsolate(k *kind) bool {
	if slices.ContainsFunc(r.lasting, func(e ending) bool { return e.struck.Kind == k.name }) {
		return false
	}
	p := r.victim()
	if primary := r.group.find(r.lastView.Primary); primary != nil && r.rng.IntN(2) == 0 {
		p = primary
	}
	var ways []way
	for _, other := range r.group.all() {
		if other != p {
			ways = append(ways, way{p.addr, other.addr}, way{other.addr, p.addr})
		}
	}
	r.cutFor(k, r.described(p), ways...)
	return true
}

// cutFor cuts directions for a time. What was held is delivered in the end, or lost
// with its connections.
func (r *run) cutFor(k *kind, what string, ways ...way) {
	for _, w := range ways {
		r.cut(w.from, w.to)
	}
	lost := r.rng.IntN(3) == 0
	r.lasts(k, what, r.upTo(3*time.Second), func() {
		for _, w := range ways {
			if lost {
				r.group.network.Reset(w.from, w.to)
			}
			r.heal(w.from, w.to)
		}
	})
}

func (r *run) beginReset(k *kind) bool {
	a, b := r.ends()
	if a == b || a == "" || b == "" || r.group.network.Reset(a, b) == 0 {
		return false
	}
	r.lasts(k, short(a)+" and "+short(b), 0, func() {})
	return true
}

// beginLeave asks a server to leave. It need not be able to at once: it waits for
// somebody to hand the data to.
func (r *run) beginLeave(k *kind) bool {
	p := r.victim()
	if r.anybodyLeaves() || !p.runs() || p.ending || !r.othersHold(p) {
		return false
	}
	what := r.described(p)
	if err := p.proc.Leave(); err != nil {
		return false // it ends just now; whether it should is looked at elsewhere
	}
	p.ending, p.leaving = true, true
	r.lastsUntil(k, what, r.upTo(2*time.Second), func() bool { return !p.runs() }, func() {
		if end, _ := p.proc.Ended(); !end.OK() {
			r.violate("%s was asked to leave, and did not do so in order: %v", p, p.proc.Err())
		}
		r.group.network.Target(p.addr, "")
		r.restart(p)
	})
	return true
}

// described tells of a party what it is, as far as was heard last.
func (r *run) described(p *party) string {
	role := ""
	switch v := r.lastView; p.addr {
	case v.Primary:
		role = fmt.Sprintf(", primary of view %d", v.Viewnum)
	case v.Backup:
		role = fmt.Sprintf(", backup of view %d", v.Viewnum)
	}
	return p.String() + role
}

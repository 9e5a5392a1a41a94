package torture

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandemkv/tandem/sysmonitor"
)

// Struck is a fault that was, as it stands in faults.jsonl. The times are since the
// clients began.
type Struck struct {
	From time.Duration `json:"from_ns"`
	To   time.Duration `json:"to_ns"`
	Kind string        `json:"kind"`
	What string        `json:"what"` // to whom
}

// ending is what ends a fault, and when.
type ending struct {
	struck Struck
	at     time.Time
	ready  func() bool // it cannot end before; nil: it can
	do     func()
}

// lasts arranges for the end of a fault that has begun.
func (r *run) lasts(k *kind, what string, d time.Duration, end func()) {
	r.lastsUntil(k, what, d, nil, end)
}

// lastsUntil is lasts for a fault whose end has to wait for something, which comes
// when all others have ended, if not before.
func (r *run) lastsUntil(k *kind, what string, d time.Duration, ready func() bool, end func()) {
	r.lasting = append(r.lasting, ending{Struck{From: r.now(), Kind: k.name, What: what}, time.Now().Add(d), ready, end})
}

// end ends the faults of which due is true.
func (r *run) end(due func(ending) bool) {
	r.lasting = slices.DeleteFunc(r.lasting, func(e ending) bool {
		if !due(e) || e.ready != nil && !e.ready() {
			return false
		}
		e.do()
		e.struck.To = r.now()
		r.timeline = append(r.timeline, e.struck)
		return true
	})
}

// healAll ends all faults.
func (r *run) healAll(ctx context.Context) {
	if !r.wait(ctx, func() bool {
		r.end(func(ending) bool { return true })
		return len(r.lasting) == 0
	}) && r.goesOn() {
		for _, e := range r.lasting {
			r.violate("P1: all faults were ended, and %s: %s has not come to its end within %v", e.struck.Kind, e.struck.What, patience)
		}
	}
}

// cut cuts a direction that may be cut already; it is whole again when it was healed
// as often.
func (r *run) cut(from, to string) {
	if r.cuts[way{from, to}]++; r.cuts[way{from, to}] == 1 {
		r.group.network.Cut(from, to)
	}
}

func (r *run) heal(from, to string) {
	if r.cuts[way{from, to}]--; r.cuts[way{from, to}] == 0 {
		r.group.network.Heal(from, to)
	}
}

// way is a direction between two parties.
type way struct{ from, to string }

// crash kills a server, unless that could be the end of the group: another member of
// the in-sync set has to live in the life in which it is a member (V9). It reports
// whether it did.
//
// The view service goes on while it is looked at. So the victim is cut off from it
// first. If then the current view is active, the victim has heard of no later one,
// and can activate none, which is the only way in which it might become the last
// member (V3).
func (r *run) crash(p *party) bool {
	if !p.runs() || p.ending {
		return false
	}
	m := r.group.monitor.addr
	r.cut(p.addr, m)
	r.cut(m, p.addr)
	defer r.heal(p.addr, m)
	defer r.heal(m, p.addr)
	if !r.othersHold(p) {
		return false
	}
	r.must(r.group.kill(p))
	return true
}

// othersHold reports whether the current view is active, and another member of the
// in-sync set than this one lives and stays.
func (r *run) othersHold(p *party) bool {
	st, ok := r.ask()
	return ok && st.View.Viewnum == st.Active && slices.ContainsFunc(st.InSync, func(m sysmonitor.Server) bool {
		other := r.group.find(m.Addr)
		return other != nil && other != p && other.is(m)
	})
}

func (r *run) anybodyLeaves() bool {
	return slices.ContainsFunc(r.group.servers, func(p *party) bool { return p.leaving && p.runs() })
}

// restart starts a party that was ended. That it cannot be started is a failure of
// its own: it had nothing but what a killed process leaves.
func (r *run) restart(p *party) {
	if err := r.group.start(r.ctx, p); err != nil && r.ctx.Err() == nil {
		r.violate("%s cannot be started again: %v", short(p.addr), err)
	}
}

// victim returns a server, the primary more often than others.
func (r *run) victim() *party {
	if p := r.group.find(r.lastView.Primary); p != nil && r.rng.IntN(3) == 0 {
		return p
	}
	return r.group.servers[r.rng.IntN(len(r.group.servers))]
}

// ends returns the two ends of a path, which may be the same.
func (r *run) ends() (a, b string) {
	v := r.lastView
	switch r.rng.IntN(4) {
	case 0:
		a, b = v.Primary, r.group.monitor.addr
	case 1:
		a, b = v.Primary, v.Backup
	case 2:
		a, b = r.anyClient(), v.Primary
	case 3:
		a, b = r.anybody(), r.anybody()
	}
	if r.rng.IntN(2) == 0 {
		a, b = b, a
	}
	return a, b
}

// anybody returns the name of a server mostly, or of the view service, or a client.
func (r *run) anybody() string {
	switch r.rng.IntN(6) {
	case 0:
		return r.group.monitor.addr
	case 1:
		return r.anyClient()
	}
	return r.group.servers[r.rng.IntN(len(r.group.servers))].addr
}

func (r *run) anyClient() string { return r.clientNames[r.rng.IntN(len(r.clientNames))] }

func (r *run) upTo(d time.Duration) time.Duration { return time.Duration(r.rng.Int64N(int64(d))) }

// must notes an error of what has to be possible.
func (r *run) must(err error) {
	if err != nil {
		r.cutShortBy(fmt.Sprintf("the torture itself failed: %v", err))
	}
}

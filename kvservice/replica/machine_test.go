package replica_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// TestRandomHistories lets two or three servers live through random histories:
// messages lost, repeated and overtaken, servers suspected rightly and wrongly,
// restarted and frozen, late disks, departures, clocks that run too fast and too
// slow, servers that know nothing of leases. After every event it checks I1 and I3
// to I13 (world), that a clone does what its original does, and at the end P1.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seeds := rapid.SliceOfN(rapid.Uint64(), 150, 600).Draw(t, "events")
		first := rapid.Uint64().Draw(t, "seed")
		r := rider{Rand: rand.New(rand.NewPCG(first, 0))}
		small := func(values ...int) int { return values[r.IntN(len(values))] }
		cfg := replica.Config{
			PingTicks: 2, HeartbeatTicks: 3, ResendTicks: 4, UnreachableTicks: 20, ParkTicks: 15,
			MaxForwardBytes:    small(1, 200, 1<<20),
			MaxInFlight:        small(1, 3, 1000),
			MaxInFlightBytes:   small(200, 1<<20),
			MaxTransferBytes:   small(400, 1<<20),
			ChunkBytes:         small(16, 60, 1<<20),
			ChunkWindow:        small(1, 3),
			TransferRestBytes:  small(1, 100, 1<<20),
			MaxEntriesToRetain: small(1, 3, 1000),
			MaxBytesToRetain:   small(200, 1<<20),
			WholeTransfers:     r.IntN(5) == 0,
		}
		if r.IntN(2) == 0 { // as long a lease as rule R3 allows, with clocks as bad
			cfg.Lease, cfg.Grace, cfg.ClockErrorPPM = 27*time.Millisecond, 33*time.Millisecond, 100_000
		}
		w := newWorld(cfg, small(2, 3))
		for _, n := range w.nodes {
			n.sync = r.IntN(3) != 0
			n.ppm = small(0, cfg.ClockErrorPPM, -cfg.ClockErrorPPM)
			n.plain = r.IntN(5) == 0
			w.restart(n)
		}
		r.w = w
		err := guard(func() {
			for _, seed := range seeds {
				r.Rand = rand.New(rand.NewPCG(first, seed))
				r.event()
			}
			w.heal()
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// rider brings events upon a world. What an event does follows from its own seed, so
// that others can be left out.
type rider struct {
	*rand.Rand
	w *world
}

// events is what may happen, each as often as its weight says.
var events = func() (all []func(rider)) {
	for _, e := range []struct {
		weight int
		event  func(rider)
	}{
		{10, rider.flow},
		{9, rider.calm},
		{12, rider.update},
		{6, rider.read},
		{4, rider.durable},
		{3, rider.wait},
		{2, rider.tell},
		{4, rider.overtake},
		{3, rider.ghost},
		{3, rider.lose},
		{3, rider.tick},
		{2, rider.suspect},
		{2, rider.forget},
		{2, rider.nudge},
		{2, rider.clone},
		{1, rider.freeze},
		{1, rider.leave},
		{1, rider.restart},
	} {
		for range e.weight {
			all = append(all, e.event)
		}
	}
	return all
}()

func (r rider) node() *node { return r.w.nodes[r.IntN(len(r.w.nodes))] }

// event draws an event. In one of four cases the server's effects stay in its
// outbox, as they do while its shell works through a batch.
func (r rider) event() {
	events[r.IntN(len(events))](r)
	for _, n := range r.w.nodes {
		n.frozen = max(0, n.frozen-1)
		if r.IntN(4) != 0 {
			r.w.take(n)
		}
	}
}

func (r rider) flow() { r.w.flow(1 + r.IntN(12)) }
func (r rider) calm() { r.w.calm(1 + r.IntN(4)) }

func (r rider) update() {
	r.w.update(r.target(), r.IntN(len(r.w.sessions)+1), r.IntN(3) == 0)
}

func (r rider) read() {
	r.w.read(r.target(), uint(r.IntN(2))*r.w.monitor.view.Viewnum)
}

// target is the primary most of the time.
func (r rider) target() *node {
	if r.IntN(4) != 0 {
		for _, n := range r.w.nodes {
			if n.Server == r.w.monitor.view.PrimaryServer() {
				return n
			}
		}
	}
	return r.node()
}

// wait lets time pass in which nothing happens.
func (r rider) wait() {
	r.w.now += time.Duration(r.IntN(30_000)) * time.Microsecond
	r.w.note("it is %s", r.w.now)
}

func (r rider) tell() {
	if n := r.node(); n.frozen == 0 {
		r.w.tell(n)
	}
}

// freeze stops a server for a while. A request may reach it as it wakes, before it
// has looked at the clock.
func (r rider) freeze() {
	n := r.node()
	n.frozen = 10 + r.IntN(50)
	r.w.note("%s freezes", n.Addr)
}

func (r rider) durable() { r.w.makeDurable(r.node(), 1+r.IntN(4)) }

func (r rider) tick() {
	n := r.node()
	for range 1 + r.IntN(8) {
		r.w.now += time.Millisecond
		r.w.do(n, "tick", (*replica.Replica).Tick)
		r.w.take(n)
	}
}

// overtake delivers any message that is on its way.
func (r rider) overtake() {
	var waiting []*parcel
	for _, p := range r.w.mail {
		if !p.arrived {
			waiting = append(waiting, p)
		}
	}
	if len(waiting) > 0 {
		r.w.deliver(waiting[r.IntN(len(waiting))])
	}
}

// ghost delivers any message that was ever sent.
func (r rider) ghost() {
	if len(r.w.mail) > 0 {
		r.w.deliver(r.w.mail[r.IntN(len(r.w.mail))])
	}
}

func (r rider) lose() {
	one := r.IntN(3)
	for i, p := range r.w.mail {
		if one == 0 || i%3 == one {
			p.arrived = true
		}
	}
}

// suspect is right or wrong about a server.
func (r rider) suspect() {
	n := r.node()
	r.w.note("view service suspects %s", n.Addr)
	r.w.monitor.suspect(n.Server)
}

func (r rider) forget() {
	if r.w.nextID == 0 {
		return
	}
	id := 1 + uint64(r.IntN(int(r.w.nextID)))
	if op := r.w.waiting[id]; op != nil {
		for _, n := range r.w.nodes {
			if n.Server == op.at {
				n.frozen = 0
				r.w.take(n) // an answer in the outbox is given
				delete(r.w.waiting, id)
				r.w.do(n, event{"forgets %d", []any{id}}, func(c *replica.Replica) { c.Forget(id) })
			}
		}
	}
}

// nudge brings a timeout forward.
func (r rider) nudge() {
	nudges := []struct {
		what  string
		event func(*replica.Replica)
	}{
		{"resend", (*replica.Replica).Resend},
		{"lost", (*replica.Replica).Lost},
		{"report", (*replica.Replica).ReportBackup},
		{"ping", (*replica.Replica).Ping},
	}
	e := nudges[r.IntN(len(nudges))]
	r.w.do(r.node(), e.what, e.event)
}

func (r rider) leave() {
	if n := r.node(); n.Status().Leaving {
		r.w.do(n, "stays", (*replica.Replica).Stay)
	} else {
		r.w.do(n, "leaves", (*replica.Replica).Leave)
	}
}

func (r rider) clone() {
	n := r.node()
	n.twin, n.together = n.Clone(), 20
}

// restart spares what keeps the group alive, most of the time.
func (r rider) restart() {
	n := r.node()
	if r.w.monitor.intact(n.Server) && r.w.monitor.survivors() == 1 && r.IntN(20) != 0 {
		return
	}
	n.frozen = 0
	r.w.take(n)
	r.w.restart(n)
}

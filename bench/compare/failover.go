package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/drill"
	"github.com/tandemkv/tandem/internal/pause"
)

// mortal is a system whose primary can be killed.
type mortal interface {
	// system is it as its clients see it.
	system() bench.System
	// whole waits until nothing is missing, so that the next failure is one that it
	// has to survive.
	whole(ctx context.Context) error
	// strike kills the primary as kill -9 does, and returns when it is gone.
	strike(ctx context.Context) error
	// mend starts again what was killed.
	mend(ctx context.Context) error
	// end ends it.
	end() error
}

// trial is what the clients saw of one death.
type trial struct {
	LongestGap time.Duration    `json:"longest_gap_ns"` // the longest of all clients
	Violations bench.Violations `json:"violations"`
}

// failoverRow is what the trials of one system came to.
type failoverRow struct {
	ID      string  `json:"id"`
	Label   string  `json:"label"`
	Promise string  `json:"promise"`
	Trials  []trial `json:"trials"`
	Gap     spread  `json:"longest_gap_ms"`

	system mortal
}

// failover is the part of deaths.
type failover struct {
	Rows []*failoverRow `json:"rows"`
}

// find returns a system's row, nil if it did not take part.
func (f *failover) find(id string) *failoverRow {
	if f == nil {
		return nil
	}
	for _, r := range f.Rows {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// failovers kills the primary of each system, in turn, under load. With an error it
// returns what had been measured before.
func failovers(ctx context.Context, n *nursery, set *settings, p *progress) (_ *failover, err error) {
	f := new(failover)
	defer func() {
		for _, r := range f.Rows {
			err = errors.Join(err, r.system.end())
		}
	}()
	for _, s := range []struct {
		id, label, promise string
		start              func() (mortal, error)
	}{
		{"tandem", "Tandem: primary, backup", exactlyOnce, func() (mortal, error) { return newMortalTandem(ctx, n, set) }},
		{"redis-sentinel", "Redis: primary, two replicas, three sentinels; WAIT 1", replicatedTo, func() (mortal, error) { return newMortalRedis(ctx, n) }},
		{"etcd", "etcd: three members", onDisk, func() (mortal, error) { return newMortalEtcd(ctx, n) }},
	} {
		if !set.takes(s.id) {
			continue
		}
		m, err := s.start()
		if err != nil {
			return nil, err
		}
		f.Rows = append(f.Rows, &failoverRow{ID: s.id, Label: s.label, Promise: s.promise, system: m})
	}
	rng := rand.New(rand.NewPCG(set.Seed, 0))
	for i := range set.Trials {
		for turn := range f.Rows {
			r := f.Rows[(turn+i)%len(f.Rows)]
			p.step("failover, trial %d of %d: %s", 1+i, set.Trials, r.ID)
			t, err := killOnce(ctx, r.system, set, rng)
			if err != nil {
				return f, fmt.Errorf("failover of %s: %w", r.ID, err)
			}
			r.Trials = append(r.Trials, t)
			r.Gap = spreadOf(numbers(r.Trials, func(t trial) float64 { return milliseconds(t.LongestGap) }))
		}
	}
	return f, nil
}

// strikeWithin is the time in which the moment of a death is drawn: it should fall
// anywhere between two pings.
const strikeWithin = 300 * time.Millisecond

// killOnce makes one trial.
func killOnce(ctx context.Context, m mortal, set *settings, rng *rand.Rand) (trial, error) {
	if err := m.whole(ctx); err != nil {
		return trial{}, err
	}
	load := bench.Load{
		Clients: failoverClients, Keys: set.Keys, ValueSize: set.ValueSize, Seed: rng.Uint64(), Patience: patience,
	}
	r, err := bench.Start(ctx, m.system(), load, nil)
	if err != nil {
		return trial{}, err
	}
	t, err := killUnder(ctx, m, r, rng)
	return t, errors.Join(err, r.Close())
}

// killUnder kills the primary under a load, and has it started again when the clients
// have gone on and the load has ended.
func killUnder(ctx context.Context, m mortal, r *bench.Running, rng *rand.Rand) (t trial, err error) {
	if err := goOn(ctx, r); err != nil {
		return t, err
	}
	if pause.For(ctx, time.Duration(rng.Int64N(int64(strikeWithin)))) != nil {
		return t, context.Cause(ctx)
	}
	r.Cut()
	if err := m.strike(ctx); err != nil {
		return t, err
	}
	// An answer that had been on its way is no sign of life, but the one after it is.
	for range 2 {
		if err := goOn(ctx, r); err != nil {
			return t, err
		}
	}
	t.LongestGap = r.Cut().LongestGap
	r.Stop() // who comes back is not to be held up
	if err := m.mend(ctx); err != nil {
		return t, err
	}
	if err := m.whole(ctx); err != nil {
		return t, err
	}
	if err := r.ReadBack(ctx, true); err != nil {
		return t, err
	}
	t.Violations = r.Violations()
	return t, r.Err()
}

// goOn waits until every client has had another answer.
func goOn(ctx context.Context, r *bench.Running) error {
	since := time.Now()
	return await(ctx, "every client to go on", func(context.Context) error {
		if longest, all := r.Waiting(since); !all {
			return fmt.Errorf("one has waited for %v", longest)
		}
		return nil
	})
}

// mortalTandem is a pair of this module.
type mortalTandem struct {
	*tandemPair
	clients bench.System
	dead    *drill.Server
}

func newMortalTandem(ctx context.Context, n *nursery, set *settings) (mortal, error) {
	p, err := startTandem(ctx, n, set.tandem, "mortal")
	if err != nil {
		return nil, err
	}
	clients, err := p.system(bench.Each)
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return &mortalTandem{tandemPair: p, clients: clients}, nil
}

func (m *mortalTandem) system() bench.System { return m.clients }
func (m *mortalTandem) end() error           { return m.kill() }

func (m *mortalTandem) whole(ctx context.Context) error {
	_, err := m.Well(ctx)
	return err
}

func (m *mortalTandem) strike(ctx context.Context) (err error) {
	if m.dead, _, err = m.members(ctx); err != nil {
		return err
	}
	return m.dead.Process().Kill()
}

func (m *mortalTandem) mend(ctx context.Context) error { return m.Start(ctx, m.dead) }

// mortalRedis is a group that sentinels watch.
type mortalRedis struct {
	*redisGroup
	dead *redisServer
}

func newMortalRedis(ctx context.Context, n *nursery) (mortal, error) {
	g, err := startSentinels(ctx, n)
	if err != nil {
		return nil, err
	}
	return &mortalRedis{redisGroup: g}, nil
}

func (m *mortalRedis) system() bench.System { return &sentinelSystem{m.redisGroup} }

func (m *mortalRedis) whole(ctx context.Context) error {
	return errors.Join(m.inSync(ctx), m.watched(ctx))
}

func (m *mortalRedis) strike(context.Context) error {
	primary, err := m.primary()
	if err != nil {
		return err
	}
	m.dead = primary
	primary.child.kill()
	return nil
}

// mend starts the dead server as a replica of the present primary, as whoever runs it
// would: it comes back empty, and must not be taken for a primary.
func (m *mortalRedis) mend(context.Context) error {
	primary, err := sentinelPrimary(m.sentinels[0].addr())
	if err != nil {
		return err
	}
	for _, s := range m.servers {
		if s.addr() == primary {
			return m.start(m.dead, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.port))
		}
	}
	return fmt.Errorf("the sentinels' primary %s is none of the servers", primary)
}

func (m *mortalRedis) end() error {
	m.kill()
	return nil
}

// mortalEtcd is three members.
type mortalEtcd struct {
	*etcdCluster
	dead *etcdMember
}

func newMortalEtcd(ctx context.Context, n *nursery) (mortal, error) {
	c, err := startEtcd(ctx, n, "mortal-etcd")
	if err != nil {
		return nil, err
	}
	return &mortalEtcd{etcdCluster: c}, nil
}

func (m *mortalEtcd) system() bench.System {
	s := newEtcdSystem("etcd", false, m.endpoints()...)
	s.retry = true
	return s
}

func (m *mortalEtcd) whole(ctx context.Context) error { return m.serves(ctx) }
func (m *mortalEtcd) end() error                      { return m.kill() }

func (m *mortalEtcd) strike(ctx context.Context) error {
	leader, err := m.leader(ctx)
	if err != nil {
		return err
	}
	m.dead = leader
	leader.child.kill()
	return nil
}

func (m *mortalEtcd) mend(context.Context) error { return m.start(m.dead) }

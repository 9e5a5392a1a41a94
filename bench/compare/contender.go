package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemkv/tandem/internal/bench"
)

// contender is a system, used in one way: a row of a table.
type contender struct {
	ID          string `json:"id"`
	Label       string `json:"label"`
	Connections string `json:"connections"`
	Promise     string `json:"promise"` // what an answer means

	system bench.System
	pids   []int // of its servers
}

// What connections the clients have.
const (
	each   = "each"   // one for each client
	shared = "shared" // one for all
)

// What an answer means. An asynchronous write may be lost by one failure after it was
// acknowledged.
const (
	exactlyOnce  = "replicated, linearizable, exactly once"
	linearizable = "linearizable"
	leased       = "linearizable while clocks run alike"
	replicatedTo = "replicated; may be lost at a failover"
	asynchronous = "on one server; may be lost"
	fromPrimary  = "what the server has; may be stale or lost later"
	onDisk       = "on the disks of two of three, linearizable"
	serializable = "may be stale"
	nothing      = "none: the yardstick"
)

// field is all systems, side by side. Those that do not take part are nil.
type field struct {
	set    *settings
	tandem *tandemPair
	leased *tandemPair
	redis  *redisGroup
	etcd   *etcdCluster
	echo   *echoPair
}

// newField starts the systems that take part in the parts of closed and open loops.
func newField(ctx context.Context, n *nursery, set *settings, self string) (*field, error) {
	f := &field{set: set}
	var err error
	for _, s := range []struct {
		wanted bool
		start  func() error
	}{
		{f.any("tandem", "tandem-shared"), func() (err error) {
			f.tandem, err = startTandem(ctx, n, set.tandem, "tandem")
			return err
		}},
		{set.has(partGet) && f.any("tandem-lease", "tandem-lease-shared"), func() (err error) {
			f.leased, err = startTandem(ctx, n, set.tandem, "tandem-lease", leaseFlags...)
			return err
		}},
		{f.any("redis-wait", "redis-wait-trips", "redis-wait-batched", "redis-async", "redis-get", "redis-get-batched"), func() (err error) {
			f.redis, err = startRedis(ctx, n, "redis", 1)
			return err
		}},
		{f.any("etcd", "etcd-shared", "etcd-serializable") && (set.has(partPut) || set.has(partGet)), func() (err error) {
			f.etcd, err = startEtcd(ctx, n, "etcd")
			return err
		}},
		{f.any("echo1", "echo1-shared", "echo2", "echo2-shared") && (set.has(partPut) || set.has(partGet)), func() (err error) {
			f.echo, err = startEcho(ctx, n, self)
			return err
		}},
	} {
		if s.wanted && err == nil {
			err = s.start()
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.kill())
	}
	return f, nil
}

// pidsOf returns the processes of children.
func pidsOf(children []*child) []int {
	var all []int
	for _, c := range children {
		all = append(all, c.pid)
	}
	return all
}

// any reports whether one of some contenders takes part.
func (f *field) any(ids ...string) bool {
	for _, id := range ids {
		if f.set.takes(id) {
			return true
		}
	}
	return false
}

// kill ends all systems.
func (f *field) kill() error {
	var errs []error
	for _, p := range []*tandemPair{f.tandem, f.leased} {
		if p != nil {
			errs = append(errs, p.kill())
		}
	}
	if f.redis != nil {
		f.redis.kill()
	}
	if f.etcd != nil {
		errs = append(errs, f.etcd.kill())
	}
	if f.echo != nil {
		errs = append(errs, f.echo.kill())
	}
	return errors.Join(errs...)
}

// pids returns the processes of all systems, those of view services apart, which do next
// to nothing.
func (f *field) pids() []int {
	var all []int
	for _, p := range []*tandemPair{f.tandem, f.leased} {
		if p != nil {
			all = append(all, p.pids()...)
		}
	}
	if f.redis != nil {
		all = append(all, pidsOf(f.redis.children())...)
	}
	if f.etcd != nil {
		all = append(all, pidsOf(f.etcd.children())...)
	}
	if f.echo != nil {
		all = append(all, f.echo.first.Local(), f.echo.last.Local())
	}
	return all
}

// lineup collects the contenders of a part.
type lineup struct {
	set  *settings
	rows []contender
	err  error
}

// add adds a contender, unless it does not take part.
func (l *lineup) add(id, label, connections, promise string, pids []int, system func() (bench.System, error)) {
	if l.err != nil || !l.set.takes(id) {
		return
	}
	c := contender{ID: id, Label: label, Connections: connections, Promise: promise, pids: pids}
	if c.system, l.err = system(); l.err == nil {
		l.rows = append(l.rows, c)
	}
}

// addTandem adds a pair with both kinds of connections.
func (l *lineup) addTandem(p *tandemPair, id, label, promise string) {
	if p == nil {
		return
	}
	l.add(id, label, each, promise, p.pids(), func() (bench.System, error) { return p.system(bench.Each) })
	l.add(id+"-shared", label, shared, promise, p.pids(), func() (bench.System, error) { return p.system(bench.Shared) })
}

// addRedis adds one way of writing to Redis, with a connection for each client.
func (l *lineup) addRedis(g *redisGroup, id, label, promise string, write redisWrite) {
	if g == nil {
		return
	}
	l.add(id, label, each, promise, pidsOf(g.children()), func() (bench.System, error) {
		return &redisSystem{name: label, addr: g.addr(), write: write}, nil
	})
}

// addBatched adds the best that one connection to Redis can do.
func (l *lineup) addBatched(g *redisGroup, id, label, promise string, wait bool) {
	if g == nil {
		return
	}
	l.add(id, label, shared, promise, pidsOf(g.children()), func() (bench.System, error) {
		return newRedisBatched(label, g.addr(), wait), nil
	})
}

// addEcho adds a server of the yardstick with both kinds of connections.
func (l *lineup) addEcho(p *echoPair, id, label string) {
	if p == nil {
		return
	}
	addr, pids := p.last.Ready().Reach(), []int{p.last.Local()}
	if id == "echo2" {
		addr, pids = p.first.Ready().Reach(), append(pids, p.first.Local())
	}
	for _, connections := range []string{each, shared} {
		id, share := id, connections == shared
		if share {
			id += "-shared"
		}
		l.add(id, label, connections, nothing, pids, func() (bench.System, error) {
			return newEchoSystem(label, addr, share), nil
		})
	}
}

// puts returns the contenders that write.
func (f *field) puts(ctx context.Context) ([]contender, error) {
	l := &lineup{set: f.set}
	l.addTandem(f.tandem, "tandem", "Tandem: Put", exactlyOnce)
	l.addRedis(f.redis, "redis-wait", "Redis: SET, WAIT 1 at once", replicatedTo, setWait)
	l.addRedis(f.redis, "redis-wait-trips", "Redis: SET, then WAIT 1", replicatedTo, setThenWait)
	l.addBatched(f.redis, "redis-wait-batched", "Redis: many SET, one WAIT 1", replicatedTo, true)
	l.addRedis(f.redis, "redis-async", "Redis: SET", asynchronous, setAlone)
	if err := f.addEtcd(ctx, l, "etcd: put", onDisk, false); err != nil {
		return nil, err
	}
	l.addEcho(f.echo, "echo1", "net/rpc: one hop")
	l.addEcho(f.echo, "echo2", "net/rpc: two hops, batched")
	return l.rows, l.err
}

// gets returns the contenders that read.
func (f *field) gets(ctx context.Context) ([]contender, error) {
	l := &lineup{set: f.set}
	l.addTandem(f.tandem, "tandem", "Tandem: Get", linearizable)
	l.addTandem(f.leased, "tandem-lease", "Tandem: Get, leases", leased)
	l.addRedis(f.redis, "redis-get", "Redis: GET", fromPrimary, setAlone)
	l.addBatched(f.redis, "redis-get-batched", "Redis: many GET at once", fromPrimary, false)
	if err := f.addEtcd(ctx, l, "etcd: get", linearizable, true); err != nil {
		return nil, err
	}
	l.addEcho(f.echo, "echo1", "net/rpc: one hop")
	return l.rows, l.err
}

// addEtcd adds etcd. Its clients know the leader, as they do with the other systems,
// since a member that has to forward is slower.
func (f *field) addEtcd(ctx context.Context, l *lineup, label, promise string, reads bool) error {
	if f.etcd == nil {
		return nil
	}
	leader, err := f.etcd.leader(ctx)
	if err != nil {
		return fmt.Errorf("look for etcd's leader: %w", err)
	}
	add := func(id, label, connections, promise string, stale bool) {
		l.add(id, label, connections, promise, pidsOf(f.etcd.children()), func() (bench.System, error) {
			s := newEtcdSystem(label, connections == shared, leader.endpoint())
			s.serializable = stale
			return s, nil
		})
	}
	add("etcd", label, each, promise, false)
	add("etcd-shared", label, shared, promise, false)
	if reads {
		add("etcd-serializable", "etcd: serializable get", each, serializable, true)
	}
	return nil
}

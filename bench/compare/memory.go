package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/drill"
	"github.com/tandemkv/tandem/internal/pause"
)

// memoryRow is what many keys take up in one process. All are bytes.
type memoryRow struct {
	ID       string `json:"id"`
	Label    string `json:"label"`
	Empty    uint64 `json:"empty"`    // resident before the first key
	Filled   uint64 `json:"filled"`   // resident at the moment when all were put
	Rest     uint64 `json:"rest"`     // resident when nothing changes any more
	Reported uint64 `json:"reported"` // that the process says it uses; zero: it does not
}

// memory is the part of many keys.
type memory struct {
	Keys int          `json:"keys"`
	Rows []*memoryRow `json:"rows"`
}

// find returns a process's row, nil if there is none.
func (m *memory) find(id string) *memoryRow {
	if m == nil {
		return nil
	}
	for _, r := range m.Rows {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// fullSystem is a system that many keys are put into, and the processes to look at.
type fullSystem struct {
	clients bench.System
	rows    []*memoryRow
	pids    []int
	// report asks the processes themselves; nil: they do not tell.
	report func() error
	end    func() error
}

// memories puts as many keys into Tandem and Redis, one after the other, and then lets
// both rest.
func memories(ctx context.Context, n *nursery, set *settings, p *progress) (_ *memory, err error) {
	m := &memory{Keys: set.MemoryKeys}
	var systems []*fullSystem
	defer func() {
		for _, s := range systems {
			err = errors.Join(err, s.end())
		}
	}()
	for _, s := range []struct {
		id    string
		start func(context.Context, *nursery, *settings) (*fullSystem, error)
	}{{"tandem", fullTandem}, {"redis-wait-batched", fullRedis}} {
		if !set.takes(s.id) {
			continue
		}
		system, err := s.start(ctx, n, set)
		if err != nil {
			return nil, err
		}
		systems = append(systems, system)
		m.Rows = append(m.Rows, system.rows...)
		p.step("memory: %d keys to %s", set.MemoryKeys, system.clients.Name())
		if err := system.fill(ctx, set); err != nil {
			return nil, fmt.Errorf("memory of %s: %w", system.clients.Name(), err)
		}
	}
	p.step("memory: all come to rest")
	if err := rest(ctx, set.Rest, systems); err != nil {
		return nil, err
	}
	for _, s := range systems {
		if s.report != nil {
			if err := s.report(); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// fullTandem starts a pair.
func fullTandem(ctx context.Context, n *nursery, set *settings) (*fullSystem, error) {
	pair, err := startTandem(ctx, n, set.tandem, "full")
	if err != nil {
		return nil, err
	}
	primary, backup, err := pair.members(ctx)
	if err != nil {
		return nil, errors.Join(err, pair.kill())
	}
	clients, err := pair.system(bench.Shared)
	if err != nil {
		return nil, errors.Join(err, pair.kill())
	}
	return &fullSystem{
		clients: clients, end: pair.kill,
		rows: []*memoryRow{{ID: "tandem", Label: "Tandem: primary"}, {ID: "tandem-backup", Label: "Tandem: backup"}},
		pids: []int{primary.Process().Local(), backup.Process().Local()},
	}, nil
}

// fullRedis starts a primary and a replica.
func fullRedis(ctx context.Context, n *nursery, _ *settings) (*fullSystem, error) {
	g, err := startRedis(ctx, n, "full-redis", 1)
	if err != nil {
		return nil, err
	}
	s := &fullSystem{
		clients: newRedisBatched("Redis", g.addr(), true),
		rows:    []*memoryRow{{ID: "redis", Label: "Redis: primary"}, {ID: "redis-replica", Label: "Redis: replica"}},
		pids:    []int{g.servers[0].child.pid, g.servers[1].child.pid},
		end: func() error {
			g.kill()
			return nil
		},
	}
	s.report = func() error {
		for i, r := range s.rows {
			info, err := redisInfo(g.servers[i].addr(), "memory")
			if err != nil {
				return err
			}
			if r.Reported, err = strconv.ParseUint(info["used_memory"], 10, 64); err != nil {
				return fmt.Errorf("what %s says it uses: %w", r.Label, err)
			}
		}
		return nil
	}
	return s, nil
}

// fill puts the keys, and looks at the processes before and then.
func (s *fullSystem) fill(ctx context.Context, set *settings) error {
	if err := s.look(func(r *memoryRow, bytes uint64) { r.Empty = bytes }); err != nil {
		return err
	}
	load := bench.Load{
		Clients: openClients, Keys: set.MemoryKeys, ValueSize: set.ValueSize, Seed: set.Seed,
		Mix: bench.Mix{bench.Get: 1}, Patience: patience,
	}
	r, err := bench.Start(ctx, s.clients, load, nil) // which puts every key
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	return s.look(func(r *memoryRow, bytes uint64) { r.Filled = bytes })
}

// look notes how much of each process is in memory.
func (s *fullSystem) look(note func(*memoryRow, uint64)) error {
	for i, r := range s.rows {
		bytes := drill.Resident(s.pids[i])
		if bytes == 0 {
			return fmt.Errorf("memory of %s, process %d: the system does not tell, or it has ended", r.Label, s.pids[i])
		}
		note(r, bytes)
	}
	return nil
}

// How long memory must have changed by no more than a hundredth, or what a process takes
// and gives back while it does nothing, to be at rest, and how long that is waited for.
const (
	quietBytes = 1 << 20
	quietTime  = 5 * time.Second
	quietMax   = patience
)

// rest waits for a time, and then until nothing changes any more.
func rest(ctx context.Context, least time.Duration, systems []*fullSystem) error {
	began := time.Now()
	changed := began
	for {
		for _, s := range systems {
			if err := s.look(func(r *memoryRow, bytes uint64) {
				if diff := max(bytes, r.Rest) - min(bytes, r.Rest); diff > max(bytes/100, quietBytes) {
					r.Rest, changed = bytes, time.Now()
				}
			}); err != nil {
				return err
			}
		}
		since := time.Since(began)
		if since >= least && time.Since(changed) >= quietTime || since >= least+quietMax {
			return nil
		}
		if pause.For(ctx, 200*time.Millisecond) != nil {
			return context.Cause(ctx)
		}
	}
}

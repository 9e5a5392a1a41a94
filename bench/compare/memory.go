package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
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

// memories puts as many keys into Tandem and Redis, one after the other, each of them
// fresh.
func memories(ctx context.Context, n *nursery, set *settings, p *progress) (*memory, error) {
	m := &memory{Keys: set.MemoryKeys}
	for _, fill := range []struct {
		id  string
		run func(context.Context, *nursery, *settings, *progress) ([]*memoryRow, error)
	}{{"tandem", memoryOfTandem}, {"redis", memoryOfRedis}} {
		if !set.takes(fill.id) && !set.takes(fill.id+"-wait") {
			continue
		}
		rows, err := fill.run(ctx, n, set, p)
		if err != nil {
			return nil, fmt.Errorf("memory of %s: %w", fill.id, err)
		}
		m.Rows = append(m.Rows, rows...)
	}
	return m, nil
}

func memoryOfTandem(ctx context.Context, n *nursery, set *settings, p *progress) (_ []*memoryRow, err error) {
	pair, err := startTandem(ctx, n, set.tandem, "full")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pair.kill()) }()
	system, err := pair.system(bench.Shared)
	if err != nil {
		return nil, err
	}
	rows := []*memoryRow{{ID: "tandem", Label: "Tandem: primary"}, {ID: "tandem-backup", Label: "Tandem: backup"}}
	pids := []int{pair.servers[0].proc.Local(), pair.servers[1].proc.Local()}
	return rows, fillAndRest(ctx, system, rows, pids, set, p)
}

func memoryOfRedis(ctx context.Context, n *nursery, set *settings, p *progress) ([]*memoryRow, error) {
	g, err := startRedis(ctx, n, "full-redis", 1)
	if err != nil {
		return nil, err
	}
	defer g.kill()
	rows := []*memoryRow{{ID: "redis", Label: "Redis: primary"}, {ID: "redis-replica", Label: "Redis: replica"}}
	pids := []int{g.servers[0].child.pid, g.servers[1].child.pid}
	system := &redisBatched{name: "Redis", addr: g.addr(), wait: true}
	if err := fillAndRest(ctx, system, rows, pids, set, p); err != nil {
		return nil, err
	}
	for i, r := range rows {
		info, err := redisInfo(g.servers[i].addr(), "memory")
		if err != nil {
			return nil, err
		}
		if r.Reported, err = strconv.ParseUint(info["used_memory"], 10, 64); err != nil {
			return nil, fmt.Errorf("what %s says it uses: %w", r.Label, err)
		}
	}
	return rows, nil
}

// fillAndRest puts the keys, and looks at the processes before, then, and at rest.
func fillAndRest(ctx context.Context, system bench.System, rows []*memoryRow, pids []int, set *settings, p *progress) error {
	look := func(field func(*memoryRow) *uint64) error {
		for i, r := range rows {
			var err error
			if *field(r), err = resident(pids[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := look(func(r *memoryRow) *uint64 { return &r.Empty }); err != nil {
		return err
	}
	p.step("memory: %d keys to %s", set.MemoryKeys, system.Name())
	load := bench.Load{
		Clients: openClients, Keys: set.MemoryKeys, ValueSize: set.ValueSize, Seed: set.Seed, Patience: patience,
	}
	r, err := bench.Start(ctx, system, load, nil) // which puts every key
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	if err := look(func(r *memoryRow) *uint64 { return &r.Filled }); err != nil {
		return err
	}
	p.step("memory: %s comes to rest", system.Name())
	return rest(ctx, rows, pids)
}

// How long memory must have changed by no more than a hundredth to be at rest, and how
// long that is waited for.
const (
	restTime = 5 * time.Second
	restMax  = patience
)

// rest waits until nothing changes any more.
func rest(ctx context.Context, rows []*memoryRow, pids []int) error {
	limit := time.Now().Add(restMax)
	for since := time.Now(); time.Since(since) < restTime && time.Now().Before(limit); {
		for i, r := range rows {
			now, err := resident(pids[i])
			if err != nil {
				return err
			}
			if diff := max(now, r.Rest) - min(now, r.Rest); diff > now/100 {
				r.Rest, since = now, time.Now()
			}
		}
		if !pause(ctx, 200*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// resident returns the bytes of a process that are in memory.
func resident(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("look at the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of process %d: %w", pid, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("process %d has no memory: it has ended", pid)
}

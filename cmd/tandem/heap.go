package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// heapKeeper decides how a server's process collects its garbage. Go's own rule lets
// as much garbage pile up as there is in use: with a large store that doubles what it
// takes, and with a small one it collects many times a second. A server needs neither,
// for what garbage it makes is a matter of its load and not of its store.
type heapKeeper struct {
	percent int    // as set
	allocs  uint64 // bytes ever allocated, when last looked
	given   uint64 // the same, when memory was last given back
	calm    int    // looks in a row at which little had been allocated
}

const (
	heapLook = time.Second // between two looks

	// Garbage may take garbageMin, or garbagePercent of what is in use, whichever is
	// more.
	garbageMin        = 64 << 20
	garbagePercent    = 25
	garbagePercentMax = 1600

	// Memory is given back to the system once, after calmLooks at which less than
	// calmBytes had been allocated, if there has been garbage worth it since the last
	// time: to collect it costs processor time and the memory will be wanted again.
	calmBytes = 4 << 20
	calmLooks = 5
	worthIt   = 32 << 20
)

// look takes the bytes that the last collection found in use, and the bytes ever
// allocated. It returns what the collector's percentage is to be, and whether to give
// memory back now.
func (k *heapKeeper) look(live, allocs uint64) (percent int, giveBack bool) {
	live = max(live, 1<<20)
	percent = min(max(garbagePercent, int(garbageMin*100/live)), garbagePercentMax)
	if d := percent - k.percent; k.percent != 0 && d*10 < k.percent && -d*10 < k.percent {
		percent = k.percent // to set it stops the world, for no matter how short
	}
	k.percent = percent
	if k.calm++; allocs-k.allocs >= calmBytes {
		k.calm = 0
	}
	k.allocs = allocs
	if giveBack = k.calm >= calmLooks && allocs-k.given >= worthIt; giveBack {
		k.given = allocs
	}
	return percent, giveBack
}

// keepHeap does so for this process until stop is called, unless its environment says
// how garbage is to be collected (GOGC, GOMEMLIMIT).
func keepHeap() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var keeper sync.WaitGroup
	keeper.Go(func() { (&heapKeeper{}).run(ctx) })
	return func() {
		cancel()
		keeper.Wait()
	}
}

func (k *heapKeeper) run(ctx context.Context) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	ticker := time.NewTicker(heapLook)
	defer ticker.Stop()
	for {
		metrics.Read(samples)
		was := k.percent
		percent, giveBack := k.look(samples[0].Value.Uint64(), samples[1].Value.Uint64())
		if percent != was {
			debug.SetGCPercent(percent)
		}
		if giveBack {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

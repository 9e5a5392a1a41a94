package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/tandemkv/tandem/simulation"
)

// campaign is many runs of the simulation, one for each seed.
type campaign struct {
	seeds     seeds
	options   func(seed uint64) simulation.Options
	workers   int
	keepGoing bool // after a failure
	progress  *progress
}

// seeds are those of a campaign: from first on, as many as count, or without end
// if that is zero.
type seeds struct{ first, count uint64 }

// failures are those of one invariant.
type failures struct {
	first *simulation.Failure // of the lowest seed
	count uint64
}

// tally is what a campaign came to.
type tally struct {
	cover    simulation.Coverage
	hash     uint64 // of the last run; it means something if there was but one
	failures map[string]*failures
	elapsed  time.Duration
	// cut: it was ended before all its seeds had run, and not by a failure.
	cut bool
}

// run runs the seeds in their order until all are done, until one fails (unless
// the campaign keeps going), or until the context ends. Then it waits for those
// under way.
func (c *campaign) run(ctx context.Context) *tally {
	start := time.Now()
	t := &tally{failures: make(map[string]*failures)}
	var mu sync.Mutex
	taken := uint64(0)
	take := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if (c.seeds.count > 0 && taken == c.seeds.count) || (len(t.failures) > 0 && !c.keepGoing) {
			return 0, false
		}
		if ctx.Err() != nil {
			t.cut = true
			return 0, false
		}
		taken++
		return c.seeds.first + taken - 1, true
	}
	var wait sync.WaitGroup
	for range c.workers {
		wait.Go(func() {
			for seed, ok := take(); ok; seed, ok = take() {
				report, failure := runSeed(c.options(seed))
				mu.Lock()
				t.add(&report, failure)
				c.progress.tell("%s runs, %s events, %d failed, %s", thousands(t.cover.Runs), thousands(t.cover.Events),
					t.failed(), time.Since(start).Round(time.Second))
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	c.progress.clear()
	t.elapsed = time.Since(start)
	return t
}

func (t *tally) add(report *simulation.Report, failure *simulation.Failure) {
	t.cover.Add(&report.Coverage)
	t.hash = report.Hash
	if failure == nil {
		return
	}
	f := t.failures[failure.Invariant]
	if f == nil {
		f = new(failures)
		t.failures[failure.Invariant] = f
	}
	f.count++
	if f.first == nil || failure.Seed < f.first.Seed {
		f.first = failure // the others' histories need not be kept
	}
}

// failed returns how many runs failed.
func (t *tally) failed() uint64 {
	n := uint64(0)
	for _, f := range t.failures {
		n += f.count
	}
	return n
}

// sorted returns the failures, the lowest seed first.
func (t *tally) sorted() []*failures {
	var all []*failures
	for _, f := range t.failures {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *failures) int { return cmp.Compare(a.first.Seed, b.first.Seed) })
	return all
}

// panicked is what a run broke that ended in a panic other than an invariant's:
// an index out of range in a core, say.
const panicked = "NoPanic"

// runSeed runs one world. A panic in it is a failure like any other, for a
// server that panics has stopped.
func runSeed(o simulation.Options) (report simulation.Report, failure *simulation.Failure) {
	defer func() {
		if p := recover(); p != nil {
			failure = &simulation.Failure{Seed: o.Seed, Invariant: panicked, Detail: fmt.Sprint(p), Trace: string(debug.Stack())}
			report.Coverage.Runs = 1
		}
	}()
	report, err := simulation.Run(o)
	if err != nil {
		f, ok := err.(*simulation.Failure)
		if !ok {
			panic(err)
		}
		failure = f
	}
	return report, failure
}

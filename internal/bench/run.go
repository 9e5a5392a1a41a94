package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Progress is how far a run is.
type Progress struct {
	Stage string // fill, warm-up, measure or read back
	// Done and Total are counts of keys, or milliseconds of a measurement.
	Done, Total uint64
}

// Run loads a system and returns what was measured. It opens the clients, puts every
// key, warms up, measures, waits for what is under way, and reads everything back.
// progress, which may be nil, is called from time to time by any one goroutine at a time.
//
// The error is about what keeps it from measuring: a wrong Load, a client that cannot be
// opened, a key that cannot be put or read back, or the end of ctx. Failed operations
// are no error, nor are violations: both stand in the result.
func Run(ctx context.Context, s System, l Load, progress func(Progress)) (*Result, error) {
	r, err := Start(ctx, s, l, progress)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.last(ctx, "warm-up", r.load.Warmup); err != nil {
		return nil, err
	}
	now := time.Now()
	r.cut(now, now.Add(r.load.Duration))
	if err := r.last(ctx, "measure", r.load.Duration); err != nil {
		return nil, err
	}
	r.finish()
	w := r.cut(time.Now(), time.Time{})
	w.setLength(r.load.Duration)
	if r.schedule != nil {
		w.NotBegun = r.schedule.missed(now.Add(r.load.Duration))
	}
	if err := r.ReadBack(ctx, true); err != nil {
		return nil, err
	}
	if l.Clean {
		if err := r.clean(ctx); err != nil {
			return nil, err
		}
	}
	return &Result{System: s.Name(), Load: r.load, Window: *w, Violations: r.Violations()}, nil
}

// Running is a load that has been started. Its methods are safe for concurrent use,
// except that one goroutine at a time cuts, reads back and closes.
type Running struct {
	load     Load
	system   System
	share    int // the sum of the mix
	progress func(Progress)

	keys     *registers
	found    found
	workers  []*worker
	shards   []*shard
	schedule *schedule // nil: a closed loop
	silence  silence

	gate   sync.RWMutex       // held to read by each operation
	taking context.Context    // ends when no operation is to be begun any more
	stop   context.CancelFunc // ends it
	abort  context.CancelFunc // gives up what is under way
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error
}

// Start starts a load that goes on until Stop or Close, or until ctx ends: Warmup and
// Duration mean nothing. The clients have been opened and all keys put when it returns.
func Start(ctx context.Context, s System, l Load, progress func(Progress)) (*Running, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	l = l.filled()
	rng := rand.New(rand.NewPCG(l.Seed, 0))
	// Every load has tags of its own, also if it is repeated on what it left behind.
	r := &Running{load: l, system: s, share: l.Mix.total(), progress: progress, keys: newRegisters(&l, rand.Uint32())}
	r.taking, r.stop = context.WithCancel(ctx)
	working, abort := context.WithCancel(ctx)
	r.abort = abort
	if err := r.begin(ctx, rng); err != nil {
		r.Close()
		return nil, fmt.Errorf("load %s: %w", s.Name(), err)
	}
	if l.Rate > 0 {
		r.schedule = newSchedule(&l, rng)
	}
	for _, w := range r.workers {
		r.wg.Go(func() { w.loop(working) })
	}
	return r, nil
}

// begin opens the clients and puts the keys.
func (r *Running) begin(ctx context.Context, rng *rand.Rand) error {
	l := &r.load
	var z *zipf
	if l.Distribution == Zipf {
		z = newZipf(l.Keys, l.Theta)
	}
	for range min(l.Clients, shardsMax) {
		r.shards = append(r.shards, &shard{tally: new(tally)})
	}
	filler := strings.Repeat("h", l.ValueSize)
	for id := range l.Clients {
		c, err := r.open(ctx)
		if err != nil {
			return err
		}
		mine := rand.New(rand.NewPCG(l.Seed, rng.Uint64()))
		s := r.shards[id%len(r.shards)]
		r.workers = append(r.workers, &worker{
			r: r, id: id, client: c, rng: mine, draw: drawer{mine, l.Keys, z}, cursor: id,
			extras: extras{name: fmt.Sprintf("%08x-%d", r.keys.tags, id), filler: filler, size: max(1, l.ValueSize/entrySize)},
			shard:  s, column: len(s.last),
		})
		s.last = append(s.last, time.Time{})
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	now := time.Now()
	r.silence.start = now
	for _, s := range r.shards {
		s.began = now
		for i := range s.last {
			s.last[i] = now
		}
	}
	return nil
}

// open opens a client that can do all that is wanted.
func (r *Running) open(ctx context.Context) (Client, error) {
	c, err := r.system.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a client: %w", err)
	}
	if _, ok := c.(Extended); ok {
		return c, nil
	}
	switch {
	case r.load.Mix.extended():
		err = fmt.Errorf("mix %v: it can get and put alone", r.load.Mix)
	case r.load.Clean:
		err = errors.New("clean up: it cannot delete")
	default:
		return c, nil
	}
	return nil, errors.Join(err, c.Close())
}

// Cut returns what was measured since the last Cut, or since Start, and begins another
// window.
func (r *Running) Cut() *Window { return r.cut(time.Now(), time.Time{}) }

// cut is Cut for a window whose end may be known.
func (r *Running) cut(now, limit time.Time) *Window {
	began, ends, all := r.shards[0].began, r.shards[0].limit, new(tally)
	for _, s := range r.shards {
		all.merge(s.cut(now, limit))
	}
	w := newWindow(all, now.Sub(began), r.schedule != nil)
	if !ends.IsZero() && ends.Before(now) {
		now = ends
	}
	w.LongestSilence = r.silence.cut(now)
	return w
}

// Waiting returns the longest time between two answers to one client since the last Cut,
// and whether every client has had an answer since a moment. Of a client that waits the
// time up to now counts.
func (r *Running) Waiting(since time.Time) (longest time.Duration, allAnswered bool) {
	now := time.Now()
	allAnswered = true
	for _, s := range r.shards {
		waited, oldest := s.waited(now)
		longest = max(longest, waited)
		allAnswered = allAnswered && oldest.After(since)
	}
	return longest, allAnswered
}

// Violations returns what was found so far that must not be.
func (r *Running) Violations() Violations { return r.found.violations() }

// Err returns what ended the load by itself, nil if nothing did.
func (r *Running) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// fail ends the load.
func (r *Running) fail(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.stop()
}

// Load returns what was asked for, with the defaults filled in.
func (r *Running) Load() Load { return r.load }

// Stop lets no client begin another operation. It does not wait.
func (r *Running) Stop() { r.stop() }

// finish stops, and waits for what is under way as long as the load has patience; the
// rest is given up.
func (r *Running) finish() {
	r.stop()
	impatient := time.AfterFunc(r.load.Patience, r.abort)
	defer impatient.Stop()
	r.wg.Wait()
}

// Close ends the load and closes its clients. What is under way is given up. Any number
// of calls is fine.
func (r *Running) Close() error {
	r.stop()
	r.abort()
	r.wg.Wait()
	var errs []error
	for _, w := range r.workers {
		errs = append(errs, w.client.Close())
	}
	r.workers = nil
	return errors.Join(errs...)
}

// progressPause is the time between two reports of progress.
const progressPause = 100 * time.Millisecond

// last waits for a time, unless the load ends before.
func (r *Running) last(ctx context.Context, stage string, d time.Duration) error {
	began := time.Now()
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return nil
		case <-r.taking.Done():
			if err := r.Err(); err != nil {
				return fmt.Errorf("load %s: %w", r.system.Name(), err)
			}
			return ctx.Err()
		case <-tick.C:
			r.progress(Progress{stage, uint64(time.Since(began).Milliseconds()), uint64(d.Milliseconds())})
		}
	}
}

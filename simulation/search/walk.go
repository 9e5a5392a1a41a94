package search

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The shape of random walks.
const (
	// walkDepth is how long a walk is if the Config does not say.
	walkDepth = 80
	// walkServersMax is how many states of servers are remembered before
	// everything is forgotten and begun again, so that memory is bounded.
	walkServersMax = 200_000
)

// Walk searches depth first, at random: from the start state it lets one thing
// after the other happen, to Config.Depth, and begins again, until a limit is
// reached, the goal is found or an invariant broken. It sees deep into what a
// breadth-first search cannot exhaust, and it is never a proof. The walks are
// drawn from the seed; with one worker they are always the same. Found counts the
// states of all walks, seen before or not. The way to an invariant that broke is
// shortened until no event of it can be left out (one to a deadlock is not). Stages
// and Prune are not used.
func Walk(ctx context.Context, cfg Config, seed uint64) (Result, error) {
	if err := cfg.Check(); err != nil {
		return Result{}, err
	}
	w := &walker{cfg: &cfg, seed: seed, begin: time.Now()}
	watched := make(chan struct{})
	var watching, walking sync.WaitGroup
	watching.Go(func() { w.cfg.watch(ctx, watched, w.progress, w.halt) })
	for range cfg.workers() {
		walking.Go(w.walks)
	}
	walking.Wait()
	close(watched)
	watching.Wait()
	return w.result, nil
}

type walker struct {
	cfg   *Config
	seed  uint64
	begin time.Time
	walk  atomic.Uint64
	found atomic.Int64
	depth atomic.Int64

	stop   atomic.Bool
	mu     sync.Mutex
	result Result
}

func (w *walker) progress() Progress {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	n := int(w.found.Load())
	return Progress{Depth: int(w.depth.Load()), Explored: n, Found: n, Steps: n, Elapsed: time.Since(w.begin), Memory: m.HeapAlloc}
}

// end notes what the search came to, once.
func (w *walker) end(r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop.Swap(true) {
		return
	}
	r.Progress = w.progress()
	w.result = r
}

// halt ends the search at a limit.
func (w *walker) halt(limit string) { w.end(Result{End: LimitReached, Limit: limit}) }

// walks goes one walk after the other.
func (w *walker) walks() {
	x := newExplorer(*w.cfg, false)
	start := x.start()
	for !w.stop.Load() {
		if x.servers.count() > walkServersMax {
			x = newExplorer(*w.cfg, false)
			start = x.start()
		}
		w.one(start, rand.New(rand.NewPCG(w.seed, w.walk.Add(1))))
	}
}

// one goes one walk.
func (w *walker) one(s *State, dice *rand.Rand) {
	depth := w.cfg.Depth
	if depth == 0 {
		depth = walkDepth
	}
	x, start := s.x, s
	good := &healthy{}
	var way, events []event
	for len(way) < depth && !w.stop.Load() {
		events = events[:0]
		s.each(func(e event) { events = append(events, e) })
		e, next, v := s.any(events, dice)
		if next == nil && v == nil {
			return // nothing is left that would change anything
		}
		way = append(way, e)
		if v == nil {
			v = next.check()
		}
		if v == nil && w.cfg.Deadlocks && len(way) == depth {
			if on, v := next.deadlock(good); v != nil {
				lines := append(append(x.texts(way), noMoreFaults), x.texts(on)...)
				w.end(Result{End: Broken, Invariant: v.invariant, Detail: v.detail, Trace: lines})
				return
			}
		}
		if v != nil {
			way, v = x.shorten(start, way, v)
			w.end(Result{End: Broken, Invariant: v.invariant, Detail: v.detail, Trace: x.texts(way)})
			return
		}
		w.found.Add(1)
		w.depth.Store(max(w.depth.Load(), int64(len(way))))
		s = next
		if w.cfg.Goal != nil && w.cfg.Goal.Holds(s) {
			w.end(Result{End: GoalFound, Trace: x.texts(way)})
			return
		}
	}
}

// any draws one of the events that change something, and returns what it leads to.
func (s *State) any(events []event, dice *rand.Rand) (event, *State, *violation) {
	for n := len(events); n > 0; n-- {
		i := dice.IntN(n)
		e := events[i]
		if next, v := s.after(e); next != nil || v != nil {
			return e, next, v
		}
		events[i] = events[n-1]
	}
	return event{}, nil, nil
}

func (x *explorer) texts(way []event) []string {
	lines := make([]string, len(way))
	for i, e := range way {
		lines[i] = x.text(e)
	}
	return lines
}

// shorten leaves out events as long as the same invariant breaks.
func (x *explorer) shorten(start *State, way []event, v *violation) ([]event, *violation) {
	for again := true; again; {
		again = false
		for i := len(way) - 1; i >= 0; i-- {
			shorter := append(append([]event(nil), way[:i]...), way[i+1:]...)
			if n, w := breaks(start, shorter); w != nil && w.invariant == v.invariant {
				way, v, again = shorter[:n], w, true
				i = min(i, len(way))
			}
		}
	}
	return way, v
}

// breaks goes a way and tells after how many events something breaks. An event
// that cannot happen any more ends it.
func breaks(s *State, way []event) (int, *violation) {
	for i, e := range way {
		if !s.can(e) {
			return 0, nil
		}
		next, v := s.after(e)
		if v == nil && next != nil {
			v = next.check()
			s = next
		}
		if v != nil {
			return i + 1, v
		}
	}
	return 0, nil
}

// can tells whether an event can happen.
func (s *State) can(e event) bool {
	found := false
	s.each(func(f event) { found = found || f == e })
	return found
}

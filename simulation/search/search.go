package search

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// End says how a search ended.
type End uint8

const (
	// Exhausted: every state within the bounds was looked at.
	Exhausted End = iota
	// GoalFound: a state in which the goal holds was found.
	GoalFound
	// Broken: an invariant broke.
	Broken
	// LimitReached: the search stopped before it was through. That is no proof.
	LimitReached
)

// String returns the end in words.
func (e End) String() string {
	switch e {
	case Exhausted:
		return "space exhausted"
	case GoalFound:
		return "goal found"
	case Broken:
		return "invariant broken"
	case LimitReached:
		return "limit reached"
	}
	return "unknown end"
}

// Progress is how far a search has come.
type Progress struct {
	Stage    int // from 0
	Depth    int // of the states being looked at
	Explored int // states looked at
	Found    int // different states found
	Steps    int // events tried
	Elapsed  time.Duration
	Memory   uint64 // bytes of heap
}

// Result is what a search came to. What was counted is of all stages together.
type Result struct {
	Progress
	End    End
	Limit  string // which was reached
	Pruned int    // states that Prune or a goal's own stage kept from being looked at

	Invariant, Detail string // what broke
	// Trace leads to what was found or broke: after a breadth-first search by a
	// shortest way.
	Trace []string
}

// found is a state with the way to it: the index of the state before it, and
// the event.
type found struct {
	State
	index, parent uint32
	event         uint64
}

// searcher is one breadth-first stage.
type searcher struct {
	x     *explorer
	cfg   *Config
	goal  *Goal
	begin time.Time
	seen  visited
	good  *healthy

	parents []uint32
	events  []uint64

	explored, steps, count, pruned atomic.Int64
	depth                          atomic.Int64
	stage                          int

	stop  atomic.Bool
	mu    sync.Mutex
	limit string
	wrong *wrong
	goals []found
}

// wrong is the first violation, and the way to it.
type wrong struct {
	*violation
	parent uint32
	events []event
}

// Run searches breadth first, from the start state to every state within the
// bounds, a depth after the other. The error is about the Config. A context that
// is done ends the search with LimitReached.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.Check(); err != nil {
		return Result{}, err
	}
	x := newExplorer(cfg, false)
	state := x.start()
	var total Result
	var trace []string
	begin := time.Now()
	stages := slices.Clone(cfg.Stages)
	last := len(stages)
	for i := 0; ; i++ {
		s := &searcher{x: x, cfg: &cfg, begin: begin, good: &healthy{}, stage: i}
		s.explored.Store(int64(total.Explored))
		s.steps.Store(int64(total.Steps))
		s.count.Store(int64(total.Found))
		s.pruned.Store(int64(total.Pruned))
		if s.goal = cfg.Goal; i < last {
			s.goal = &stages[i]
		}
		end, next := s.run(ctx, state)
		total = s.result(end)
		trace = append(trace, s.way(end)...)
		total.Trace = trace
		if end != GoalFound || i == last {
			return total, nil
		}
		state = next
	}
}

func (s *searcher) result(end End) Result {
	r := Result{Progress: s.progress(), End: end, Pruned: int(s.pruned.Load())}
	if end == LimitReached { // and not a limit that was reached a moment after the end
		r.Limit = s.limit
	}
	if s.wrong != nil {
		r.Invariant, r.Detail = s.wrong.invariant, s.wrong.detail
	}
	return r
}

func (s *searcher) progress() Progress {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Progress{
		Stage: s.stage, Depth: int(s.depth.Load()), Explored: int(s.explored.Load()), Found: int(s.count.Load()),
		Steps: int(s.steps.Load()), Elapsed: time.Since(s.begin), Memory: m.HeapAlloc,
	}
}

// run searches from a state and returns how that ended, and the state in which
// the goal holds.
func (s *searcher) run(ctx context.Context, start *State) (End, *State) {
	watched := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.cfg.watch(ctx, watched, s.progress, s.halt) })
	defer func() { close(watched); watching.Wait() }()

	frontier := [][]found{{{State: *start}}}
	s.parents, s.events = []uint32{0}, []uint64{0}
	s.seen.add(start.key())
	s.count.Add(1)
	if s.goal != nil && s.goal.Holds(start) {
		s.goals = append(s.goals, frontier[0][0])
		return GoalFound, start
	}
	for slices.ContainsFunc(frontier, func(part []found) bool { return len(part) > 0 }) {
		if s.cfg.Depth > 0 && int(s.depth.Load()) >= s.cfg.Depth {
			s.halt("depth")
			break
		}
		frontier = s.level(frontier)
		switch {
		case s.wrong != nil:
			return Broken, nil
		case len(s.goals) > 0:
			g := slices.MinFunc(s.goals, func(a, b found) int { return cmp.Compare(a.index, b.index) })
			s.goals = []found{g}
			return GoalFound, &g.State
		case s.stop.Load():
			return LimitReached, nil
		}
		s.depth.Add(1)
	}
	if s.stop.Load() {
		return LimitReached, nil
	}
	return Exhausted, nil
}

// halt ends the search at a limit.
func (s *searcher) halt(limit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit == "" {
		s.limit = limit
	}
	s.stop.Store(true)
}

// level looks at all states of one depth and returns those of the next, in
// parts.
func (s *searcher) level(frontier [][]found) [][]found {
	const portion = 128
	var wait sync.WaitGroup
	parts := make([][]found, s.cfg.workers())
	var next atomic.Int64 // the portion to take, counted over all parts
	for w := range parts {
		wait.Go(func() {
			e := expander{s: s, scratch: new(State)}
			for !s.stop.Load() {
				mine := portionOf(frontier, int(next.Add(1))-1, portion)
				if mine == nil {
					break
				}
				for i := range mine {
					e.expand(&mine[i])
				}
			}
			s.steps.Add(e.steps)
			parts[w] = e.out
		})
	}
	wait.Wait()
	for w := range parts {
		parts[w] = s.number(parts[w])
	}
	return parts
}

// portionOf returns the n-th portion of some parts, nil if there is none.
func portionOf(parts [][]found, n, portion int) []found {
	for _, part := range parts {
		here := (len(part) + portion - 1) / portion
		if n < here {
			return part[n*portion : min((n+1)*portion, len(part))]
		}
		n -= here
	}
	return nil
}

// number gives new states their place among all, looks whether the goal holds in
// them, and leaves out those from which the search does not go on.
func (s *searcher) number(part []found) []found {
	on := part[:0]
	for i := range part {
		f := &part[i]
		f.index = uint32(len(s.parents))
		s.parents = append(s.parents, f.parent)
		s.events = append(s.events, f.event)
		if s.goal != nil && s.goal.Holds(&f.State) {
			s.goals = append(s.goals, *f)
		}
		if s.cfg.Prune != nil && s.cfg.Prune(&f.State) {
			s.pruned.Add(1)
			continue
		}
		on = append(on, *f)
	}
	return on
}

// expander looks at states, for one worker.
type expander struct {
	s       *searcher
	scratch *State
	steps   int64
	out     []found
}

// expand tries everything that can happen in a state.
func (x *expander) expand(f *found) {
	s, t := x.s, x.scratch
	s.explored.Add(1)
	f.each(func(e event) {
		if s.stop.Load() {
			return
		}
		x.steps++
		changed, v := f.into(t, e)
		if v != nil {
			s.broke(v, f.index, []event{e})
			return
		}
		if !changed || !s.seen.add(t.key()) {
			return
		}
		s.count.Add(1)
		if v := t.check(); v != nil {
			s.broke(v, f.index, []event{e})
			return
		}
		if s.cfg.Deadlocks {
			if way, v := t.deadlock(s.good); v != nil {
				s.broke(v, f.index, append([]event{e}, way...))
				return
			}
		}
		x.out = append(x.out, found{State: *t, parent: f.index, event: e.key()})
	})
}

// broke notes a violation and ends the search. Of several the one that was
// found from the earliest state counts.
func (s *searcher) broke(v *violation, parent uint32, events []event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong == nil || parent < s.wrong.parent {
		s.wrong = &wrong{v, parent, events}
	}
	s.stop.Store(true)
}

// way returns the events, as text, that lead to what ended the stage.
func (s *searcher) way(end End) []string {
	var last []event
	var at uint32
	switch end {
	case Broken:
		last, at = s.wrong.events, s.wrong.parent
	case GoalFound:
		at = s.goals[0].index
	default:
		return nil
	}
	var lines []string
	for ; at != 0; at = s.parents[at] {
		lines = append(lines, s.x.text(eventOf(s.events[at])))
	}
	slices.Reverse(lines)
	for i, e := range last {
		if i == 1 {
			lines = append(lines, noMoreFaults)
		}
		lines = append(lines, s.x.text(e))
	}
	return lines
}

package simulation

import (
	"errors"
	"slices"
)

// ShrinkBudget bounds Shrink; zero fields are the defaults.
type ShrinkBudget struct {
	Runs int // that are made at most; default 2000
	// Stop, if not nil, is asked before every run; true ends the shrinking with what
	// there is. A bound on time is put here, and makes the result depend on it.
	Stop func() bool
}

// ShrinkStats tells what Shrink did.
type ShrinkStats struct {
	Runs         int // made
	FaultsBefore int // that struck in the run given
	FaultsAfter  int // that are needed
	OpsBefore    int
	OpsAfter     int
	EventsBefore uint64
	EventsAfter  uint64
	Finished     bool // it ended before the budget did
}

// Shrink looks for a smaller run that breaks the same invariant: with fewer
// kinds of fault, then with fewer faults (by delta debugging: Zeller and
// Hildebrandt, TSE 2002), then with fewer servers, clients, keys and operations.
// The options it returns hold a Schedule, and make the failure it returns when
// they are run. If the failure given does not come again they are the ones given.
func Shrink(o Options, f *Failure, budget ShrinkBudget) (Options, *Failure, ShrinkStats) {
	if budget.Runs == 0 {
		budget.Runs = 2000
	}
	s := &shrinker{best: o, failure: f, budget: budget}
	s.stats.FaultsBefore, s.stats.OpsBefore, s.stats.EventsBefore = len(f.Schedule.Faults), o.Ops, f.Event
	fixed := o
	fixed.Ops = max(1, f.Started)
	schedule := f.Schedule
	fixed.Schedule = &schedule
	if s.try(fixed) {
		s.stats.OpsBefore = fixed.Ops
		for again := true; again && !s.exhausted(); {
			before := s.size()
			s.dropKinds()
			s.dropFaults()
			s.reduceWorld()
			again = s.size() < before
		}
	}
	s.stats.FaultsAfter, s.stats.OpsAfter, s.stats.EventsAfter = len(s.failure.Schedule.Faults), s.best.Ops, s.failure.Event
	if s.best.Schedule != nil {
		s.stats.FaultsAfter = len(s.best.Schedule.Faults)
	}
	s.stats.Finished = !s.stopped
	return s.best, s.failure, s.stats
}

type shrinker struct {
	best    Options
	failure *Failure
	budget  ShrinkBudget
	stats   ShrinkStats
	stopped bool
}

func (s *shrinker) exhausted() bool {
	s.stopped = s.stopped || s.stats.Runs >= s.budget.Runs || (s.budget.Stop != nil && s.budget.Stop())
	return s.stopped
}

// size is what a round of shrinking has to make smaller.
func (s *shrinker) size() int {
	o := &s.best
	return len(o.Schedule.Faults) + o.Ops + o.Servers + o.Clients + o.Keys
}

// try runs a smaller world, and goes on from it if the same invariant breaks. What
// of its faults never struck is left out.
func (s *shrinker) try(o Options) bool {
	if s.exhausted() {
		return false
	}
	s.stats.Runs++
	_, err := Run(o)
	var f *Failure
	if !errors.As(err, &f) || f.Invariant != s.failure.Invariant {
		return false
	}
	o.Ops = min(o.Ops, max(1, f.Started))
	o.Schedule = &Schedule{Faults: f.Schedule.Faults, Millis: min(o.Schedule.Millis, f.Schedule.Millis)}
	s.best, s.failure = o, f
	return true
}

// with returns the best options so far with other faults.
func (s *shrinker) with(faults []Decision) Options {
	o := s.best
	o.Schedule = &Schedule{Faults: faults, Millis: o.Schedule.Millis}
	return o
}

// dropKinds leaves out all faults of a kind, one kind after the other.
func (s *shrinker) dropKinds() {
	for i := range faultKinds {
		all := s.best.Schedule.Faults
		rest := slices.DeleteFunc(slices.Clone(all), func(d Decision) bool { return d.Fault == faultKinds[i].Name })
		if len(rest) < len(all) {
			s.try(s.with(rest))
		}
	}
}

// dropFaults is delta debugging: it leaves out a half, quarters, and so on to
// single faults, until none can be missed.
func (s *shrinker) dropFaults() {
	for parts := 2; len(s.best.Schedule.Faults) > 0 && !s.exhausted(); {
		all := s.best.Schedule.Faults
		parts = min(parts, len(all))
		if s.dropPart(all, parts) {
			parts = max(parts-1, 2)
			continue
		}
		if parts == len(all) {
			return
		}
		parts *= 2
	}
}

// dropPart tries to do without one of so many parts.
func (s *shrinker) dropPart(all []Decision, parts int) bool {
	for i := range parts {
		from, to := i*len(all)/parts, (i+1)*len(all)/parts
		if s.try(s.with(slices.Concat(all[:from], all[to:]))) {
			return true
		}
	}
	return false
}

// reduceWorld makes the world smaller.
func (s *shrinker) reduceWorld() {
	for _, field := range []struct {
		of    func(*Options) *int
		least int
	}{
		{func(o *Options) *int { return &o.Ops }, 1},
		{func(o *Options) *int { return &o.Servers }, 1},
		{func(o *Options) *int { return &o.Clients }, 1},
		{func(o *Options) *int { return &o.Keys }, 1},
	} {
		for step := *field.of(&s.best) / 2; step > 0; {
			o := s.best
			n := field.of(&o)
			if *n -= step; *n < field.least || !s.try(o) {
				step /= 2
			}
		}
	}
}

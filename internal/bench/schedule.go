package bench

import (
	"context"
	"math/rand/v2"
	"time"
)

// schedule has the arrivals of an open loop. Clients take them in turn: the one whose
// turn it is waits for the moment, the others for their turn. So an arrival that finds
// all clients at work is late, and nothing is lost of how late.
type schedule struct {
	turn  chan struct{}        // has an element while it is nobody's turn
	pause func() time.Duration // to the next arrival
	next  time.Time            // the next arrival
	timer *time.Timer
	nap   func(time.Duration)
}

// A timer of Go's may be more than a millisecond late when the process has nothing else
// to do, which would count as latency. So the last of a wait is a nap, which is not.
const napMax = 2 * time.Millisecond

func newSchedule(l *Load, rng *rand.Rand) *schedule {
	s := &schedule{turn: make(chan struct{}, 1), next: time.Now(), timer: time.NewTimer(0), nap: l.nap}
	s.turn <- struct{}{}
	mean := float64(time.Second) / l.Rate
	s.pause = func() time.Duration { return time.Duration(mean) }
	if l.Arrivals == Poisson {
		s.pause = func() time.Duration { return time.Duration(mean * rng.ExpFloat64()) }
	}
	return s
}

// take returns when the operation is meant to begin that the caller is to begin now. It
// returns false when there are no more.
func (s *schedule) take(ctx context.Context) (meant time.Time, ok bool) {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if wait := time.Until(s.next) - napMax; wait > 0 {
		s.timer.Reset(wait)
		select {
		case <-s.timer.C:
		case <-ctx.Done():
			return time.Time{}, false
		}
	}
	for wait := time.Until(s.next); wait > 0; wait = time.Until(s.next) {
		s.nap(wait)
	}
	if ctx.Err() != nil {
		return time.Time{}, false
	}
	meant = s.next
	s.next = s.next.Add(s.pause())
	return meant, true
}

// missed returns how many arrivals there were up to a moment that nobody took. Nobody
// takes any more.
func (s *schedule) missed(until time.Time) (n uint64) {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	for ; s.next.Before(until); n++ {
		s.next = s.next.Add(s.pause())
	}
	return n
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/pause"
)

// sample is what one measurement came to.
type sample struct {
	Round      int              `json:"round"` // from 1
	PerSecond  float64          `json:"per_second"`
	P50        time.Duration    `json:"p50_ns"`
	P99        time.Duration    `json:"p99_ns"`
	Max        time.Duration    `json:"max_ns"`
	Client     time.Duration    `json:"client_ns"`  // processor time of an operation, on the clients' side
	Servers    time.Duration    `json:"servers_ns"` // and on that of all servers together
	Failures   bench.Failures   `json:"failures"`
	NotBegun   uint64           `json:"not_begun,omitempty"` // of an open loop
	Violations bench.Violations `json:"violations"`
}

// newSample takes from a measurement what is reported.
func newSample(round int, w *bench.Window, v bench.Violations) sample {
	return sample{
		Round: round, PerSecond: w.PerSecond, P50: w.All.P50, P99: w.All.P99, Max: w.All.Max,
		Failures: w.FailuresOf(), NotBegun: w.NotBegun, Violations: v,
	}
}

// measure makes one measurement of a closed loop. It is bench.Run with a look at the
// processors at its beginning and its end.
func measure(ctx context.Context, c *contender, l bench.Load, round int) (_ sample, err error) {
	r, err := bench.Start(ctx, c.system, l, nil)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	pause.For(ctx, l.Warmup)
	r.Cut()
	before, err := processors(c.pids)
	if err != nil {
		return sample{}, err
	}
	pause.For(ctx, l.Duration)
	w := r.Cut()
	after, err := processors(c.pids)
	if err != nil {
		return sample{}, err
	}
	r.Stop()
	if err := errors.Join(context.Cause(ctx), r.Err()); err != nil {
		return sample{}, err
	}
	if err := r.ReadBack(ctx, true); err != nil {
		return sample{}, err
	}
	s := newSample(round, w, r.Violations())
	if n := time.Duration(w.Operations); n > 0 {
		s.Client, s.Servers = (after.self-before.self)/n, (after.others-before.others)/n
	}
	return s, nil
}

// cell is what the rounds of one contender with some clients came to.
type cell struct {
	Clients int      `json:"clients"`
	Samples []sample `json:"samples"`
	Rate    spread   `json:"per_second"`
	Client  spread   `json:"client_us"`
	Servers spread   `json:"servers_us"`
}

// measured tells whether there is anything in it.
func (c *cell) measured() bool { return len(c.Samples) > 0 }

// row is a contender and what it did.
type row struct {
	contender
	Cells []*cell `json:"cells"`
}

// at returns the cell for a number of clients, nil if it was not measured.
func (r *row) at(clients int) *cell {
	for _, c := range r.Cells {
		if c.Clients == clients && c.measured() {
			return c
		}
	}
	return nil
}

// measured tells whether there is anything in it.
func (r *row) measured() bool { return slices.ContainsFunc(r.Cells, (*cell).measured) }

// table is a part of closed loops.
type table struct {
	Part string `json:"part"`
	Rows []*row `json:"rows"`
}

// find returns a contender's row, nil if it did not take part.
func (t *table) find(id string) *row {
	if t == nil {
		return nil
	}
	for _, r := range t.Rows {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// cell returns a cell, nil if it was not measured.
func (t *table) cell(id string, clients int) *cell {
	if r := t.find(id); r != nil {
		return r.at(clients)
	}
	return nil
}

// peak returns the cell in which the best of some contenders was best, nil if none took
// part.
func (t *table) peak(ids ...string) *cell {
	var best *cell
	for _, id := range ids {
		if r := t.find(id); r != nil {
			for _, c := range r.Cells {
				if c.measured() && (best == nil || c.Rate.Median > best.Rate.Median) {
					best = c
				}
			}
		}
	}
	return best
}

// closedLoops measures every contender with every number of clients, in rounds. In a
// round they take turns for each number of clients, and each round another one begins:
// what else happens on the machine meets all of them alike. With an error it returns
// what had been measured before.
func closedLoops(ctx context.Context, set *settings, part string, kind bench.Kind, contenders []contender, p *progress) (*table, error) {
	t := &table{Part: part}
	for _, c := range contenders {
		r := &row{contender: c}
		for _, clients := range set.Clients {
			r.Cells = append(r.Cells, &cell{Clients: clients})
		}
		t.Rows = append(t.Rows, r)
	}
	for round := range set.Rounds {
		for i := range set.Clients {
			for turn := range t.Rows {
				r := t.Rows[(turn+round)%len(t.Rows)]
				c := r.Cells[i]
				p.step("%s, round %d of %d, %d clients: %s", part, 1+round, set.Rounds, c.Clients, r.Label)
				s, err := measure(ctx, &r.contender, set.load(kind, c.Clients, round), 1+round)
				if err != nil {
					return t, fmt.Errorf("%s with %d clients: %w", r.ID, c.Clients, err)
				}
				c.add(s)
			}
		}
	}
	return t, nil
}

// add adds a measurement.
func (c *cell) add(s sample) {
	c.Samples = append(c.Samples, s)
	c.Rate = spreadOf(numbers(c.Samples, func(s sample) float64 { return s.PerSecond }))
	c.Client = spreadOf(numbers(c.Samples, func(s sample) float64 { return microseconds(s.Client) }))
	c.Servers = spreadOf(numbers(c.Samples, func(s sample) float64 { return microseconds(s.Servers) }))
}

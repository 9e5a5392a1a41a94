package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
)

// sample is what one measurement came to.
type sample struct {
	Round      int              `json:"round"` // from 1
	PerSecond  float64          `json:"per_second"`
	P50        time.Duration    `json:"p50_ns"`
	P99        time.Duration    `json:"p99_ns"`
	Max        time.Duration    `json:"max_ns"`
	Failures   bench.Failures   `json:"failures"`
	NotBegun   uint64           `json:"not_begun,omitempty"` // of an open loop
	Violations bench.Violations `json:"violations"`
}

// newSample takes from a result what is reported.
func newSample(round int, r *bench.Result) sample {
	return sample{
		Round: round, PerSecond: r.PerSecond, P50: r.All.P50, P99: r.All.P99, Max: r.All.Max,
		Failures: r.FailuresOf(), NotBegun: r.NotBegun, Violations: r.Violations,
	}
}

// cell is what the rounds of one contender with some clients came to.
type cell struct {
	Clients int      `json:"clients"`
	Samples []sample `json:"samples"`
	Rate    spread   `json:"per_second"`
}

// row is a contender and what it did.
type row struct {
	contender
	Cells []*cell `json:"cells"`
}

// at returns the cell for a number of clients, nil if there is none.
func (r *row) at(clients int) *cell {
	for _, c := range r.Cells {
		if c.Clients == clients {
			return c
		}
	}
	return nil
}

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
				if best == nil || c.Rate.Median > best.Rate.Median {
					best = c
				}
			}
		}
	}
	return best
}

// closedLoops measures every contender with every number of clients, in rounds. In a
// round they take turns for each number of clients, and each round another one begins:
// what else happens on the machine meets all of them alike.
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
				result, err := bench.Run(ctx, r.system, set.load(kind, c.Clients, round), nil)
				if err != nil {
					return nil, fmt.Errorf("%s with %d clients: %w", r.ID, c.Clients, err)
				}
				c.add(newSample(1+round, result))
			}
		}
	}
	return t, nil
}

// add adds a measurement.
func (c *cell) add(s sample) {
	c.Samples = append(c.Samples, s)
	c.Rate = spreadOf(numbers(c.Samples, func(s sample) float64 { return s.PerSecond }))
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemkv/tandem/internal/bench"
)

// openLoop is how long writes take that arrive at a fixed rate.
type openLoop struct {
	Rate float64    `json:"rate"` // of arrivals, per second
	Rows []*openRow `json:"rows"`
}

// openRow is what one contender did.
type openRow struct {
	contender
	Samples []sample `json:"samples"`
	P50     spread   `json:"p50_ms"`
	P99     spread   `json:"p99_ms"`
}

// find returns a contender's row, nil if it did not take part.
func (o *openLoop) find(id string) *openRow {
	if o == nil {
		return nil
	}
	for _, r := range o.Rows {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// openContenders are those whose latency is measured: those of Tandem and Redis that
// replicate, where every request is one of its own.
var openContenders = []string{"tandem", "tandem-shared", "redis-wait", "redis-wait-trips"}

// openLoops measures the latency of writes that arrive as those of many independent
// users do, in rounds, at half the rate that Redis with WAIT 1 is able to do. With an
// error it returns what had been measured before.
func openLoops(ctx context.Context, set *settings, contenders []contender, puts *table, p *progress) (*openLoop, error) {
	o := &openLoop{Rate: set.Rate}
	for _, id := range openContenders {
		for _, c := range contenders {
			if c.ID == id {
				o.Rows = append(o.Rows, &openRow{contender: c})
			}
		}
	}
	if o.Rate == 0 {
		best := puts.peak("redis-wait", "redis-wait-trips")
		if best == nil {
			return nil, errors.New("open loop: at what rate? Give --rate, or have Redis take part in the part put")
		}
		o.Rate = best.Rate.Median / 2
	}
	for round := range set.Rounds {
		for turn := range o.Rows {
			r := o.Rows[(turn+round)%len(o.Rows)]
			p.step("open, round %d of %d, %.0f writes/s: %s", 1+round, set.Rounds, o.Rate, r.Label)
			load := set.load(bench.Put, openClients, round)
			load.Rate, load.Duration = o.Rate, openTimes*set.Duration
			result, err := bench.Run(ctx, r.system, load, nil)
			if err != nil {
				return o, fmt.Errorf("%s at %.0f writes a second: %w", r.ID, o.Rate, err)
			}
			r.Samples = append(r.Samples, newSample(1+round, &result.Window, result.Violations))
			r.P50 = spreadOf(numbers(r.Samples, func(s sample) float64 { return milliseconds(s.P50) }))
			r.P99 = spreadOf(numbers(r.Samples, func(s sample) float64 { return milliseconds(s.P99) }))
		}
	}
	return o, nil
}

// openTimes is how much longer an open loop is measured than a closed one: the slowest
// of a hundred need more of them.
const openTimes = 3

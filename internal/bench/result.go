package bench

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what came of a Run.
type Result struct {
	System string `json:"system"`
	Load   Load   `json:"load"`
	Window
	Violations Violations `json:"violations"`
}

// Window is what was measured in a time.
type Window struct {
	Length     time.Duration `json:"length_ns"`
	Operations uint64        `json:"operations"` // that were answered, and PerSecond of those by its end
	PerSecond  float64       `json:"per_second"`

	// All is the latency of all operations, Kinds that of those of each kind. In an open
	// loop it counts from when they were meant to begin, and Service from when they did.
	All     Latency            `json:"all"`
	Kinds   map[string]Latency `json:"kinds"`
	Service Latency            `json:"service"`

	Failures map[string]Failures `json:"failures,omitempty"` // by kind
	// NotBegun is how many operations of an open loop should have begun in the time and
	// did not. If there are any, the latencies are too small: theirs are missing.
	NotBegun uint64 `json:"not_begun"`

	Slots []Slot `json:"slots"`
	// LongestGap is the longest time between two answers to one client. In an open loop,
	// where clients have nothing to do at times, it is the longest latency.
	LongestGap time.Duration `json:"longest_gap_ns"`
	// LongestSilence is the longest time without an answer to any client.
	LongestSilence time.Duration `json:"longest_silence_ns"`

	tally *tally
	all   latencies
}

// Latency is a distribution of latencies.
type Latency struct {
	Operations uint64        `json:"operations"`
	Mean       time.Duration `json:"mean_ns"`
	P50        time.Duration `json:"p50_ns"`
	P90        time.Duration `json:"p90_ns"`
	P99        time.Duration `json:"p99_ns"`
	P999       time.Duration `json:"p999_ns"`
	Max        time.Duration `json:"max_ns"`
}

// FailuresOf returns how many operations of all kinds failed.
func (w *Window) FailuresOf() Failures {
	var all Failures
	for _, f := range w.Failures {
		all.Add(f)
	}
	return all
}

// Histogram returns the latencies of all operations, in nanoseconds; nil if there were
// none. The caller must not change it.
func (w *Window) Histogram() *hdr.Histogram { return w.all.h }

// newWindow tells what a tally of a time came to.
func newWindow(t *tally, length time.Duration, open bool) *Window {
	w := &Window{Kinds: make(map[string]Latency), Failures: make(map[string]Failures), Slots: t.slots, LongestGap: t.longest, tally: t}
	for _, k := range Kinds() {
		if t.latencies[k].h != nil {
			w.Kinds[k.String()] = t.latencies[k].summary()
		}
		w.all.merge(&t.latencies[k])
		if f := t.failed[k]; f != (Failures{}) {
			w.Failures[k.String()] = f
		}
	}
	w.All, w.Service = w.all.summary(), t.served.summary()
	w.Operations = w.All.Operations
	if open {
		w.LongestGap = w.All.Max
	}
	w.setLength(length)
	return w
}

// setLength says how long the window was.
func (w *Window) setLength(length time.Duration) {
	w.Length = length
	w.PerSecond = float64(w.Operations-w.tally.late) / max(length.Seconds(), 1e-9)
}

// summary returns the distribution in a few numbers.
func (l *latencies) summary() Latency {
	if l.h == nil {
		return Latency{}
	}
	at := l.h.ValueAtPercentiles([]float64{50, 90, 99, 99.9})
	return Latency{
		Operations: uint64(l.h.TotalCount()), Mean: time.Duration(l.h.Mean()), Max: time.Duration(l.h.Max()),
		P50: time.Duration(at[50]), P90: time.Duration(at[90]), P99: time.Duration(at[99]), P999: time.Duration(at[99.9]),
	}
}

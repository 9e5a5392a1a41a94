package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/bench/chart"
	"github.com/tandemkv/tandem/internal/drill"
)

// benchReport is the answer of bench, as it stands in JSON.
type benchReport struct {
	Monitor     string `json:"monitor,omitempty"` // of a cluster that ran already
	Started     bool   `json:"started"`           // one was started
	Connections string `json:"connections"`
	Rounds      int    `json:"rounds"`
	Interrupted bool   `json:"interrupted"` // before all rounds were had
	// ViewChanges counts those of a cluster that was started, from when its backup was in
	// sync to the end: there is no cause for any.
	ViewChanges uint             `json:"view_changes"`
	Summary     []benchSummary   `json:"summary"` // for each number of clients
	Violations  bench.Violations `json:"violations"`
	Results     []*bench.Result  `json:"results"` // in the order in which they were had
}

// benchSummary is what the rounds of a number of clients came to: medians, and of the
// operations per second the least and the most.
type benchSummary struct {
	Clients    int                      `json:"clients"`
	PerSecond  float64                  `json:"per_second"`
	Least      float64                  `json:"per_second_min"`
	Most       float64                  `json:"per_second_max"`
	All        bench.Latency            `json:"all"`
	Service    bench.Latency            `json:"service"` // counted from when operations did begin
	Kinds      map[string]bench.Latency `json:"kinds"`
	LongestGap time.Duration            `json:"longest_gap_ns"` // of all rounds
	Failed     uint64                   `json:"failed"`         // in all rounds, as is the rest
	NotBegun   uint64                   `json:"not_begun"`
}

func (r *benchReport) add(res *bench.Result) {
	r.Results = append(r.Results, res)
	r.Violations.Add(res.Violations)
}

// of returns the results of a number of clients.
func (r *benchReport) of(clients int) (of []*bench.Result) {
	for _, res := range r.Results {
		if res.Load.Clients == clients {
			of = append(of, res)
		}
	}
	return of
}

// sum sums the rounds up.
func (r *benchReport) sum() {
	for _, res := range r.Results {
		if n := res.Load.Clients; !slices.ContainsFunc(r.Summary, func(s benchSummary) bool { return s.Clients == n }) {
			r.Summary = append(r.Summary, summed(n, r.of(n)))
		}
	}
}

func summed(clients int, of []*bench.Result) benchSummary {
	rates := sortedBy(of, func(res *bench.Result) float64 { return res.PerSecond })
	s := benchSummary{
		Clients: clients, PerSecond: drill.Quantile(rates, 0.5), Least: rates[0], Most: rates[len(rates)-1],
		All:     medianLatency(of, func(res *bench.Result) bench.Latency { return res.All }),
		Service: medianLatency(of, func(res *bench.Result) bench.Latency { return res.Service }),
		Kinds:   make(map[string]bench.Latency),
	}
	for kind := range of[0].Kinds {
		s.Kinds[kind] = medianLatency(of, func(res *bench.Result) bench.Latency { return res.Kinds[kind] })
	}
	for _, res := range of {
		f := res.FailuresOf()
		s.LongestGap = max(s.LongestGap, res.LongestGap)
		s.Failed += f.DidNotRun + f.Unknown
		s.NotBegun += res.NotBegun
	}
	return s
}

// medianLatency returns the medians of each number of latencies; Operations are the sum.
func medianLatency(of []*bench.Result, get func(*bench.Result) bench.Latency) bench.Latency {
	median := func(field func(bench.Latency) time.Duration) time.Duration {
		return drill.Quantile(sortedBy(of, func(res *bench.Result) time.Duration { return field(get(res)) }), 0.5)
	}
	m := bench.Latency{
		Mean: median(func(l bench.Latency) time.Duration { return l.Mean }),
		P50:  median(func(l bench.Latency) time.Duration { return l.P50 }),
		P90:  median(func(l bench.Latency) time.Duration { return l.P90 }),
		P99:  median(func(l bench.Latency) time.Duration { return l.P99 }),
		P999: median(func(l bench.Latency) time.Duration { return l.P999 }),
		Max:  median(func(l bench.Latency) time.Duration { return l.Max }),
	}
	for _, res := range of {
		m.Operations += get(res).Operations
	}
	return m
}

// sortedBy returns a number of each element, sorted.
func sortedBy[E any, N cmp.Ordered](of []E, number func(E) N) []N {
	var numbers []N
	for _, e := range of {
		numbers = append(numbers, number(e))
	}
	slices.Sort(numbers)
	return numbers
}

// text tells the answer to a person.
func (r *benchReport) text() string {
	var b strings.Builder
	l := r.Results[0].Load
	where := "a view service and servers that were started for it"
	if !r.Started {
		where = "the cluster of " + r.Monitor
	}
	fmt.Fprintf(&b, "%s; connections: %s\n%s\n%s of %s after %s\n\n", where, r.Connections, describeLoad(l),
		countOf(r.Rounds, "round"), shortDuration(l.Duration), shortDuration(l.Warmup))
	fmt.Fprintf(&b, "%-12s %10s %21s %9s %9s %9s %9s %9s %9s\n", "clients", "per second", "least to most", "p50", "p90", "p99", "p99.9", "longest", "gap")
	for _, s := range r.Summary {
		s.write(&b, l.Rate > 0)
	}
	if r.Started {
		fmt.Fprintf(&b, "\nchanges of view without cause: %d\n", r.ViewChanges)
	}
	writeViolations(&b, r.Violations)
	writeInterrupted(&b, r.Interrupted)
	return b.String()
}

// writeInterrupted tells that there should be more.
func writeInterrupted(b *strings.Builder, interrupted bool) {
	if interrupted {
		b.WriteString("interrupted: this is what was measured so far\n")
	}
}

func (s *benchSummary) write(b *strings.Builder, open bool) {
	row := func(name, rate, spread string, l bench.Latency, gap string) {
		fmt.Fprintf(b, "%-12s %10s %21s", name, rate, spread)
		for _, d := range []time.Duration{l.P50, l.P90, l.P99, l.P999, l.Max} {
			fmt.Fprintf(b, " %9s", shortDuration(d))
		}
		fmt.Fprintf(b, " %9s\n", gap)
	}
	spread := thousands(uint64(s.Least)) + " to " + thousands(uint64(s.Most))
	row(fmt.Sprint(s.Clients), thousands(uint64(s.PerSecond)), spread, s.All, shortDuration(s.LongestGap))
	if len(s.Kinds) > 1 {
		for _, k := range bench.Kinds() {
			if l, ok := s.Kinds[k.String()]; ok {
				row("  "+k.String(), "", "", l, "")
			}
		}
	}
	if open {
		row("  as begun", "", "", s.Service, "")
	}
	if s.Failed > 0 {
		fmt.Fprintf(b, "  %s failed\n", countOf(s.Failed, "operation"))
	}
	if s.NotBegun > 0 {
		fmt.Fprintf(b, "  %s could not begin before the end: the latencies are too small\n", countOf(s.NotBegun, "operation"))
	}
}

// describeLoad tells what was asked for.
func describeLoad(l bench.Load) string {
	size := byteSize(l.ValueSize)
	text := fmt.Sprintf("%s; %s, %s; values of %s bytes", l.Mix, countOf(l.Keys, "key"), l.Distribution, size.String())
	if l.Rate > 0 {
		text += fmt.Sprintf("; %s operations arrive per second (%s)", thousands(uint64(l.Rate)), l.Arrivals)
	}
	return text
}

// writeViolations tells what must not be, and that it is not.
func writeViolations(b *strings.Builder, v bench.Violations) {
	fmt.Fprintf(b, "\nwrites lost %d, reads stale %d, writes executed twice %d, answers that nothing explains %d\n", v.Lost, v.Stale, v.Duplicated, v.Wrong)
	for _, example := range v.Examples {
		fmt.Fprintf(b, "  %s\n", example)
	}
}

// writeFailures tells of operations that had no answer.
func writeFailures(b *strings.Builder, failures map[string]bench.Failures) {
	if len(failures) > 0 {
		b.WriteString("\nfailed operations\n")
	}
	for _, k := range bench.Kinds() {
		if f, ok := failures[k.String()]; ok {
			fmt.Fprintf(b, "  %s: %d did not run, of %d nobody knows; the first: %s\n", k, f.DidNotRun, f.Unknown, f.First)
		}
	}
}

// charts draws the answer.
func (r *benchReport) charts() charts {
	median := chart.Line{Name: "median"}
	rounds := chart.Line{Name: "rounds", Dots: true}
	var curves []chart.Line
	var names []string
	var windows []*bench.Window
	for _, s := range r.Summary {
		median.Points = append(median.Points, chart.Point{X: float64(s.Clients), Y: s.PerSecond})
		of := r.of(s.Clients)
		for _, res := range of {
			rounds.Points = append(rounds.Points, chart.Point{X: float64(s.Clients), Y: res.PerSecond})
		}
		name := countOf(s.Clients, "client")
		curves = append(curves, byPercentile(name, &of[0].Window))
		names, windows = append(names, name), append(windows, &of[0].Window)
	}
	all := charts{
		{Title: "Throughput", X: "clients", Y: "operations/s", LogX: true, Lines: []chart.Line{median, rounds}},
		percentiles(curves...),
	}
	return append(all, overTime(names, windows)...)
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tandemkv/tandem/simulation"
)

// simulationReport is the answer of simulate, as it stands in JSON.
type simulationReport struct {
	Verdict string `json:"verdict"`       // held, broken or unknown
	Why     string `json:"why,omitempty"` // the verdict is unknown

	FirstSeed uint64 `json:"first_seed"`
	Seeds     uint64 `json:"seeds,omitempty"` // asked for; absent: as many as there is time for
	Hash      string `json:"hash,omitempty"`  // of the run, if there was but one

	Runs            uint64  `json:"runs"`
	Events          uint64  `json:"events"`
	EventsPerSecond float64 `json:"events_per_second"`
	VirtualMillis   int64   `json:"virtual_ms"`
	ElapsedMillis   int64   `json:"elapsed_ms"`

	Faults     map[string]uint64 `json:"faults"`     // what went wrong, and how often
	Happenings map[string]uint64 `json:"happenings"` // what came of it
	Rules      map[string]uint64 `json:"rules"`      // how often a core said that a rule fired
	Never      []string          `json:"never"`      // faults and happenings that were not seen

	Failures []reportedFailure `json:"failures"` // one for each invariant, the lowest seed first

	cover *simulation.Coverage
}

// reportedFailure is the failure of the lowest seed that broke an invariant.
type reportedFailure struct {
	Invariant     string `json:"invariant"`
	Detail        string `json:"detail"`
	Seed          uint64 `json:"seed"`
	Event         uint64 `json:"event"` // of that run
	VirtualMillis int64  `json:"virtual_ms"`
	Runs          uint64 `json:"runs"` // that broke it
	Replay        string `json:"replay"`

	Shrunk *shrunkRun `json:"shrunk,omitempty"`
	Folder string     `json:"folder,omitempty"` // of the run, shrunk or not

	servers, trace string
}

// shrunkRun is what shrinking a run came to.
type shrunkRun struct {
	Runs         int    `json:"runs"` // that it took
	FaultsBefore int    `json:"faults_before"`
	Faults       int    `json:"faults"`
	OpsBefore    int    `json:"operations_before"`
	Ops          int    `json:"operations"`
	EventsBefore uint64 `json:"events_before"`
	Events       uint64 `json:"events"`
	Finished     bool   `json:"finished"` // false: its time was up, and it might have gone on
	Replay       string `json:"replay,omitempty"`
}

// newSimulationReport makes the answer, but for the failures.
func newSimulationReport(list seeds, t *tally, interrupted bool) *simulationReport {
	r := &simulationReport{
		Verdict: held, FirstSeed: list.first, Seeds: list.count,
		Runs: t.cover.Runs, Events: t.cover.Events, VirtualMillis: t.cover.Millis,
		EventsPerSecond: float64(t.cover.Events) / max(t.elapsed.Seconds(), 1e-9),
		ElapsedMillis:   t.elapsed.Milliseconds(),
		Faults:          make(map[string]uint64), Happenings: make(map[string]uint64),
		Rules: t.cover.Rules, Never: t.cover.Missing(), Failures: []reportedFailure{},
		cover: &t.cover,
	}
	if list.count == 1 && t.cover.Runs == 1 {
		r.Hash = fmt.Sprintf("%016x", t.hash)
	}
	for i, n := range t.cover.Counts {
		if c := simulation.Count(i); isFault(c) {
			r.Faults[c.String()] = n
		} else {
			r.Happenings[c.String()] = n
		}
	}
	switch {
	case len(t.failures) > 0:
		r.Verdict = broken
	case interrupted || r.Runs == 0:
		r.Verdict, r.Why = unknown, "ended before all seeds had run"
	}
	return r
}

// isFault tells faults from what the cores made of them.
func isFault(c simulation.Count) bool { return c < simulation.CutOff }

// write tells the answer to a person.
func (r *simulationReport) write(w io.Writer) error {
	var b strings.Builder
	for i := range r.Failures {
		r.Failures[i].write(&b)
	}
	b.WriteString(r.Verdict)
	if r.Why != "" {
		b.WriteString(" (" + r.Why + ")")
	}
	fmt.Fprintf(&b, ": %s, %s, %s a second, %.0f s of virtual time in %.1f s\n", countOf(r.Runs, "run"), countOf(r.Events, "event"),
		thousands(uint64(r.EventsPerSecond)), float64(r.VirtualMillis)/1000, float64(r.ElapsedMillis)/1000)
	if r.Hash != "" {
		fmt.Fprintf(&b, "hash %s\n", r.Hash)
	}
	var faults, happenings, rules []counted
	for i, n := range r.cover.Counts {
		c := counted{simulation.Count(i).String(), n}
		switch {
		case n == 0:
		case isFault(simulation.Count(i)):
			faults = append(faults, c)
		default:
			happenings = append(happenings, c)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Rules), byRule) {
		rules = append(rules, counted{name, r.Rules[name]})
	}
	writeCounts(&b, "faults", faults)
	writeCounts(&b, "what came of them", happenings)
	writeCounts(&b, "rules fired", rules)
	// Of one run most was never seen, and that says nothing.
	if len(r.Never) > 0 && r.Runs > 1 {
		b.WriteString("\nnever seen")
		writeNames(&b, r.Never)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (x *reportedFailure) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s broken: %s\n  seed %d, event %d, at %d ms of virtual time", x.Invariant, x.Detail, x.Seed, x.Event, x.VirtualMillis)
	if x.Runs > 1 {
		fmt.Fprintf(b, "; broken in %d runs, of which this is the first", x.Runs)
	}
	fmt.Fprintf(b, "\n  replay: %s\n", x.Replay)
	if s := x.Shrunk; s != nil {
		fmt.Fprintf(b, "  shrunk in %d runs: %d faults to %d, %d operations to %d, %s events to %s", s.Runs, s.FaultsBefore, s.Faults,
			s.OpsBefore, s.Ops, thousands(s.EventsBefore), thousands(s.Events))
		if !s.Finished {
			b.WriteString("; there was no time for more")
		}
		b.WriteByte('\n')
		if s.Replay != "" {
			fmt.Fprintf(b, "  replay, shrunk: %s\n", s.Replay)
		}
	}
	if x.Folder != "" {
		fmt.Fprintf(b, "  folder: %s (begin with summary.txt)\n", x.Folder)
	} else {
		b.WriteString("\n" + x.trace + x.servers)
	}
	b.WriteByte('\n')
}

// counted is a line of a table.
type counted struct {
	name string
	n    uint64
}

// writeCounts writes a table in columns, read downwards.
func writeCounts(b *strings.Builder, title string, lines []counted) {
	const columns = 3
	if len(lines) == 0 {
		return
	}
	names, numbers := 0, 0
	for _, c := range lines {
		names, numbers = max(names, len(c.name)), max(numbers, len(thousands(c.n)))
	}
	fmt.Fprintf(b, "\n%s\n", title)
	rows := (len(lines) + columns - 1) / columns
	for row := range rows {
		for i := row; i < len(lines); i += rows {
			c := lines[i]
			fmt.Fprintf(b, "  %*s  ", numbers, thousands(c.n))
			b.WriteString(c.name)
			if i+rows < len(lines) {
				b.WriteString(strings.Repeat(" ", names-len(c.name)))
			}
		}
		b.WriteByte('\n')
	}
}

// writeNames writes a list in lines that fit on a screen.
func writeNames(b *strings.Builder, names []string) {
	const wide = 96
	at := wide // so that the first begins a line
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		if at+1+len(name) > wide {
			b.WriteString("\n ")
			at = 1
		}
		b.WriteString(" " + name)
		at += 1 + len(name)
	}
	b.WriteByte('\n')
}

// byRule orders names of rules: V2 before V10.
func byRule(a, b string) int {
	if a[:1] != b[:1] || len(a) == len(b) {
		return strings.Compare(a, b)
	}
	return len(a) - len(b)
}

package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// Count names something that a run counts, so that an idle simulation cannot
// pass for a good one.
type Count uint8

// What is counted: first the kinds of fault that struck (FaultNames, in the same
// order), then what the cores made of them.
const (
	Dropped Count = iota
	Duplicated
	Delayed
	Reordered
	TransfersCut
	DiskLate
	ViewDiskLate

	// Those that come of themselves, every 10 ms or not.
	Ghosts
	CutsOneWay
	CutsTwoWay
	SlowLinks
	Crashes
	Restarts
	ClientCrashes
	Freezes
	Leavings
	ClockJumps
	ClockRates
	ClocksBeyond
	MonitorRestarts
	MonitorAmnesias
	Hints
	Reports
	Resends
	Abandoned
	Cancelled
	numFaults
)

const firstOfChaos = Ghosts

const (
	CutOff Count = numFaults + iota // messages that met a cut
	ViewChanges
	Activations
	Promotions
	Transferred // a primary became joint
	Installed
	OldForwards // forwards and chunks from an older view, delivered
	Gaps
	Left
	Expiries
	Retries
	DuplicatesApplied
	RefusedExpired
	RefusedStale
	Operations
	UnknownOutcomes
	DefiniteFailures
	ScansDone
	ScanLost
	Deltas           // transfers that sent what was missing alone (rule T4)
	DeltaInstalls    // those that a backup installed
	LeasedReads      // reads answered by lease (rule R3)
	StoreChecks      // histories with scans judged as a whole
	RecordsLost      // the view service crashed before a record was durable
	RefusedForgotten // it refused to announce anything, having lost its memory
	Usurped          // runs in which it began another cluster instead
	Down             // runs that ended with the group down
	numCounts
)

var effectNames = [numCounts - numFaults]string{"messages that met a cut",
	"view changes", "activations", "promotions", "transfers done", "installations", "peer messages of an older view", "gaps", "departures", "sessions expired",
	"retries", "duplicates applied", "refused as expired", "refused as stale", "operations", "outcomes unknown", "definite failures",
	"scans done", "scans lost", "transfers of what was missing", "those installed", "reads by lease", "histories judged with scans", "view records lost in a crash", "refused for lost memory", "clusters begun anew", "groups down"}

// String returns what is counted, in words; of a kind of fault, its name.
func (c Count) String() string {
	if c < numFaults {
		return faultKinds[c].Name
	}
	return effectNames[c-numFaults]
}

// Coverage is what happened in a run, or in several.
type Coverage struct {
	Counts [numCounts]uint64
	Rules  map[string]uint64 // how often a core said that a rule fired
	Events uint64
	Millis int64
	Runs   uint64
}

func (c *Coverage) count(what Count) { c.Counts[what]++ }

func (c *Coverage) rule(name string) {
	if c.Rules == nil {
		c.Rules = make(map[string]uint64)
	}
	c.Rules[name]++
}

// server counts what an event made of a server.
func (c *Coverage) server(was, is *replica.Status, limits *replica.Config) {
	c.Counts[Deltas] += is.Stats.Deltas - was.Stats.Deltas
	c.Counts[DeltaInstalls] += is.Stats.DeltaInstalls - was.Stats.DeltaInstalls
	c.Counts[LeasedReads] += is.Stats.LeasedReads - was.Stats.LeasedReads
	if is.Authority != was.Authority {
		switch is.Authority {
		case replica.Joint:
			c.count(Transferred)
		case replica.None:
			c.rule("A1")
		}
	}
	if is.BackupUnreachable && is.BackupInSync && !was.BackupUnreachable {
		c.rule("A5")
	}
	if is.Waiting > 0 && is.Authority != replica.None {
		c.bounds(is, limits)
	}
	if is.Commit > was.Commit {
		c.rule("L3")
	}
	if is.Applied > was.Applied {
		c.rule("L4")
		if is.TransferRunning && was.TransferRunning {
			c.rule("T2")
		}
	}
}

// bounds counts the requests that wait because something is full, as far as that
// can be told from outside.
func (c *Coverage) bounds(is *replica.Status, limits *replica.Config) {
	inFlight := is.Last - is.Applied
	switch {
	case limits.MaxInFlight > 0 && inFlight >= uint64(limits.MaxInFlight):
		c.rule("L5")
	case is.Authority == replica.Solo && is.TransferRunning && inFlight == 0 && limits.MaxAnswerBytes == 0:
		c.rule("T5")
	}
}

func (c *Coverage) peer(s *server, m *replica.Message) {
	if m.View.Viewnum < s.status.View.Viewnum {
		c.count(OldForwards)
	}
	switch m.Kind {
	case replica.Gap:
		c.count(Gaps)
	case replica.Acknowledge:
		c.rule("L2")
	}
}

// Add adds another coverage to this one.
func (c *Coverage) Add(o *Coverage) {
	for i := range c.Counts {
		c.Counts[i] += o.Counts[i]
	}
	if c.Rules == nil {
		c.Rules = make(map[string]uint64)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Rules)) {
		c.Rules[name] += o.Rules[name]
	}
	c.Events += o.Events
	c.Millis += o.Millis
	c.Runs += o.Runs
}

// rulesSeen are the rules that can be seen to fire: a core says so, or the world
// sees it in what the cores do. Not among them are S6, for no client of this world
// goes without a session, and D1 to D3, which are not built.
var rulesSeen = []string{"V0", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10", "V11",
	"N1", "F1", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "L1", "L2", "L3", "L4", "L5", "L6",
	"T1", "T2", "T3", "T4", "T5", "R1", "R2", "R3", "S1", "S2", "S3", "S4", "S5", "C1", "C2", "C3"}

// Missing returns the names of what never happened, and of the rules that never
// fired. Not among them is what few runs show: kinds of fault that are struck only
// if asked for, and another cluster begun by a view service without memory.
func (c *Coverage) Missing() []string {
	var names []string
	for i, n := range c.Counts {
		rare := Count(i) == Usurped || (i < int(numFaults) && faultKinds[i].rare)
		if n == 0 && !rare {
			names = append(names, Count(i).String())
		}
	}
	for _, rule := range rulesSeen {
		if c.Rules[rule] == 0 {
			names = append(names, "rule "+rule)
		}
	}
	return names
}

// String tells the coverage as a table.
func (c *Coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %d events, %.0f s of virtual time\n", c.Runs, c.Events, float64(c.Millis)/1000)
	for i, n := range c.Counts {
		fmt.Fprintf(&b, "%12d  %s\n", n, Count(i))
	}
	b.WriteString("rules fired:")
	for _, name := range slices.Sorted(maps.Keys(c.Rules)) {
		fmt.Fprintf(&b, " %s %d", name, c.Rules[name])
	}
	b.WriteByte('\n')
	return b.String()
}

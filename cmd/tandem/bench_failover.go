package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/bench/chart"
	"github.com/tandemkv/tandem/internal/drill"
)

// failoverCommand measures how long clients notice that their primary is gone.
type failoverCommand struct {
	output
	benchLoad
	ownCluster
	plotFlag
	fault   string
	trials  int
	clients int
	servers int
}

func newFailoverCommand() *cobra.Command {
	c := &failoverCommand{benchLoad: benchLoad{mix: "put=5,get=4,append=1", distribution: string(bench.Sequential), keys: 50_000}}
	cmd := &cobra.Command{
		Use:   "failover",
		Short: "Measure how long clients notice that the primary is gone",
		Long: `Failover starts a view service and servers, each a process of its own, and clients that
use them. In each trial it waits until the backup is in sync, lets the clients work for a
moment, and does something to the primary:

  kill      kill -9
  freeze    SIGSTOP; it goes on when another has taken its place
  shutdown  it is asked to leave in order

Then it waits until every client has had an answer from the next primary, and tells the
longest time between two answers to one client. All that was written is read back, the
server returns, and the next trial begins when it is in sync. How long clients wait when
nothing happens is told, too, as are changes of view for which there was no cause.

` + checked + `

Exit status: 0 measured, and nothing was lost, stale or twice; 1 something was; 2 it was
interrupted; 3 it could not be measured; 64 usage.`,
		Example: `  tandem bench failover                                # ten times kill -9
  tandem bench failover --fault freeze --trials 50 --plot freeze.svg
  tandem bench failover --fault shutdown --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.fault, "fault", string(drill.Kill), "what happens to the primary: kill, freeze or shutdown")
	var faults []string
	for _, fault := range drill.Faults() {
		faults = append(faults, string(fault))
	}
	completeWords(cmd, "fault", faults...)
	f.IntVar(&c.trials, "trials", 10, "how often")
	f.IntVar(&c.clients, "clients", 8, "how many clients work meanwhile")
	f.IntVar(&c.servers, "servers", 2, "how many servers to start")
	c.benchLoad.addFlags(cmd)
	c.ownCluster.addFlags(cmd)
	c.plotFlag.addFlags(cmd)
	c.output.addFlags(cmd)
	return cmd
}

func (c *failoverCommand) run(cmd *cobra.Command) error {
	if err := c.checkGiven(cmd); err != nil {
		return err
	}
	l, err := c.load(c.clients)
	if err != nil {
		return err
	}
	if c.servers > mostServers {
		return usageErrorf("--servers %d: must be at most %d", c.servers, mostServers)
	}
	cfg := drill.FailoverConfig{Fault: drill.Fault(c.fault), Trials: c.trials, Load: l, Connections: bench.Connections(c.connections)}
	cfg.Servers = c.servers
	if err := cfg.Check(); err != nil {
		return usageErrorf("%w", err)
	}
	if err := c.plotFlag.check(); err != nil {
		return err
	}
	set, remove, err := c.settings(c.servers)
	if err != nil {
		return err
	}
	defer remove()
	if err := c.checkPlace(); err != nil {
		return err
	}
	cfg.Settings = set
	p := c.newProgress(cmd.ErrOrStderr())
	cfg.Progress = func(trials int, at bench.Progress) {
		p.tell("%s %d of %s: %s", bar(uint64(trials), uint64(c.trials)), trials, countOf(c.trials, "trial"), at.Stage)
	}
	r, err := drill.Failover(cmd.Context(), cfg)
	p.clear()
	if err != nil {
		return whyNotMeasured(cmd.Context(), err)
	}
	answer := &failoverReport{r}
	return tellMeasured(cmd, &c.output, &c.plotFlag, answer, verdictOf(r.Violations, r.Interrupted), answer.charts())
}

// failoverReport is the answer of failover.
type failoverReport struct{ *drill.FailoverResult }

// text tells the answer to a person.
func (r *failoverReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s under load: %s; %s\n\n", countOf(len(r.Trials), "trial"), r.Fault, countOf(r.Load.Clients, "client"), describeLoad(r.Load))
	fmt.Fprintf(&b, "longest time between two answers to one client, of each trial\n")
	fmt.Fprintf(&b, "  least %s, median %s, p90 %s, most %s\n", shortDuration(r.Min), shortDuration(r.Median), shortDuration(r.P90), shortDuration(r.Max))
	fmt.Fprintf(&b, "and when nothing happened: %s; %s operations a second; changes of view without cause: %d\n\n",
		shortDuration(r.Undisturbed), thousands(uint64(r.PerSecond)), r.OtherViews)
	fmt.Fprintf(&b, "%5s %10s %10s %12s %10s  %s\n", "trial", "gap", "silence", "view active", "back", "rules")
	for i, t := range r.Trials {
		fmt.Fprintf(&b, "%5d %10s %10s %12s %10s  %s\n", 1+i, shortDuration(t.Gap), shortDuration(t.Silence), shortDuration(t.Active),
			shortDuration(t.Return), strings.Join(t.Rules, " "))
	}
	writeFailures(&b, r.Failures)
	writeViolations(&b, r.Violations)
	writeInterrupted(&b, r.Interrupted)
	return b.String()
}

// charts draws the answer.
func (r *failoverReport) charts() charts {
	type number = func(drill.Trial) time.Duration
	line := func(name string, of number) chart.Line {
		l := chart.Line{Name: name}
		sorted := sortedBy(r.Trials, of)
		for i, d := range sorted {
			l.Points = append(l.Points, chart.Point{X: float64(1+i) / float64(len(sorted)), Y: d.Seconds()})
		}
		return l
	}
	each := chart.Line{Name: "gap", Dots: true}
	for i, t := range r.Trials {
		each.Points = append(each.Points, chart.Point{X: float64(1 + i), Y: t.Gap.Seconds()})
	}
	return charts{
		{
			Title: "Longest gap of a client after " + string(r.Fault), X: "share of trials that are at most as long", Y: "time", YName: seconds,
			Lines: []chart.Line{
				line("gap", func(t drill.Trial) time.Duration { return t.Gap }),
				line("next view active", func(t drill.Trial) time.Duration { return t.Active }),
			},
		},
		{Title: "In the order of the trials", X: "trial", Y: "time", YName: seconds, Lines: []chart.Line{each}},
	}
}

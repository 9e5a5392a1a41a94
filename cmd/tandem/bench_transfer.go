package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/drill"
)

// transferCommand measures how a backup is brought up to date.
type transferCommand struct {
	output
	benchLoad
	ownCluster
	plotFlag
	clients  int
	rate     float64
	share    float64
	arrivals string
	phase    time.Duration
	absence  time.Duration
}

func newTransferCommand() *cobra.Command {
	c := &transferCommand{benchLoad: benchLoad{mix: "put", distribution: string(bench.Uniform), keys: 1_000_000}}
	cmd := &cobra.Command{
		Use:   "transfer",
		Short: "Measure what clients notice while a backup is brought up to date",
		Long: `Transfer starts a view service and two servers, each a process of its own, and clients
that fill a store and go on to use it. Then a new server joins, which has nothing, and is
brought up to date while the clients work. With --absence the backup is frozen instead
(SIGSTOP), at least until it is taken for dead, and comes back with all that it had; only
what it lacks has to be sent then (rule T4), as long as the primary has kept it.

It tells how long that took and how many bytes a second were brought over, what the
clients noticed before, meanwhile and after, how much memory the processes had, and how
much was overwritten meanwhile. Operations arrive at a rate (an open loop, see tandem
bench --help): --rate, or a share of what the pair does at most, which is measured first.

` + checked + `

Exit status: 0 measured, and nothing was lost, stale or twice; 1 something was; 2 it was
interrupted; 3 it could not be measured; 64 usage.`,
		Example: `  tandem bench transfer                                # a million keys, half of the peak
  tandem bench transfer --keys 100000 --rate 5000 --plot transfer.svg
  tandem bench transfer --absence 5s`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.IntVar(&c.clients, "clients", 64, "how many operations may be under way at once")
	f.Float64Var(&c.rate, "rate", 0, "operations that arrive per second; 0: as --load says")
	f.Float64Var(&c.share, "load", 0.5, "the rate as a share of the peak, which is measured first")
	f.StringVar(&c.arrivals, "arrivals", string(bench.Poisson), "poisson, as of many independent users, or constant")
	completeWords(cmd, "arrivals", string(bench.Poisson), string(bench.Constant))
	f.DurationVar(&c.phase, "phase", 5*time.Second, "how long is measured before and after, and for the peak")
	f.DurationVar(&c.absence, "absence", 0, "freeze the backup for so long, and until it is taken for dead, and see it return; 0: a new server joins")
	c.benchLoad.addFlags(cmd)
	c.ownCluster.addFlags(cmd)
	c.plotFlag.addFlags(cmd)
	c.output.addFlags(cmd)
	return cmd
}

func (c *transferCommand) run(cmd *cobra.Command) error {
	if err := c.checkGiven(cmd); err != nil {
		return err
	}
	if c.rate != 0 && cmd.Flags().Changed("load") {
		return usageErrorf("--load %v: --rate %v says already how much arrives", c.share, c.rate)
	}
	l, err := c.load(c.clients)
	if err != nil {
		return err
	}
	l.Rate, l.Arrivals = c.rate, bench.Arrivals(c.arrivals)
	cfg := drill.TransferConfig{Load: l, Share: c.share, Phase: c.phase, Absence: c.absence, Connections: bench.Connections(c.connections)}
	if err := cfg.Check(); err != nil {
		return usageErrorf("%w", err)
	}
	if err := c.plotFlag.check(); err != nil {
		return err
	}
	set, remove, err := c.settings(2)
	if err != nil {
		return err
	}
	defer remove()
	if err := c.checkPlace(); err != nil {
		return err
	}
	cfg.Settings = set
	p := c.newProgress(cmd.ErrOrStderr())
	cfg.Progress = func(stage string, at bench.Progress) {
		if at.Total > 0 {
			stage = bar(at.Done, at.Total) + " " + stage
		}
		p.tell("%s", stage)
	}
	r, err := drill.Transfer(cmd.Context(), cfg)
	p.clear()
	if err != nil {
		return whyNotMeasured(cmd.Context(), err)
	}
	answer := &transferReport{r, c.absence}
	return tellMeasured(cmd, &c.output, &c.plotFlag, answer, verdictOf(r.Violations, false), answer.charts())
}

// transferReport is the answer of transfer.
type transferReport struct {
	*drill.TransferResult
	Absence time.Duration `json:"absence_ns"`
}

// text tells the answer to a person.
func (r *transferReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; at most %d at once\n", describeLoad(r.Load), r.Load.Clients)
	if r.Peak != nil {
		fmt.Fprintf(&b, "the peak of the pair: %s operations a second\n", thousands(uint64(r.Peak.PerSecond)))
	}
	r.writeCourse(&b)
	fmt.Fprintf(&b, "\n%-9s %10s %10s %9s %9s %9s %9s %9s %12s\n", "phase", "length", "per second", "p50", "p99", "p99.9", "longest", "silence", "primary")
	memory := map[string]uint64{"before": r.PrimaryBefore, "transfer": r.PrimaryDuring, "after": r.PrimaryAfter}
	names, windows := r.phases()
	for i, w := range windows {
		fmt.Fprintf(&b, "%-9s %10s %10s %9s %9s %9s %9s %9s %12s\n", names[i], shortDuration(w.Length), thousands(uint64(w.PerSecond)),
			shortDuration(w.All.P50), shortDuration(w.All.P99), shortDuration(w.All.P999), shortDuration(w.All.Max),
			shortDuration(w.LongestSilence), memoryText(memory[names[i]]))
	}
	fmt.Fprintf(&b, "memory of the backup, at most: %s; more of the primary during it than before: %s\n", memoryText(r.BackupDuring), memoryText(max(r.PrimaryDuring, r.PrimaryBefore)-r.PrimaryBefore))
	fmt.Fprintf(&b, "overwritten meanwhile: %s, of %s\n", countOf(r.OverwrittenKeys, "key"), byteCount(r.OverwrittenBytes))
	writeFailures(&b, r.Failures)
	writeViolations(&b, r.Violations)
	return b.String()
}

// writeCourse tells what happened.
func (r *transferReport) writeCourse(b *strings.Builder) {
	if r.Absence == 0 {
		fmt.Fprintf(b, "a new server was backup of a view after %s, and in sync %s later: %s of keys and values, %s a second\n",
			shortDuration(r.Named), shortDuration(r.Took), byteCount(r.StoreBytes), byteCount(uint64(r.PerSecond())))
		return
	}
	how := "everything was sent"
	if r.Delta {
		how = "only what it lacked was sent (T4)"
	}
	fmt.Fprintf(b, "the backup was frozen for %s, in which %s were overwritten; it was backup again after %s, and in sync %s later: %s\n",
		shortDuration(r.Frozen), countOf(r.AbsentKeys, "key"), shortDuration(r.Named), shortDuration(r.Took), how)
}

// memoryText writes a number of bytes, or that the system does not tell it.
func memoryText(n uint64) string {
	if n == 0 {
		return "-"
	}
	return byteCount(n)
}

// phases returns what was measured, in its order.
func (r *transferReport) phases() (names []string, windows []*bench.Window) {
	for _, phase := range []struct {
		name   string
		window *bench.Window
	}{{"before", r.Before}, {"absent", r.Absent}, {"transfer", r.During}, {"after", r.After}} {
		if phase.window != nil {
			names, windows = append(names, phase.name), append(windows, phase.window)
		}
	}
	return names, windows
}

// charts draws the answer.
func (r *transferReport) charts() charts {
	names, windows := r.phases()
	all := overTime(names, windows)
	curves := percentiles()
	for i, w := range windows {
		curves.Lines = append(curves.Lines, byPercentile(names[i], w))
	}
	return append(all, curves)
}

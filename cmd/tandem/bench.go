package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/drill"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// benchCommand measures a cluster under load.
type benchCommand struct {
	output
	benchLoad
	ownCluster
	plotFlag
	monitor  string
	start    bool
	servers  int
	clients  []int
	rate     float64
	arrivals string
	warmup   time.Duration
	duration time.Duration
	rounds   int
}

// checked is what help says of the check of all answers.
const checked = `Every answer is checked. Each key has one writer, which writes numbers that grow: a read
must find none that is less than what was acknowledged or read before it began. Appends
must all be there in order, and once; a cas, a puthash and a delete must find what their
writer left; and in the end every key is read back. So writes that were lost, reads that
were stale and writes that ran twice are counted, and must be none.`

func newBenchCommand() *cobra.Command {
	c := &benchCommand{benchLoad: benchLoad{mix: "put", distribution: string(bench.Uniform), keys: 10_000}}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how much a cluster does and how fast, and check every answer",
		Long: `Bench has clients use a cluster and tells operations per second and their latency: one
that it starts, a view service and two servers, each a process of its own on loopback; or
with --monitor one that runs already, whose keys are left alone but for those that begin
with bench-: they are overwritten, and removed in the end unless that is interrupted.

Clients begin an operation when they have the answer to the last one (a closed loop), each
number of clients in turn, as many rounds as are wanted. With --rate operations arrive at
that rate instead, whatever the cluster does (an open loop), and the latency counts from
when they were meant to begin: what had to wait is not left out. The line "as begun" counts
from when they did begin. --clients then bounds what is under way at once; arrivals that
nobody could begin before the end are told.

` + checked + `

Exit status: 0 measured, and nothing was lost, stale or twice; 1 something was; 2 it was
interrupted; 3 it could not be measured; 64 usage.`,
		Example: `  tandem bench                                         # puts by 1, 16, 64 and 256 clients
  tandem bench --clients 64 --mix get=9,put=1 --distribution zipf --rounds 5
  tandem bench --clients 256 --rate 10000 --duration 30s --plot latency.svg
  tandem bench --monitor 10.0.0.1:7000 --connections each --json
  tandem bench failover --fault kill --trials 50
  tandem bench transfer --keys 1000000`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.monitor, "monitor", "", "`address` of the view service of a cluster that runs, or several separated by commas (default: one is started)")
	f.BoolVar(&c.start, "start", false, "start a cluster, also if --monitor is set, as by the environment")
	f.IntVar(&c.servers, "servers", 2, "how many servers to start")
	f.IntSliceVar(&c.clients, "clients", []int{1, 16, 64, 256}, "`numbers` of clients, one after the other")
	f.Float64Var(&c.rate, "rate", 0, "operations that arrive per second; 0: each client begins one when it has its last answer")
	f.StringVar(&c.arrivals, "arrivals", string(bench.Poisson), "with --rate: poisson, as of many independent users, or constant")
	completeWords(cmd, "arrivals", string(bench.Poisson), string(bench.Constant))
	f.DurationVar(&c.warmup, "warmup", time.Second, "how long clients work before it counts")
	f.DurationVar(&c.duration, "duration", 5*time.Second, "how long is measured, for each number of clients")
	f.IntVar(&c.rounds, "rounds", 1, "how often; the median of the rounds is told")
	c.benchLoad.addFlags(cmd)
	c.ownCluster.addFlags(cmd)
	c.plotFlag.addFlags(cmd)
	c.output.addFlags(cmd)
	cmd.AddCommand(newFailoverCommand(), newTransferCommand())
	return cmd
}

// loads returns what is to be done in a round.
func (c *benchCommand) loads() ([]bench.Load, error) {
	switch {
	case len(c.clients) == 0:
		return nil, usageErrorf("--clients: name at least one number")
	case c.rounds < 1:
		return nil, usageErrorf("--rounds %d: must be one at least", c.rounds)
	case c.duration <= 0:
		return nil, usageErrorf("--duration %v: must be more than nothing", c.duration)
	case c.servers < 1 || c.servers > mostServers:
		return nil, usageErrorf("--servers %d: must be 1 to %d", c.servers, mostServers)
	}
	if err := c.plotFlag.check(); err != nil {
		return nil, err
	}
	var loads []bench.Load
	for _, n := range c.clients {
		l, err := c.load(n)
		if err != nil {
			return nil, err
		}
		l.Rate, l.Arrivals, l.Warmup, l.Duration, l.Clean = c.rate, bench.Arrivals(c.arrivals), c.warmup, c.duration, c.runs()
		if err := l.Check(); err != nil {
			return nil, usageErrorf("%w", err)
		}
		loads = append(loads, l)
	}
	return loads, nil
}

// runs reports whether the cluster runs already.
func (c *benchCommand) runs() bool { return c.monitor != "" && !c.start }

// checkGiven returns a usageError if a flag was given that would change nothing.
func (c *benchCommand) checkGiven(cmd *cobra.Command) error {
	if c.rate == 0 && cmd.Flags().Changed("arrivals") {
		return usageErrorf("--arrivals %s: is for --rate", c.arrivals)
	}
	for _, name := range append([]string{"servers"}, ownFlags...) {
		if c.runs() && cmd.Flags().Changed(name) {
			return usageErrorf("--%s: is for a cluster that is started, and that of --monitor runs already", name)
		}
	}
	return c.benchLoad.checkGiven(cmd)
}

func (c *benchCommand) run(cmd *cobra.Command) error {
	if err := c.checkGiven(cmd); err != nil {
		return err
	}
	loads, err := c.loads()
	if err != nil {
		return err
	}
	p := c.newProgress(cmd.ErrOrStderr())
	r := &benchReport{Monitor: c.monitor, Connections: c.connections, Rounds: c.rounds}
	if c.runs() {
		if err := checkAddresses("--monitor", c.monitor); err != nil {
			return err
		}
		err = c.measureRunning(cmd.Context(), p, loads, r)
	} else {
		r.Started, r.Monitor = true, ""
		err = c.measureOwn(cmd.Context(), p, loads, r)
	}
	p.clear()
	if err != nil {
		return err
	}
	r.sum()
	return tellMeasured(cmd, &c.output, &c.plotFlag, r, verdictOf(r.Violations, r.Interrupted), r.charts())
}

// answerMax bounds the wait for the first answer of a cluster that runs already. A load
// would wait for it for ever, and nobody would be told what for.
const answerMax = 10 * time.Second

// measureRunning measures a cluster that runs already.
func (c *benchCommand) measureRunning(ctx context.Context, p *progress, loads []bench.Load, r *benchReport) error {
	if err := c.checkPlace(); err != nil {
		return err
	}
	p.tell("waiting for the cluster of %s", c.monitor)
	client := kvservice.MakeKVClient(c.monitor)
	defer client.Close()
	asking, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	if _, err := client.GetContext(asking, "bench-"); err != nil && !errors.Is(err, kv.ErrNoKey) {
		return whyNotMeasured(ctx, fmt.Errorf("--monitor %s: %w", c.monitor, err))
	}
	return c.measure(ctx, p, c.monitor, loads, r)
}

// measureOwn measures a cluster that is started for it.
func (c *benchCommand) measureOwn(ctx context.Context, p *progress, loads []bench.Load, r *benchReport) error {
	set, remove, err := c.settings(c.servers)
	if err != nil {
		return err
	}
	defer remove()
	if err := c.checkPlace(); err != nil {
		return err
	}
	p.tell("starting a cluster")
	g, err := drill.Up(ctx, set)
	if err != nil {
		return whyNotMeasured(ctx, err)
	}
	err = c.measureGroup(ctx, p, g, loads, r)
	if ended := g.Kill(); err == nil {
		err = failed(ended)
	}
	return err
}

// measureGroup measures a cluster, and counts its changes of view.
func (c *benchCommand) measureGroup(ctx context.Context, p *progress, g *drill.Group, loads []bench.Load, r *benchReport) error {
	before, err := g.Await(ctx, "a cluster that serves", func(st *sysmonitor.Status) bool {
		return st.Active > 0 && st.Active == st.View.Viewnum && (c.servers == 1 || st.View.Backup != "")
	})
	if err != nil {
		return whyNotMeasured(ctx, err)
	}
	if err := c.measure(ctx, p, g.Monitor(), loads, r); err != nil {
		return err
	}
	after, err := g.Ask(context.WithoutCancel(ctx))
	if err != nil {
		return failed(err)
	}
	r.ViewChanges = after.View.Viewnum - before.View.Viewnum
	return nil
}

// measure runs all rounds.
func (c *benchCommand) measure(ctx context.Context, p *progress, monitor string, loads []bench.Load, r *benchReport) error {
	for round := range c.rounds {
		for _, l := range loads {
			system, err := bench.NewTandem(monitor, bench.Connections(c.connections))
			if err != nil {
				return failed(err)
			}
			l.Seed += uint64(round)
			res, err := bench.Run(ctx, system, l, func(at bench.Progress) {
				p.tell("%s round %d of %d, %s: %s", bar(at.Done, at.Total), 1+round, c.rounds, countOf(l.Clients, "client"), at.Stage)
			})
			system.Close()
			switch {
			case ctx.Err() != nil && len(r.Results) > 0:
				r.Interrupted = true
				return nil
			case err != nil:
				return whyNotMeasured(ctx, err)
			}
			r.add(res)
		}
	}
	return nil
}

// benchAnswer is the answer of a benchmark.
type benchAnswer interface{ text() string }

// verdictOf returns the verdict of a benchmark.
func verdictOf(v bench.Violations, interrupted bool) string {
	switch {
	case v.Any():
		return broken
	case interrupted:
		return unknown
	}
	return held
}

// tellMeasured writes the answer of a benchmark and its plot, and returns what the verdict
// ends the command with.
func tellMeasured(cmd *cobra.Command, o *output, plot *plotFlag, r benchAnswer, verdict string, charts charts) error {
	var err error
	if o.json {
		err = writeJSON(cmd.OutOrStdout(), r)
	} else {
		_, err = fmt.Fprint(cmd.OutOrStdout(), r.text())
	}
	if err = errors.Join(err, plot.write(cmd.CommandPath(), r.text(), charts)); err != nil {
		return failed(err)
	}
	return concluded(verdict)
}

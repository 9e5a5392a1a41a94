package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/simulation"
)

// simulateFlags are the flags of simulate.
type simulateFlags struct {
	output
	mutantFlags
	range_   string
	seed     uint64
	duration time.Duration
	workers  int

	servers, clients, keys, ops int
	faults, without             []string
	file                        string // of options

	keepGoing bool
	noShrink  bool
	runDir    string
}

func newSimulateCommand() *cobra.Command {
	f := new(simulateFlags)
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run the protocol in a world that goes wrong, from seeds",
		Long: `Simulate runs view service, servers and clients in one process, on a virtual
clock and a network that loses, repeats, delays and reorders messages, while
processes crash, freeze and are cut off. After every event it looks at the
invariants of docs/protocol.md, and at the end at whether what the clients saw is
linearizable: explainable by one order in which each operation happened at one
moment between its call and its answer.

A seed is a number from which everything about a run is drawn: how many servers
and clients, which faults and how often, and each roll of the dice. One seed is one
run, event for event, on every machine; the hash of a run says so. So a failure is
told by its seed, and the printed command replays it.

The flags --servers, --clients, --keys, --ops, --faults and --without overrule what
the seeds draw. They belong to the run: a replay needs them, too.

Faults, for --faults and --without:
` + faultTable() + `
Exit status: 0 held, 1 an invariant broke, 2 ended before it was done, 64 usage.`,
		Example: `  # ten seconds of seeds that nobody has seen
  tandem simulate

  # these seeds, always the same
  tandem simulate --seeds 1:2000

  # one run again: its hash, and what happened in it
  tandem simulate --seed 37

  # two servers, and nothing wrong but crashes and late messages
  tandem simulate --seeds 1:500 --servers 2 --faults crash,delay

  # for an hour, counting failures by invariant
  tandem simulate --duration 1h --keep-going

  # with a deliberate mistake in the servers (tandem mutants --list)
  tandem simulate --seeds 1:400 --mutant announced-as-active

  # a run that was shrunk
  tandem simulate --options tandem-runs/seed-37/options.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.range_, "seeds", "", "run these seeds, both ends included, as in 1:2000")
	flags.Uint64Var(&f.seed, "seed", 0, "run this seed alone, and tell its hash")
	flags.DurationVar(&f.duration, "duration", 10*time.Second, "run fresh seeds for so long; with --seeds, no longer than that")
	flags.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "runs at the same time")
	flags.IntVar(&f.servers, "servers", 0, "servers in each run; 0: as the seed says")
	flags.IntVar(&f.clients, "clients", 0, "clients in each run; 0: as the seed says")
	flags.IntVar(&f.keys, "keys", 0, "keys that the clients use; 0: as the seed says")
	flags.IntVar(&f.ops, "ops", 0, "operations that the clients start while there are faults; 0: as the seed says")
	flags.StringSliceVar(&f.faults, "faults", nil, "let nothing go wrong but these kinds of fault")
	flags.StringSliceVar(&f.without, "without", nil, "leave these kinds of fault out")
	var kinds []string
	for _, k := range simulation.FaultNames() {
		kinds = append(kinds, k.Name)
	}
	completeWords(cmd, "faults", kinds...)
	completeWords(cmd, "without", kinds...)
	flags.BoolVar(&f.keepGoing, "keep-going", false, "go on after a failure, and count failures by invariant")
	flags.StringVar(&f.file, "options", "", "run the options in this `file`, as a run folder has them")
	flags.BoolVar(&f.noShrink, "no-shrink", false, "do not shrink a run that fails")
	flags.StringVar(&f.runDir, "run-dir", "tandem-runs", "make folders for runs that fail in this `directory`; empty: make none")
	f.mutantFlags.addFlags(cmd)
	f.output.addFlags(cmd)
	for _, other := range []string{"seeds", "duration", "options"} {
		cmd.MarkFlagsMutuallyExclusive("seed", other)
	}
	for _, other := range []string{"seeds", "duration", "servers", "clients", "keys", "ops", "faults", "without"} {
		cmd.MarkFlagsMutuallyExclusive("options", other)
	}
	return cmd
}

// The most that the flags that shape a world may ask for.
const (
	serversMax = 9
	clientsMax = 64
	keysMax    = 100
	opsMax     = 100_000
)

func (f *simulateFlags) run(cmd *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.mutant != "" {
		return runMutant(cmd, f.mutant)
	}
	draw, list, ctx, stop, err := f.plan(cmd)
	if err != nil {
		return err
	}
	defer stop()
	c := &campaign{
		seeds: list, options: draw, workers: f.workers, keepGoing: f.keepGoing,
		progress: f.newProgress(cmd.ErrOrStderr()),
	}
	t := c.run(ctx)
	// Time that ran out ends a campaign as planned, a signal does not; but
	// --seeds asks for all of them.
	interrupted := t.cut && (cmd.Context().Err() != nil || list.count > 0)
	r := newSimulationReport(list, t, interrupted)
	for _, failed := range t.sorted() {
		r.Failures = append(r.Failures, *f.examine(cmd, draw(failed.first.Seed), failed))
	}
	if f.json {
		err = writeJSON(cmd.OutOrStdout(), r)
	} else {
		err = r.write(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	return concluded(r.Verdict)
}

// check looks for flags that make no sense.
func (f *simulateFlags) check() error {
	for _, bound := range []struct {
		name        string
		value       int
		least, most int
	}{
		{"workers", f.workers, 1, 1024},
		{"servers", f.servers, 0, serversMax},
		{"clients", f.clients, 0, clientsMax},
		{"keys", f.keys, 0, keysMax},
		{"ops", f.ops, 0, opsMax},
	} {
		if bound.value < bound.least || bound.value > bound.most {
			return usageErrorf("--%s %d: must be from %d to %d", bound.name, bound.value, bound.least, bound.most)
		}
	}
	if f.duration <= 0 {
		return usageErrorf("--duration %s: must be more than nothing", f.duration)
	}
	if err := checkRunDir(f.runDir); err != nil {
		return err
	}
	if f.faults != nil && len(f.faults) == 0 {
		return usageErrorf("--faults: name at least one; --faults drop --without drop leaves none")
	}
	var faults simulation.Faults
	if err := faults.Only(f.faults...); err != nil {
		return usageErrorf("--faults: %w", err)
	}
	if err := faults.Without(f.without...); err != nil {
		return usageErrorf("--without: %w", err)
	}
	return nil
}

// draw makes the options of a seed.
type draw func(seed uint64) simulation.Options

// plan returns what the flags ask to run, and a context that ends when the time
// for it is up.
func (f *simulateFlags) plan(cmd *cobra.Command) (draw, seeds, context.Context, context.CancelFunc, error) {
	changed := cmd.Flags().Changed
	ctx, stop := cmd.Context(), func() {}
	var list seeds
	switch {
	case f.file != "":
		o, err := readOptions(f.file)
		return func(uint64) simulation.Options { return o }, seeds{o.Seed, 1}, ctx, stop, err
	case changed("seed"):
		return f.options, seeds{f.seed, 1}, ctx, stop, nil
	case changed("seeds"):
		var err error
		if list, err = parseRange(f.range_); err != nil || !changed("duration") {
			return f.options, list, ctx, stop, err
		}
	default:
		list = freshSeeds()
		fmt.Fprintf(cmd.ErrOrStderr(), "fresh seeds, from %d on\n", list.first)
	}
	ctx, stop = context.WithTimeout(ctx, f.duration)
	return f.options, list, ctx, stop, nil
}

// readOptions reads the options.json of a run folder.
func readOptions(path string) (simulation.Options, error) {
	var o simulation.Options
	text, err := os.ReadFile(path)
	if err != nil {
		return o, usageErrorf("--options: %w", err)
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return o, usageErrorf("--options %s: %w", path, err)
	}
	if err := o.Check(); err != nil {
		return o, usageErrorf("--options %s: %w", path, err)
	}
	return o, nil
}

// faultTable tells the kinds of fault for a help text.
func faultTable() string {
	var b strings.Builder
	for _, k := range simulation.FaultNames() {
		fmt.Fprintf(&b, "  %-18s  %s\n", k.Name, k.About)
	}
	return b.String()
}

// parseRange reads A:B.
func parseRange(s string) (seeds, error) {
	var from, to uint64
	var rest string
	if n, _ := fmt.Sscanf(s+" .", "%d:%d %s", &from, &to, &rest); n != 3 || rest != "." {
		return seeds{}, usageErrorf("--seeds %q: must be two numbers, as in 1:2000", s)
	}
	if to < from {
		return seeds{}, usageErrorf("--seeds %q: the second number must not be below the first", s)
	}
	if to-from == ^uint64(0) {
		return seeds{}, usageErrorf("--seeds %q: must be fewer than all that there are", s)
	}
	return seeds{from, to - from + 1}, nil
}

// freshSeeds returns seeds that nobody has seen, most likely: they begin with
// the time.
func freshSeeds() seeds {
	return seeds{first: uint64(time.Now().UnixMilli()) % 1e12 * 1e6}
}

// options draws a world from a seed, and overrules what the flags say.
func (f *simulateFlags) options(seed uint64) simulation.Options {
	o := simulation.Draw(seed)
	for _, flag := range []struct {
		asked int
		drawn *int
	}{{f.servers, &o.Servers}, {f.keys, &o.Keys}, {f.ops, &o.Ops}} {
		if flag.asked > 0 {
			*flag.drawn = flag.asked
		}
	}
	if f.clients > 0 {
		if more := f.clients - o.Clients; more > 0 { // limits are drawn with the clients in mind
			if o.Limits.MaxSessions > 0 {
				o.Limits.MaxSessions += more
			}
			// Or sessions expire, and attempts are given up, while they wait behind
			// those of others, and what takes their place makes the queue longer.
			queue := 2 * int64(f.clients) * (o.DiskMillis + o.LatencyMillis + 1)
			o.Clerk.AttemptTicks = max(o.Clerk.AttemptTicks, int(queue/o.TickMillis)+1)
			if o.Limits.SessionTTLMillis > 0 {
				o.Limits.SessionTTLMillis = max(o.Limits.SessionTTLMillis, 4*queue)
			}
		}
		o.Clients = f.clients
	}
	// The names were looked at in check.
	if len(f.faults) > 0 {
		_ = o.Faults.Only(f.faults...)
	}
	_ = o.Faults.Without(f.without...)
	return o
}

// replay returns the command that runs a seed again.
func (f *simulateFlags) replay(seed uint64) string {
	if f.file != "" {
		return f.asBuilt("tandem simulate --options " + f.file)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tandem simulate --seed %d", seed)
	for _, flag := range []struct {
		name  string
		value int
	}{{"servers", f.servers}, {"clients", f.clients}, {"keys", f.keys}, {"ops", f.ops}} {
		if flag.value > 0 {
			fmt.Fprintf(&b, " --%s %d", flag.name, flag.value)
		}
	}
	if len(f.faults) > 0 {
		b.WriteString(" --faults " + strings.Join(f.faults, ","))
	}
	if len(f.without) > 0 {
		b.WriteString(" --without " + strings.Join(f.without, ","))
	}
	return f.asBuilt(b.String())
}

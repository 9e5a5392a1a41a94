package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/simulation/search"
)

// searchFlags are the flags of search.
type searchFlags struct {
	output
	mutantFlags
	search.Bounds
	noDeadlocks bool
	goals       []string

	depth, states int
	duration      time.Duration
	memory        float64 // GiB
	workers       int
	random        bool
	seed          uint64

	replay string
	step   bool
	runDir string
}

func newSearchCommand() *cobra.Command {
	f := new(searchFlags)
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Look at every state that the protocol can get into, within bounds",
		Long: `Search is a model checker for the code that runs in production: it takes the real
view service and the real servers, lets everything happen that can, in every order,
and looks in every state at the invariants of docs/protocol.md. Messages may come
once, twice, late or never; suspicion and timeouts come whenever they like. Only the
flags bound what happens: how many updates, views, crashes and so on there may be.

It goes breadth first, so that what it finds it finds by a shortest way, and ends in
one of four ways:

  space exhausted   every state within the bounds was looked at: within them, a proof
  goal found        the state that --goal describes was reached
  invariant broken  a rule does not hold, and the way there is shown
  limit reached     it stopped before it was through, which proves nothing

With --random it walks at random instead, deep, until a limit is reached.

A way that is found is left in a run folder: a transcript that people can read and
--replay can go again, and a diagram of the messages. Names in it are a/1 for the first
life of server a, a/2 for the second, after a crash.

Goals, for --goal; several with commas must hold together, and several flags are
stages: each is searched for from where the one before was found.

` + search.GoalHelp() + `
Exit status: 0 space exhausted and all held, or the goal was found; 1 an invariant
broke, or the space was exhausted without the goal; 2 a limit was reached; 64 usage.`,
		Example: `  # two servers, one update, four views, one crash
  tandem search --updates 1 --views 4 --crashes 1

  # more of everything, and pings that others have overtaken: takes many minutes
  tandem search --updates 2 --reads 1 --views 4 --crashes 1 --late-pings

  # how a backup comes to be promoted and to take an update
  tandem search --views 4 --goal joint=a --goal solo=b,committed=1

  # three servers at random, for a minute
  tandem search --servers 3 --updates 3 --views 9 --crashes 2 --random --duration 1m

  # with a deliberate mistake in the servers (tandem mutants --list)
  tandem search --updates 1 --views 4 --crashes 1 --mutant alone-without-a-word

  # the way that was found, an event at a time
  tandem search --replay tandem-runs/search-I3/transcript.txt --step`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.Servers, "servers", 2, "key/value servers")
	flags.IntVar(&f.Ops, "updates", 1, "updates that clients ask for, each a client of its own")
	flags.IntVar(&f.Reads, "reads", 0, "reads that clients ask for")
	flags.UintVar(&f.Views, "views", 4, "the highest view number")
	flags.IntVar(&f.Crashes, "crashes", 1, "times that a server loses its memory, and comes back without")
	flags.IntVar(&f.Retries, "retries", 0, "times that a client sends each update again")
	flags.IntVar(&f.Resends, "resends", 0, "times that a primary sends again, or a heartbeat")
	flags.BoolVar(&f.Deltas, "deltas", false, "a server that returns may be sent what is missing alone (rule T4)")
	flags.BoolVar(&f.LatePings, "late-pings", false, "pings may arrive after later ones (rule V2)")
	flags.BoolVar(&f.Reports, "reports", false, "primaries may report their backups unreachable (rule V8)")
	flags.BoolVar(&f.LateDisks, "late-disks", false, "disks confirm when they like (rules L2, L3)")
	flags.BoolVar(&f.AllSuspicions, "all-suspicions", false, "suspect servers also when no view comes of it")
	flags.BoolVar(&f.Fresh, "fresh", false, "begin before the first view, and without sessions")
	flags.BoolVar(&f.KeepDead, "keep-dead", false, "tell states apart by messages that can have no effect any more, too")
	flags.BoolVar(&f.noDeadlocks, "no-deadlocks", false, "do not look for states from which service never comes back")
	flags.StringArrayVar(&f.goals, "goal", nil, "look for a state like this; may be given several times")
	flags.IntVar(&f.depth, "depth", 0, "stop at so many events in a row; 0: no limit, and with --random 80")
	flags.IntVar(&f.states, "states", 0, "stop at so many states; 0: no limit")
	flags.DurationVar(&f.duration, "duration", 0, "stop after so long; 0: no limit, and with --random 10s")
	flags.Float64Var(&f.memory, "memory", 8, "stop at so many GiB of memory; 0: no limit")
	flags.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "states looked at at the same time")
	flags.BoolVar(&f.random, "random", false, "walk at random, depth first")
	flags.Uint64Var(&f.seed, "seed", 1, "with --random: what the walks are drawn from")
	flags.StringVar(&f.replay, "replay", "", "go the way in this transcript, a `file`, again, and tell it")
	flags.BoolVar(&f.step, "step", false, "with --replay: wait for Enter before each event")
	flags.StringVar(&f.runDir, "run-dir", "tandem-runs", "make folders for ways that are found in this `directory`; empty: make none")
	f.mutantFlags.addFlags(cmd)
	f.output.addFlags(cmd)
	for _, other := range []string{"goal", "random", "json"} {
		cmd.MarkFlagsMutuallyExclusive("replay", other)
	}
	return cmd
}

func (f *searchFlags) run(cmd *cobra.Command) error {
	if err := f.checkUseless(cmd); err != nil {
		return err
	}
	if f.mutant != "" {
		return runMutant(cmd, f.mutant)
	}
	if f.replay != "" {
		return f.runReplay(cmd)
	}
	cfg, err := f.config()
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// Nearly all that a search keeps it keeps to the end, and memory has a
		// limit of its own: collecting less often is a third of the time.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
		if cfg.Memory > 0 { // near the limit, more often
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(cfg.Memory)))
		}
	}
	p := f.newProgress(cmd.ErrOrStderr())
	cfg.Progress = func(g search.Progress) {
		p.tell("stage %d, depth %d: %s states found, %s looked at, %s a second, %.1f GiB", g.Stage+1, g.Depth,
			thousands(uint64(g.Found)), thousands(uint64(g.Explored)), thousands(perSecond(g.Found, g.Elapsed)), gib(g.Memory))
	}
	result, err := f.search(cmd.Context(), cfg)
	p.clear()
	if err != nil {
		return err
	}
	report, err := f.report(cmd, cfg, result)
	if err != nil {
		return err
	}
	if f.json {
		err = writeJSON(cmd.OutOrStdout(), report)
	} else {
		err = report.write(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	return concluded(report.Verdict)
}

// checkUseless returns a usageError for flags that would change nothing, beside
// others or without them: who gives one believes that it does.
func (f *searchFlags) checkUseless(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case f.step && f.replay == "":
		return usageErrorf("--step: is for --replay, and there is none")
	case changed("seed") && !f.random:
		return usageErrorf("--seed %d: is for --random; without it there is nothing to draw", f.seed)
	case f.replay == "":
		return nil
	}
	for _, name := range notForReplay {
		if changed(name) {
			return usageErrorf("--%s: a replay goes the way of its transcript, within the bounds that stand there", name)
		}
	}
	return nil
}

// notForReplay are the flags that say what is searched and how far.
var notForReplay = []string{
	"servers", "updates", "reads", "views", "crashes", "retries", "resends", "deltas", "late-pings", "reports",
	"late-disks", "all-suspicions", "fresh", "keep-dead", "no-deadlocks", "depth", "states", "duration", "memory", "workers",
}

// search runs the search that the flags ask for.
func (f *searchFlags) search(ctx context.Context, cfg search.Config) (search.Result, error) {
	if f.random {
		return search.Walk(ctx, cfg, f.seed)
	}
	return search.Run(ctx, cfg)
}

// config returns what is searched, as the flags say.
func (f *searchFlags) config() (search.Config, error) {
	cfg := search.Config{Bounds: f.Bounds, Deadlocks: !f.noDeadlocks,
		Depth: f.depth, States: f.states, Time: f.duration, Workers: f.workers}
	switch {
	case f.memory < 0:
		return cfg, usageErrorf("--memory %g: must not be negative", f.memory)
	case f.duration < 0:
		return cfg, usageErrorf("--duration %s: must not be negative", f.duration)
	case f.workers < 1:
		return cfg, usageErrorf("--workers %d: there must be a worker", f.workers)
	}
	if err := cfg.Check(); err != nil {
		return cfg, impossible(err)
	}
	if err := checkRunDir(f.runDir); err != nil {
		return cfg, err
	}
	cfg.Memory = uint64(f.memory * (1 << 30))
	if f.random && f.duration == 0 && f.states == 0 {
		cfg.Time = 10 * time.Second
	}
	if f.random && len(f.goals) > 1 {
		return cfg, usageErrorf("--random knows no stages: give one --goal at most")
	}
	for i, text := range f.goals {
		goal, err := search.ParseGoal(text, f.Bounds)
		if err != nil {
			return cfg, impossible(err)
		}
		if i == len(f.goals)-1 {
			cfg.Goal = goal
		} else {
			cfg.Stages = append(cfg.Stages, *goal)
		}
	}
	return cfg, nil
}

// impossible returns an error about a Config as one about the command line, which
// knows already that search speaks.
func impossible(err error) error {
	return usageErrorf("%s", strings.TrimPrefix(err.Error(), search.ErrConfig.Error()+": "))
}

// runReplay goes the way of a transcript again.
func (f *searchFlags) runReplay(cmd *cobra.Command) error {
	file, err := os.Open(f.replay)
	if err != nil {
		return usageErrorf("--replay: %w", err)
	}
	defer file.Close()
	bounds, events, err := search.ReadTranscript(file)
	if err != nil {
		return usageErrorf("--replay %s: %w", f.replay, err)
	}
	trace, err := search.Replay(bounds, events)
	if errors.Is(err, search.ErrReplay) || errors.Is(err, search.ErrConfig) {
		return usageErrorf("--replay %s: %w", f.replay, err)
	} else if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := trace.WriteTranscript(&text); err != nil {
		return err
	}
	if err := f.tellSteps(cmd, &text); err != nil {
		return err
	}
	if trace.Invariant != "" {
		return concluded(broken)
	}
	return nil
}

// tellSteps writes a transcript, with --step an event at a time.
func (f *searchFlags) tellSteps(cmd *cobra.Command, text *bytes.Buffer) error {
	if !f.step {
		_, err := text.WriteTo(cmd.OutOrStdout())
		return err
	}
	enter := bufio.NewReader(cmd.InOrStdin())
	for _, step := range bytes.SplitAfter(text.Bytes(), []byte("\n\n")) {
		if _, err := cmd.OutOrStdout().Write(step); err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
		if _, err := enter.ReadString('\n'); err != nil {
			return nil // whoever reads has had enough
		}
	}
	return nil
}

func perSecond(n int, elapsed time.Duration) uint64 {
	if elapsed <= 0 {
		return 0
	}
	return uint64(float64(n) / elapsed.Seconds())
}

func gib(bytes uint64) float64 { return float64(bytes) / (1 << 30) }

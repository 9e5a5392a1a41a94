package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/torture"
	"github.com/tandemkv/tandem/internal/workload"
)

// tortureCommand tortures a cluster of processes.
type tortureCommand struct {
	output
	mutantFlags
	duration         time.Duration
	servers, clients int
	seed             uint64
	faults           []string
	runDir           string
	keep             bool // the run folder, whatever the verdict
}

func newTortureCommand() *cobra.Command {
	c := new(tortureCommand)
	cmd := &cobra.Command{
		Use:   "torture",
		Short: "Break a cluster of real processes while clients use it, and judge what they saw",
		Long: `Torture starts a view service and servers, each a process of its own on this
machine, and clients that use them. Then it breaks things: it kills processes with
kill -9, freezes them, has them leave, and cuts and resets the connections between
them, of which each goes through a proxy. In the end all is mended, every client has to
get its answers, every key is read, the primary is killed, and every key is read once
more.

What the clients were told is judged by porcupine: for each key there must be one order
of the operations that explains every answer, in which each happened at one moment
between its call and its answer. In plain words it also counts writes that were lost or
executed twice, and reads that were stale, as far as that is beyond doubt.

A fault never takes the memory of all servers that hold the data, for no store survives
that. A server is killed only while another one in sync lives.

The faults (the dead time is the silence, half a second, after which a server is taken
for dead):

` + tortureFaultTable() + `
A run folder is left behind unless the verdict is valid: the report, the history, what
struck when, and the logs of all processes; with --run-dir on the command line it is
left in any case. The seed draws faults and operations, but nothing repeats their
timing: the same seed is not the same run.

Exit status: 0 valid, 1 invalid, 2 unknown: interrupted, or the checker could not tell,
3 the cluster could not be started, 64 usage.`,
		Example: `  # a minute of everything
  tandem torture

  # ten minutes with five servers, and the run folder kept
  tandem torture --duration 10m --servers 5 --run-dir runs

  # kills and cuts alone
  tandem torture --faults kill,cut,cut-one-way

  # with a deliberate mistake in the servers, which should be noticed
  tandem torture --mutant answered-before-the-backup-has-it`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&c.duration, "duration", time.Minute, "how long there are faults; mending and judging come on top")
	flags.IntVar(&c.servers, "servers", 3, "how many servers")
	flags.IntVar(&c.clients, "clients", 8, "how many clients call at once; the first only reads")
	flags.Uint64Var(&c.seed, "seed", 0, "what faults and operations are drawn from; 0: the time")
	flags.StringSliceVar(&c.faults, "faults", nil, "let nothing go wrong but these kinds of fault")
	var kinds []string
	for _, f := range torture.Faults() {
		kinds = append(kinds, f.Name)
	}
	completeWords(cmd, "faults", kinds...)
	flags.StringVar(&c.runDir, "run-dir", "tandem-runs", "`directory` to make the run folder in; if this is given, it is kept also if valid; empty: keep none")
	c.mutantFlags.addFlags(cmd)
	c.output.addFlags(cmd)
	return cmd
}

// tortureFaultTable tells the kinds of fault for a help text.
func tortureFaultTable() string {
	var b strings.Builder
	for _, f := range torture.Faults() {
		fmt.Fprintf(&b, "  %-15s %s\n", f.Name, f.About)
	}
	return b.String()
}

func (c *tortureCommand) run(cmd *cobra.Command) error {
	if c.mutant != "" {
		return runMutant(cmd, c.mutant)
	}
	if c.seed == 0 {
		c.seed = freshSeeds().first
	}
	binary, err := os.Executable()
	if err != nil {
		return failed(fmt.Errorf("looking for this very command, to run it: %w", err))
	}
	cfg := torture.Config{
		Binary: binary, Duration: c.duration, Servers: c.servers, Clients: c.clients, Seed: c.seed, Faults: c.faults,
	}
	if err := cfg.Check(); err != nil {
		return usageErrorf("%w", err)
	}
	if c.faults != nil && len(c.faults) == 0 {
		return usageErrorf("--faults: name at least one")
	}
	if err := checkRunDir(c.runDir); err != nil {
		return err
	}
	c.keep = cmd.Flags().Changed("run-dir")
	place, err := c.makeFolder()
	if err != nil {
		return failed(err)
	}
	p := c.newProgress(cmd.ErrOrStderr())
	cfg.Dir, cfg.Progress = place.folder, p.tell
	r, err := torture.Run(cmd.Context(), cfg)
	p.clear()
	if err != nil {
		if c.runDir != "" { // what the processes logged tells more
			err = fmt.Errorf("%w (logs: %s)", err, place.folder)
		}
		return failed(errors.Join(err, place.leave(c.runDir != "")))
	}
	return c.conclude(cmd, r, place)
}

// conclude leaves the folder behind, or not, and tells the answer.
func (c *tortureCommand) conclude(cmd *cobra.Command, r *torture.Report, place *folder) error {
	answer := tortureReport{Report: r, Again: c.again()}
	kept := c.runDir != "" && (c.keep || r.Verdict != workload.Valid)
	if kept {
		answer.Folder = place.folder
		if err := answer.fill(place.folder); err != nil {
			tellNoFolder(cmd, err)
		}
	}
	if err := place.leave(kept); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.CommandPath(), err)
	}
	var err error
	if c.json {
		err = writeJSON(cmd.OutOrStdout(), answer)
	} else {
		err = answer.write(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	switch r.Verdict {
	case workload.Valid:
		return nil
	case workload.Invalid:
		return concluded(broken)
	}
	return concluded(unknown)
}

// again returns the command that draws the same faults.
func (c *tortureCommand) again() string {
	again := fmt.Sprintf("tandem torture --seed %d --duration %v --servers %d --clients %d", c.seed, c.duration, c.servers, c.clients)
	if len(c.faults) > 0 {
		again += " --faults " + strings.Join(c.faults, ",")
	}
	return c.asBuilt(again)
}

// folder is a directory that is made for a run, and its parents that were made for it.
type folder struct {
	folder string
	made   []string // the innermost first
}

// makeFolder makes the run folder, or a directory that stands in for it until the end.
func (c *tortureCommand) makeFolder() (*folder, error) {
	if c.runDir == "" {
		dir, err := os.MkdirTemp("", "tandem-torture-")
		if err != nil {
			return nil, fmt.Errorf("making a directory for the run: %w", err)
		}
		return &folder{dir, []string{dir}}, nil
	}
	path, err := freeFolder(c.runDir, fmt.Sprintf("torture-%d", c.seed))
	if err != nil {
		return nil, err
	}
	f := &folder{folder: path}
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		f.made = append(f.made, at)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("making the run folder: %w", err)
	}
	return f, nil
}

// leave leaves the folder behind, or takes away all that was made.
func (f *folder) leave(kept bool) error {
	if kept {
		return nil
	}
	if err := os.RemoveAll(f.folder); err != nil {
		return fmt.Errorf("removing the run folder: %w", err)
	}
	for _, dir := range f.made[1:] {
		if os.Remove(dir) != nil {
			break // somebody else has put something there
		}
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/simulation"
	"github.com/tandemkv/tandem/simulation/runfolder"
)

// shrinking is how long the shrinking of one run may take.
const shrinking = 30 * time.Second

// examine shrinks a failed run and writes its folder, as far as the flags want
// it, and returns what is told of it. After an interrupt it only tells.
func (f *simulateFlags) examine(cmd *cobra.Command, o simulation.Options, failed *failures) *reportedFailure {
	x := failed.first
	found := &reportedFailure{Invariant: x.Invariant, Detail: x.Detail, Seed: x.Seed, Event: x.Event, VirtualMillis: x.Millis,
		Runs: failed.count, Replay: f.replay(x.Seed), servers: x.Servers, trace: x.Trace}
	if x.Invariant == panicked || cmd.Context().Err() != nil {
		return found // a world that panics cannot be run and recorded
	}
	if !f.noShrink {
		p := f.newProgress(cmd.ErrOrStderr())
		p.tell("shrinking seed %d, for %s at most", x.Seed, shrinking)
		until := time.Now().Add(shrinking)
		over := func() bool { return time.Now().After(until) || cmd.Context().Err() != nil }
		var stats simulation.ShrinkStats
		o, _, stats = simulation.Shrink(o, x, simulation.ShrinkBudget{Stop: over})
		p.clear()
		found.Shrunk = &shrunkRun{Runs: stats.Runs, FaultsBefore: stats.FaultsBefore, Faults: stats.FaultsAfter, OpsBefore: stats.OpsBefore,
			Ops: stats.OpsAfter, EventsBefore: stats.EventsBefore, Events: stats.EventsAfter, Finished: stats.Finished}
	}
	if f.runDir != "" {
		f.leave(cmd, o, found)
	}
	return found
}

// leave writes the run folder of a failure.
func (f *simulateFlags) leave(cmd *cobra.Command, o simulation.Options, found *reportedFailure) {
	replay := found.Replay
	folder, err := freeFolder(f.runDir, fmt.Sprintf("seed-%d", found.Seed))
	if err == nil {
		if found.Shrunk != nil {
			replay = f.asBuilt("tandem simulate --options " + filepath.Join(folder, "options.json"))
		}
		_, _, err = runfolder.Write(folder, o, replay)
	}
	if err != nil {
		tellNoFolder(cmd, err)
		return
	}
	found.Folder = folder
	if found.Shrunk != nil {
		found.Shrunk.Replay = replay
	}
}

// checkRunDir returns a usageError if no folder can be made in a directory, as far
// as that can be seen without making one.
func checkRunDir(dir string) error {
	if dir == "" {
		return nil
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return usageErrorf("--run-dir %s: that is a file, and no directory", dir)
	}
	return nil
}

// tellNoFolder tells that there is no run folder. The answer and its verdict stand
// without one: what was found in an hour is not lost because a disk is full.
func tellNoFolder(cmd *cobra.Command, err error) {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: there is no run folder: %v\n", cmd.CommandPath(), err)
}

// freeFolder returns the name of a folder that is not there yet.
func freeFolder(dir, name string) (string, error) {
	for n := 1; ; n++ {
		folder := filepath.Join(dir, name)
		if n > 1 {
			folder += fmt.Sprintf("-%d", n)
		}
		switch _, err := os.Lstat(folder); {
		case errors.Is(err, fs.ErrNotExist):
			return folder, nil
		case err != nil:
			return "", fmt.Errorf("looking for a place for the run folder: %w", err)
		}
	}
}

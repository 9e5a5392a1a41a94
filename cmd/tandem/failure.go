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
func (f *simulateFlags) examine(cmd *cobra.Command, o simulation.Options, failed *failures) (*reportedFailure, error) {
	x := failed.first
	found := &reportedFailure{Invariant: x.Invariant, Detail: x.Detail, Seed: x.Seed, Event: x.Event, VirtualMillis: x.Millis,
		Runs: failed.count, Replay: f.replay(x.Seed), servers: x.Servers, trace: x.Trace}
	if x.Invariant == panicked || cmd.Context().Err() != nil {
		return found, nil // a world that panics cannot be run and recorded
	}
	replay := found.Replay
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
	if f.runDir == "" {
		return found, nil
	}
	folder, err := freeFolder(f.runDir, fmt.Sprintf("seed-%d", x.Seed))
	if err != nil {
		return nil, err
	}
	if found.Shrunk != nil {
		replay = "tandem simulate --options " + filepath.Join(folder, "options.json")
		found.Shrunk.Replay = replay
	}
	if _, _, err := runfolder.Write(folder, o, replay); err != nil {
		return nil, err
	}
	found.Folder = folder
	return found, nil
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

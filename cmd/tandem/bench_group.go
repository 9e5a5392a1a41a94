package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/drill"
)

// ownCluster is what benchmarks ask of a cluster that they start.
type ownCluster struct {
	pingInterval time.Duration
	deadPings    int
	lease        time.Duration
	runDir       string
}

// addFlags adds the flags.
func (o *ownCluster) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&o.pingInterval, "ping-interval", 0, "how often servers ping the view service that is started (default: as tandem monitor has it)")
	f.IntVar(&o.deadPings, "dead-pings", 0, "ping intervals without a ping after which a server is taken for dead (default: as tandem monitor has it)")
	f.DurationVar(&o.lease, "lease", 0, "start servers that read under leases of this length; see tandem server --help")
	f.StringVar(&o.runDir, "run-dir", "", "keep what the processes log in this `directory`, made if it is not there, with nothing of an earlier run in it (default: keep none)")
}

// ownFlags are the names of the flags.
var ownFlags = []string{"ping-interval", "dead-pings", "lease", "run-dir"}

// settings returns what is to be started, and a function that removes its directory,
// unless that is to be kept.
func (o *ownCluster) settings(servers int) (set drill.Settings, remove func() error, err error) {
	remove = func() error { return nil }
	switch {
	case o.pingInterval < 0:
		return set, remove, usageErrorf("--ping-interval %v: must not be negative", o.pingInterval)
	case o.deadPings < 0:
		return set, remove, usageErrorf("--dead-pings %d: must not be negative", o.deadPings)
	case o.lease < 0:
		return set, remove, usageErrorf("--lease %v: must not be negative", o.lease)
	}
	set = drill.Settings{Dir: o.runDir, Servers: servers, PingInterval: o.pingInterval, DeadPings: o.deadPings}
	if o.lease > 0 {
		// The grace is longer by a thousandth, far more than clocks may be wrong by default.
		set.ServerFlags = []string{"--lease", o.lease.String(), "--grace", (o.lease + o.lease/1000 + time.Millisecond).String()}
	}
	if set.Binary, err = os.Executable(); err != nil {
		return set, remove, failed(fmt.Errorf("looking for this very command, to run it: %w", err))
	}
	if o.runDir != "" {
		if err := checkRunDir(o.runDir); err != nil {
			return set, remove, err
		}
		if drill.Used(o.runDir) {
			return set, remove, usageErrorf("--run-dir %s: there is an earlier run in it; name another directory", o.runDir)
		}
		if err := os.MkdirAll(o.runDir, 0o755); err != nil {
			return set, remove, failed(fmt.Errorf("making the run folder: %w", err))
		}
		return set, remove, nil
	}
	if set.Dir, err = os.MkdirTemp("", "tandem-bench-"); err != nil {
		return set, remove, failed(fmt.Errorf("making a directory for the run: %w", err))
	}
	return set, func() error { return os.RemoveAll(set.Dir) }, nil
}

// whyNotMeasured returns the error that ends a benchmark which has no answer.
func whyNotMeasured(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted: nothing is told of what was measured so far")
	}
	return failed(err)
}

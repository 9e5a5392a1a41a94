// Compare measures Tandem beside what one would pick instead: Redis with a replica,
// etcd with three members, and the bare net/rpc of the standard library, which is the
// yardstick. It starts all of them on the loopback address, puts the same load on each
// in turn, and prints tables and ratios. See README.md for what can be compared, and
// bench/compare/run for how it is started.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/tandemkv/tandem/internal/bench"
)

// The exit statuses are those of the tandem command.
const (
	exitDone        = 0
	exitBroken      = 1 // Tandem did what it must not
	exitInterrupted = 2
	exitFailed      = 3
	exitUsage       = 64
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) > 1 && os.Args[1] == echoCommand {
		if err := serveEcho(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "compare:", err)
			return exitFailed
		}
		return exitDone
	}
	set, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintf(os.Stderr, "compare: %v\ntry: bench/compare/run --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := set.makeOut(); err != nil { // which had better not fail after 20 minutes
		fmt.Fprintln(os.Stderr, "compare:", err)
		return exitFailed
	}
	r, err := compare(ctx, set)
	if r.measured() {
		fmt.Print(r.text(false))
		if set.out != "" {
			err = errors.Join(err, r.write(set.out))
		}
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
	}
	switch {
	case r.measured() && r.tandemBroken():
		return exitBroken
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "compare: interrupted")
		return exitInterrupted
	case err != nil:
		return exitFailed
	}
	return exitDone
}

// compare makes the whole comparison. When it returns nothing that it started is left.
// With an error it returns what had been measured before.
func compare(ctx context.Context, set *settings) (r *report, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("look for this very program, to run it: %w", err)
	}
	n, err := newNursery(set.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	steps, about := set.plan()
	p := newProgress(steps)
	defer p.clear()
	p.say("compare: %d measurements, about %s", steps, about.Round(10*time.Second))
	r = &report{Date: time.Now(), Machine: thisMachine(), Versions: readVersions(set.tandem), Settings: set}
	err = r.parts(ctx, n, set, self, p)
	if err != nil {
		r.Ended = err.Error()
	}
	r.Took = time.Since(r.Date)
	r.conclude()
	return r, err
}

// parts makes the parts that are wanted, one after the other.
func (r *report) parts(ctx context.Context, n *nursery, set *settings, self string, p *progress) error {
	err := r.loops(ctx, n, set, self, p)
	if err == nil && set.has(partFailover) {
		r.Failover, err = failovers(ctx, n, set, p)
	}
	if err == nil && set.has(partMemory) {
		r.Memory, err = memories(ctx, n, set, p)
	}
	return err
}

// loops makes the parts in which all systems stand side by side.
func (r *report) loops(ctx context.Context, n *nursery, set *settings, self string, p *progress) (err error) {
	if !set.has(partPut) && !set.has(partGet) && !set.has(partOpen) {
		return nil
	}
	f, err := newField(ctx, n, set, self)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.kill()) }()
	if r.Idle, err = idleCost(ctx, f.pids()); err != nil {
		return err
	}
	puts, err := f.puts(ctx)
	if err != nil {
		return err
	}
	if set.has(partPut) {
		t, err := closedLoops(ctx, set, partPut, bench.Put, puts, p)
		r.Tables = append(r.Tables, t)
		if err != nil {
			return err
		}
	}
	if set.has(partGet) {
		gets, err := f.gets(ctx)
		if err != nil {
			return err
		}
		t, err := closedLoops(ctx, set, partGet, bench.Get, gets, p)
		r.Tables = append(r.Tables, t)
		if err != nil {
			return err
		}
	}
	if set.has(partOpen) {
		r.Open, err = openLoops(ctx, set, puts, r.table(partPut), p)
	}
	return err
}

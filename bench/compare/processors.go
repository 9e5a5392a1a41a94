package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tandemkv/tandem/internal/pause"
)

// used is how much processor time was used up to a moment.
type used struct {
	self   time.Duration // by this process, which is the clients
	others time.Duration // by some others together
}

// processors tells how much was used up to now.
func processors(pids []int) (used, error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return used{}, fmt.Errorf("look at the time of this process: %w", err)
	}
	others, err := ticks(pids)
	return used{
		self:   time.Duration(own.Utime.Nano() + own.Stime.Nano()),
		others: time.Duration(others) * (time.Second / ticksPerSecond),
	}, err
}

// idleCost returns how much of one processor some processes take while nobody uses them.
func idleCost(ctx context.Context, pids []int) (float64, error) {
	const look = time.Second
	before, err := processors(pids)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	pause.For(ctx, look)
	after, err := processors(pids)
	return (after.others - before.others).Seconds() / time.Since(began).Seconds(), err
}

// ticksPerSecond is the kernel's unit of processor time, in which it shows it to
// programs on every architecture.
const ticksPerSecond = 100

// ticks returns the processor time that processes have used so far.
func ticks(pids []int) (uint64, error) {
	var all uint64
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("look at the time of process %d: %w", pid, err)
		}
		_, rest, _ := strings.Cut(string(text), ") ") // after the program's name, which may hold anything
		fields := strings.Fields(rest)
		const user, system = 11, 12 // counted from the third field on
		if len(fields) <= system {
			return 0, fmt.Errorf("time of process %d: %q is too short", pid, text)
		}
		for _, f := range []string{fields[user], fields[system]} {
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("time of process %d: %w", pid, err)
			}
			all += n
		}
	}
	return all, nil
}

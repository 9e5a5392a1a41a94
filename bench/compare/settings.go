package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tandemkv/tandem/internal/bench"
)

// The parts of a comparison.
const (
	partPut      = "put"
	partGet      = "get"
	partOpen     = "open"
	partFailover = "failover"
	partMemory   = "memory"
)

var partNames = []string{partPut, partGet, partOpen, partFailover, partMemory}

// settings say what to compare, and how.
type settings struct {
	Parts      []string      `json:"parts"`
	Systems    []string      `json:"systems"` // the beginnings of the names of those that take part; empty: all
	Rounds     int           `json:"rounds"`
	Clients    []int         `json:"clients"`
	Warmup     time.Duration `json:"warmup_ns"`
	Duration   time.Duration `json:"duration_ns"` // of each measurement
	ValueSize  int           `json:"value_size"`
	Keys       int           `json:"keys"`
	Rate       float64       `json:"rate"` // of the open loop; zero: half of Redis's peak
	Trials     int           `json:"trials"`
	MemoryKeys int           `json:"memory_keys"`
	Rest       time.Duration `json:"rest_ns"`
	Seed       uint64        `json:"seed"`

	out    string // directory for the results; empty: none
	dir    string // directory for the systems' files; empty: that for temporary files
	tandem string // the binary
}

// restDefault is longer than the two minutes after which the Go runtime collects garbage
// when nobody makes any.
const restDefault = 130 * time.Second

// openClients bounds what is under way at once in an open loop.
const openClients = 256

// failoverClients is how many clients there are when the primary is killed.
const failoverClients = 8

// parse reads the command line. What it returns with pflag.ErrHelp has been told.
func parse(args []string) (*settings, error) {
	s := new(settings)
	flags := pflag.NewFlagSet("compare", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.StringSliceVar(&s.Parts, "parts", partNames, "what to compare")
	flags.StringSliceVar(&s.Systems, "systems", nil, "the systems that take part, by the beginnings of their names, as in tandem,redis; empty: all")
	flags.IntVar(&s.Rounds, "rounds", 5, "how often each measurement is made, in turn with all others")
	flags.IntSliceVar(&s.Clients, "clients", []int{1, 16, 64, 256}, "how many clients call at once")
	flags.DurationVar(&s.Warmup, "warmup", 300*time.Millisecond, "how long clients call before each measurement")
	flags.DurationVar(&s.Duration, "duration", time.Second, "how long each measurement takes")
	flags.IntVar(&s.ValueSize, "value-size", 100, "bytes of a value")
	flags.IntVar(&s.Keys, "keys", 1000, "how many keys are written and read")
	flags.Float64Var(&s.Rate, "rate", 0, "writes a second of the open loop; 0: half of the best that Redis with WAIT 1 did")
	flags.IntVar(&s.Trials, "trials", 8, "how often the primary of each system is killed")
	flags.IntVar(&s.MemoryKeys, "memory-keys", 1_000_000, "how many keys are kept when memory is measured")
	flags.DurationVar(&s.Rest, "rest", restDefault, "how long they rest at least before memory is measured")
	flags.Uint64Var(&s.Seed, "seed", 1, "what keys are drawn from")
	flags.StringVar(&s.out, "out", "", "`directory` to write compare.txt, compare.md and compare.json to")
	flags.StringVar(&s.dir, "dir", "", "`directory` for what the systems keep, which is removed; empty: that for temporary files")
	flags.StringVar(&s.tandem, "tandem", "", "the tandem `binary`, which bench/compare/run builds")
	flags.Usage = func() { fmt.Print(usage(flags)) }
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q: there are no arguments, only flags", flags.Arg(0))
	}
	return s, s.check()
}

// usage is the help text.
func usage(flags *pflag.FlagSet) string {
	return `Compare measures Tandem beside Redis, etcd and net/rpc alone, with one load generator,
over TCP on the loopback address. The systems take turns within each round. What is
compared, and what is not comparable, is told in bench/compare/README.md.

Parts: put, get (clients that call in a closed loop), open (the latency at a fixed rate
of writes), failover (the primary is killed), memory (of many keys).

Usage:
  bench/compare/run [--install] [flags]

Examples:
  bench/compare/run --out results              # all of it
  bench/compare/run --parts put --rounds 2 --clients 64 --systems tandem,redis-wait

Flags:
` + flags.FlagUsages() + `
Exit status: 0 done; 1 an operation of Tandem was lost, stale or ran twice; 2 interrupted;
3 it failed; 64 the command line was not understood.
`
}

// check returns an error that names what is wrong.
func (s *settings) check() error {
	for _, part := range s.Parts {
		if !slices.Contains(partNames, part) {
			return fmt.Errorf("part %q: there are %s", part, strings.Join(partNames, ", "))
		}
	}
	for _, name := range s.Systems {
		if !slices.ContainsFunc(systemNames(), func(id string) bool { return strings.HasPrefix(id, name) }) {
			return fmt.Errorf("system %q: no name begins so; there are %s", name, strings.Join(systemNames(), ", "))
		}
	}
	if least := max(openClients, failoverClients); s.Keys < least {
		return fmt.Errorf("%d keys: must be at least %d, one for each client", s.Keys, least)
	}
	for _, clients := range s.Clients {
		if clients < 1 || clients > s.Keys {
			return fmt.Errorf("%d clients: must be from 1 to the number of keys, %d", clients, s.Keys)
		}
	}
	switch {
	case len(s.Parts) == 0:
		return errors.New("no parts: name at least one")
	case len(s.Clients) == 0:
		return errors.New("no numbers of clients: name at least one")
	case s.Rounds < 1:
		return fmt.Errorf("%d rounds: must be at least one", s.Rounds)
	case s.Trials < 1:
		return fmt.Errorf("%d trials: must be at least one", s.Trials)
	case s.Duration <= 0:
		return fmt.Errorf("duration %v: must be more than zero", s.Duration)
	case s.Warmup < 0:
		return fmt.Errorf("warm-up %v: must not be negative", s.Warmup)
	case s.Rest < 0:
		return fmt.Errorf("rest %v: must not be negative", s.Rest)
	case s.ValueSize < bench.ValueSizeMin:
		return fmt.Errorf("values of %d bytes: must be at least %d, to hold what is checked", s.ValueSize, bench.ValueSizeMin)
	case s.MemoryKeys < openClients:
		return fmt.Errorf("%d keys to measure memory with: must be at least %d", s.MemoryKeys, openClients)
	case s.tandem == "":
		return errors.New("--tandem is missing: bench/compare/run gives it")
	}
	return bench.Load{Rate: s.Rate}.Check()
}

// makeOut makes the directory for the results, if they are wanted.
func (s *settings) makeOut() error {
	if s.out == "" {
		return nil
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return fmt.Errorf("make the directory for results: %w", err)
	}
	return nil
}

// has reports whether a part is wanted.
func (s *settings) has(part string) bool { return slices.Contains(s.Parts, part) }

// takes reports whether a system takes part.
func (s *settings) takes(id string) bool {
	return len(s.Systems) == 0 || slices.ContainsFunc(s.Systems, func(prefix string) bool {
		return strings.HasPrefix(id, prefix)
	})
}

// load is what each measurement of a closed loop does.
func (s *settings) load(kind bench.Kind, clients, round int) bench.Load {
	l := bench.Load{
		Clients: clients, Warmup: s.Warmup, Duration: s.Duration,
		Keys: s.Keys, ValueSize: s.ValueSize, Seed: s.Seed + uint64(round),
	}
	l.Mix[kind] = 1
	return l
}

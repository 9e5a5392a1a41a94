package main

import (
	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/bench"
)

// benchLoad are what all benchmarks ask of their clients.
type benchLoad struct {
	connections  string
	mix          string
	distribution string
	theta        float64
	keys         int
	valueSize    byteSize
	seed         uint64
}

// addFlags adds the flags; what is set already is their default.
func (l *benchLoad) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.connections, "connections", string(bench.Shared), "shared: one client library and connection for all clients; each: one for each")
	completeWords(cmd, "connections", string(bench.Shared), string(bench.Each))
	f.StringVar(&l.mix, "mix", l.mix, "`operations` and their shares, as in get=9,put=1; there are get, put, append, puthash, cas and delete")
	f.StringVar(&l.distribution, "distribution", l.distribution, "which keys are used how often: uniform, zipf, or sequential: each client writes its own in turn")
	completeWords(cmd, "distribution", string(bench.Uniform), string(bench.Zipf), string(bench.Sequential))
	f.Float64Var(&l.theta, "theta", 0.99, "exponent of zipf, more than 0 and less than 1")
	f.IntVar(&l.keys, "keys", l.keys, "how many keys, of 16 bytes")
	l.valueSize = 100
	f.Var(&l.valueSize, "value-size", "bytes of a value, 16 at least")
	f.Uint64Var(&l.seed, "seed", 1, "what operations and keys are drawn from")
}

// checkGiven returns a usageError if a flag was given that would change nothing.
func (l *benchLoad) checkGiven(cmd *cobra.Command) error {
	if cmd.Flags().Changed("theta") && l.distribution != string(bench.Zipf) {
		return usageErrorf("--theta %v: is for --distribution %s", l.theta, bench.Zipf)
	}
	if l.theta == 0 { // which would be the default
		return usageErrorf("--theta 0: must be more than 0 and less than 1")
	}
	return nil
}

// load returns the load that the flags tell of, without what is measured how long.
func (l *benchLoad) load(clients int) (bench.Load, error) {
	mix, err := bench.ParseMix(l.mix)
	if err != nil {
		return bench.Load{}, usageErrorf("--mix: %w", err)
	}
	switch {
	case l.connections != string(bench.Shared) && l.connections != string(bench.Each):
		return bench.Load{}, usageErrorf("--connections %q: must be %s or %s", l.connections, bench.Shared, bench.Each)
	case clients < 1:
		return bench.Load{}, usageErrorf("%d clients: must be one at least", clients)
	case l.keys < 1:
		return bench.Load{}, usageErrorf("--keys %d: must be one at least", l.keys)
	case l.valueSize > defaultMaxValue:
		return bench.Load{}, usageErrorf("--value-size %s: must be at most %s, which servers take unless they are told otherwise", &l.valueSize, byteCount(uint64(defaultMaxValue)))
	case l.valueSize < bench.ValueSizeMin:
		return bench.Load{}, usageErrorf("--value-size %s: must be at least %d", &l.valueSize, bench.ValueSizeMin)
	}
	return bench.Load{
		Clients: clients, Mix: mix, Keys: l.keys, Distribution: bench.Distribution(l.distribution), Theta: l.theta,
		ValueSize: int(l.valueSize), Seed: l.seed,
	}, nil
}

package view

import "github.com/tandemkv/tandem"

// The limits that are not configured.
const (
	// AddrMax is the longest address a server may ping with, in bytes.
	AddrMax = 512
	// HistoryMax is how many changes of view are remembered for Status.
	HistoryMax = 32
	// HeldMax is how many pings wait for a record to become durable. When there is
	// one more, the one that has waited for longest is answered with ErrBusy; all
	// count as heard, so that a slow disk makes no server suspected.
	HeldMax = 1024
	// AbandonedMax is how many clusters that were given up are remembered (rule V0).
	AbandonedMax = 16
	// livesMax is how many lives of one address the detector remembers.
	livesMax = 4
)

// Config says how a Service counts and what it may hold. Zero fields take
// their defaults, except that Cluster must be given.
type Config struct {
	// Cluster is the cluster id that the first view gets (rule V0). It must
	// not be zero, which stands for "no view known yet" on the wire. The owner
	// draws it at random; a core has no random numbers.
	Cluster uint64
	// Group is the group of servers that the views are of. Pings of another
	// group are refused.
	Group uint32

	// TicksPerPing is the number of ticks in one ping interval, default 1.
	// More of them make suspicion less coarse.
	TicksPerPing int
	// DeadPings is the number of ping intervals without a ping after which a
	// server is suspected (rule V7), default 5. At least 2 makes sense: with
	// fewer, a ping that is a little late is a dead server.
	DeadPings int
	// ListenPings is the number of ping intervals for which a Service that has no view
	// makes none: it may have lost its memory (rule V0), and whoever knows the cluster
	// that it has forgotten has to be heard before a fresh server becomes the primary
	// of another (rule V1). Default none.
	ListenPings int
	// HintPings is the number of ping intervals that a server is given to ping
	// again after a hint that it is gone (rule V7), default 2.
	HintPings int
	// CoolDownPings is the number of ping intervals for which a server that
	// was reported unreachable must have pinged, since the report, before it
	// is named again (rule V8), default 10.
	CoolDownPings int
	// ForgetPings is the number of ping intervals after which a suspected
	// server that no view needs is forgotten, default 600.
	ForgetPings int
	// ServersMax is the number of servers that are remembered, default 1024.
	// Newcomers beyond it are refused with ErrBusy.
	ServersMax int

	// Observer, if not nil, is told what happens, while it happens. It must
	// not call the Service back.
	Observer func(tandem.Observation)
}

// withDefaults returns the configuration with its zero fields filled in.
func (c Config) withDefaults() Config {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&c.TicksPerPing, 1)
	def(&c.DeadPings, 5)
	def(&c.HintPings, 2)
	def(&c.CoolDownPings, 10)
	def(&c.ForgetPings, 600)
	def(&c.ServersMax, 1024)
	return c
}

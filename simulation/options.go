package simulation

import (
	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// Options say what a World is made of. Equal options give equal runs.
type Options struct {
	Seed    uint64
	Servers int
	Clients int // each runs one operation at a time
	Keys    int
	Ops     int // operations the clients start while there are faults, together, at least

	TickMillis  int64 // between ticks of a core
	ThinkMillis int64 // at most, between two operations of a client
	PollMillis  int64 // for which a Get waits at the view service

	// LatencyMillis is the most that a message takes without a fault; the
	// least is 1.
	LatencyMillis int64
	// Watch: servers ask the view service for news beside their pings.
	Watch bool
	// Lazy is the share of events after which a server lets effects collect.
	Lazy float64
	// Recode sends every message through encoding and decoding, Seal checks on
	// delivery that nobody changed it since.
	Recode, Seal bool
	// DiskMillis is the most that a server's disk takes to confirm, and
	// ViewDiskMillis the view service's; zero confirms at once.
	DiskMillis, ViewDiskMillis int64

	Faults Faults
	// Schedule, if not nil, says exactly which faults strike; the rates count for
	// nothing then.
	Schedule *Schedule

	// What the cores are made with. Identities, limits that decide nothing
	// here and observers are filled in.
	Replica replica.Config
	View    view.Config
	Clerk   clerk.Config
	Limits  store.Limits
}

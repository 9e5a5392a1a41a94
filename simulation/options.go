package simulation

import (
	"fmt"

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

	// NoGrace has a bit for each server, the first's the lowest, that promises no
	// grace and takes no lease, whatever Replica says (rule R3).
	NoGrace uint

	// Tight has a bit for each server, the first's the lowest, that allows values
	// of a quarter of the size (rule L6).
	Tight uint
	// ClockMillis is the most by which servers' wall clocks are ahead, always: a
	// clock that is wrong and goes right (rule L6).
	ClockMillis int64
	// Stuck leaves the primary frozen when all other faults stop, if the data is
	// elsewhere, too: it neither answers nor fails (rule C1).
	Stuck bool
	// Severed leaves two servers cut off from each other for good when all other
	// faults stop.
	Severed bool

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

// The most that a World is made of.
const (
	ServersMax = 9
	ClientsMax = 64
)

// Check returns an error if no World can be made from the options. Those that Draw
// makes are always fine; others may have been read from a file.
func (o *Options) Check() error {
	for _, bound := range []struct {
		name               string
		value, least, most int64
	}{
		{"Servers", int64(o.Servers), 1, ServersMax},
		{"Clients", int64(o.Clients), 1, ClientsMax},
		{"Keys", int64(o.Keys), 1, 1 << 20},
		{"Ops", int64(o.Ops), 0, 1 << 20},
		{"TickMillis", o.TickMillis, 1, 10_000},
		{"ThinkMillis", o.ThinkMillis, 0, 100_000},
		{"LatencyMillis", o.LatencyMillis, 0, 100_000},
		{"ClockMillis", o.ClockMillis, 0, 1 << 40},
		{"Faults.LastMillis", o.Faults.LastMillis, 0, 100_000},
		{"Faults.DelayMillis", o.Faults.DelayMillis, 0, 100_000},
	} {
		if bound.value < bound.least || bound.value > bound.most {
			return fmt.Errorf("options of a simulation: %s is %d, and must be from %d to %d", bound.name, bound.value, bound.least, bound.most)
		}
	}
	if err := o.Replica.Check(); err != nil {
		return fmt.Errorf("options of a simulation: %w", err)
	}
	return nil
}

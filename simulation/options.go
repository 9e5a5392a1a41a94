package simulation

import (
	"math/rand/v2"

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
	Ops     int // operations the clients start while there are faults, together

	TickMillis  int64 // between ticks of a core
	ThinkMillis int64 // at most, between two operations of a client
	PollMillis  int64 // for which a Get waits at the view service

	// LatencyMillis is the most that a message takes without a fault; the
	// least is 1. With Ordered, messages between two nodes keep their order.
	LatencyMillis int64
	Ordered       bool
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

	// What the cores are made with. Identities, limits that decide nothing
	// here and observers are filled in.
	Replica replica.Config
	View    view.Config
	Clerk   clerk.Config
	Limits  store.Limits
}

// Faults says how often things go wrong.
type Faults struct {
	// Shares of the messages sent.
	Drop, Duplicate, Delay float64
	// DelayMillis is the most that a delayed message is late.
	DelayMillis int64

	// Chances in every 10 ms of virtual time, of which all others come.

	Ghost     float64 // some message that was ever sent is delivered again
	CutOneWay float64 // messages from one node to another stop passing for a while
	CutTwoWay float64 // one node is cut off from another, or from all
	Crash     float64 // a server loses its memory
	Freeze    float64 // a node stops for a while, with its beliefs
	Leave     float64 // a server departs (rule V11)
	Suspect   float64 // the view service is given a hint, true or not (rule V7)
	Report    float64 // a primary reports its backup, rightly or not (rule V8)
	Resend    float64 // a primary sends again what is unanswered
	Abandon   float64 // a client's connection breaks
	Cancel    float64 // a client gives its operation up
	Slow      float64 // a disk takes long, once

	// LastMillis is the most that a cut, a freeze or an absence lasts.
	LastMillis int64
	// Merciful faults leave a member of the in-sync set its memory.
	Merciful bool
}

// Draw makes options from a seed. Each seed leaves some kinds of fault out, so
// that what one kind hides another seed shows.
func Draw(seed uint64) Options {
	r := rand.New(rand.NewPCG(seed, 0x0d7a3))
	among := func(lo, hi int) int { return lo + r.IntN(hi-lo+1) }
	maybe := func(p float64) bool { return r.Float64() < p }
	// Small numbers are as likely as large ones: 2^-5 to 1 of the most.
	rate := func(p, most float64) float64 {
		if !maybe(p) {
			return 0
		}
		return most / float64(int(1)<<r.IntN(6))
	}
	o := Options{
		Seed:          seed,
		Servers:       among(2, 4),
		Clients:       among(1, 4),
		Keys:          among(1, 3),
		Ops:           among(100, 250),
		TickMillis:    int64(among(4, 10)),
		ThinkMillis:   int64(among(0, 30)),
		PollMillis:    int64(among(50, 400)),
		LatencyMillis: int64(among(1, 6)),
		Watch:         maybe(0.6),
		Recode:        maybe(0.04),
		Seal:          maybe(0.04),
	}
	if maybe(0.3) {
		o.Lazy = 0.5
	}
	if maybe(0.4) {
		o.DiskMillis = int64(among(1, 40))
	}
	if maybe(0.3) {
		o.ViewDiskMillis = int64(among(1, 40))
	}
	o.Faults = Faults{
		Drop:        rate(0.7, 0.2),
		Duplicate:   rate(0.7, 0.2),
		Delay:       rate(0.7, 0.3),
		DelayMillis: int64(among(10, 400)),
		Ghost:       rate(0.6, 0.6),
		CutOneWay:   rate(0.5, 0.03),
		CutTwoWay:   rate(0.5, 0.03),
		Crash:       rate(0.7, 0.03),
		Freeze:      rate(0.5, 0.03),
		Leave:       rate(0.3, 0.02),
		Suspect:     rate(0.5, 0.04),
		Report:      rate(0.4, 0.04),
		Resend:      rate(0.4, 0.1),
		Abandon:     rate(0.5, 0.1),
		Cancel:      rate(0.3, 0.02),
		Slow:        rate(0.3, 0.05),
		LastMillis:  int64(among(50, 1000)),
		Merciful:    maybe(0.8),
	}
	o.Replica = replica.Config{
		PingTicks:          among(2, 5),
		HeartbeatTicks:     among(2, 8),
		ResendTicks:        among(2, 10),
		UnreachableTicks:   among(10, 60),
		ParkTicks:          among(5, 60),
		ChunkBytes:         among(16, 400),
		ChunkWindow:        among(1, 4),
		MaxEntriesToRetain: among(1, 40),
	}
	if maybe(0.3) {
		o.Replica.MaxForwardBytes = among(1, 400)
	}
	if maybe(0.2) {
		o.Replica.MaxInFlight = among(1, 4)
	}
	if maybe(0.2) {
		o.Replica.MaxTransferBytes = among(200, 2000)
	}
	if maybe(0.2) {
		o.Replica.MaxAnswerBytes = among(1, 60)
	}
	o.View = view.Config{
		TicksPerPing:  o.Replica.PingTicks,
		DeadPings:     among(3, 6),
		HintPings:     among(1, 2),
		CoolDownPings: among(2, 10),
		ForgetPings:   among(10, 100),
	}
	o.Clerk = clerk.Config{AttemptTicks: among(10, 80), DoubtTicks: among(0, 30), BackoffTicksMax: 16}
	if maybe(0.4) {
		o.Limits.SessionTTLMillis = int64(among(300, 1500))
		o.Limits.ExpireEveryMillis = int64(among(20, 200))
		if maybe(0.3) { // sessions that nobody uses must go, or none can be opened
			o.Limits.MaxSessions = o.Clients + among(1, 4)
			o.Limits.SpareIdleMillis = int64(among(20, 1500))
		}
	}
	if maybe(0.2) {
		o.Limits.MaxValue = among(40, 200)
	}
	return o
}

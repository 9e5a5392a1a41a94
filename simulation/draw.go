package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// Draw makes options from a seed. Each seed leaves some kinds of fault out, so
// that what one kind hides another seed shows.
func Draw(seed uint64) Options {
	d := lottery{rand.New(rand.NewPCG(seed, 0x0d7a3))}
	o := d.world(seed)
	o.Faults = d.faults()
	d.replica(&o)
	o.View = view.Config{
		TicksPerPing:  o.Replica.PingTicks,
		DeadPings:     d.among(3, 6),
		HintPings:     d.among(1, 2),
		CoolDownPings: d.among(2, 10),
		ForgetPings:   d.among(10, 100),
	}
	o.Clerk = clerk.Config{AttemptTicks: d.among(10, 80), DoubtTicks: d.among(0, 30), BackoffTicksMax: 16}
	d.limits(&o)
	d.differences(&o)
	return o
}

// lottery draws options from a seed.
type lottery struct{ *rand.Rand }

// among draws a number between two, both included.
func (d lottery) among(lo, hi int) int { return lo + d.IntN(hi-lo+1) }

func (d lottery) maybe(p float64) bool { return d.Float64() < p }

// rate draws zero, or with a probability a rate: small ones are as likely as large
// ones, 2^-5 to 1 of the most.
func (d lottery) rate(p, most float64) float64 {
	if !d.maybe(p) {
		return 0
	}
	return most / float64(int(1)<<d.IntN(6))
}

// world draws how large the world is, and how fast what is well in it.
func (d lottery) world(seed uint64) Options {
	o := Options{
		Seed:          seed,
		Servers:       d.among(2, 5),
		Clients:       d.among(1, 4),
		Keys:          d.among(1, 3),
		Ops:           d.among(operationsMin, 300),
		TickMillis:    int64(d.among(4, 10)),
		ThinkMillis:   int64(d.among(0, 30)),
		PollMillis:    int64(d.among(50, 400)),
		LatencyMillis: int64(d.among(1, 6)),
		Watch:         d.maybe(0.6),
		Recode:        d.maybe(0.04),
		Seal:          d.maybe(0.04),
	}
	if d.maybe(0.3) {
		o.Lazy = 0.5
	}
	if d.maybe(0.4) {
		o.DiskMillis = int64(d.among(1, 40))
	}
	if d.maybe(0.3) {
		o.ViewDiskMillis = int64(d.among(1, 40))
	}
	return o
}

func (d lottery) faults() Faults {
	f := Faults{
		Drop:           d.rate(0.7, 0.2),
		Duplicate:      d.rate(0.7, 0.2),
		Delay:          d.rate(0.7, 0.3),
		Reorder:        d.rate(0.7, 1),
		CutTransfer:    d.rate(0.4, 0.3),
		SlowDisk:       d.rate(0.3, 0.05),
		SlowViewDisk:   d.rate(0.3, 0.5),
		Ghost:          d.rate(0.6, 0.6),
		CutOneWay:      d.rate(0.5, 0.03),
		CutTwoWay:      d.rate(0.5, 0.03),
		SlowLink:       d.rate(0.3, 0.03),
		Crash:          d.rate(0.5, 0.02),
		Restart:        d.rate(0.5, 0.02),
		ClientCrash:    d.rate(0.4, 0.02),
		Freeze:         d.rate(0.5, 0.03),
		Leave:          d.rate(0.3, 0.02),
		ClockJump:      d.rate(0.3, 0.02),
		ClockRate:      d.rate(0.3, 0.02),
		MonitorRestart: d.rate(0.4, 0.02),
		Suspect:        d.rate(0.5, 0.04),
		Report:         d.rate(0.4, 0.04),
		Resend:         d.rate(0.4, 0.1),
		Abandon:        d.rate(0.5, 0.1),
		Cancel:         d.rate(0.3, 0.02),
		DelayMillis:    int64(d.among(10, 400)),
		LastMillis:     int64(d.among(50, 1000)),
		Merciful:       d.maybe(0.97),
	}
	if d.maybe(0.03) {
		f.MonitorAmnesia = 0.05
	}
	f.liven(d.Rand)
	return f
}

// replica draws what the replicas are made with.
func (d lottery) replica(o *Options) {
	o.Replica = replica.Config{
		PingTicks:          d.among(2, 5),
		HeartbeatTicks:     d.among(2, 8),
		ResendTicks:        d.among(2, 10),
		UnreachableTicks:   d.among(10, 60),
		ParkTicks:          d.among(5, 60),
		ChunkBytes:         d.among(16, 400),
		ChunkWindow:        d.among(1, 4),
		MaxEntriesToRetain: d.among(1, 40),
		WholeTransfers:     d.maybe(0.3),
	}
	if d.maybe(0.5) { // long enough for one that returns to need no more than the rest
		o.Replica.MaxEntriesToRetain = d.among(50, 400)
	}
	if d.maybe(0.1) {
		o.Replica.MaxBytesToRetain = d.among(1, 2000)
	}
	if d.maybe(0.4) {
		d.leases(&o.Replica)
		if d.maybe(0.2) { // servers of two configurations, as while they are changed
			o.NoGrace = uint(d.among(1, 1<<o.Servers-1))
		}
	}
	if d.maybe(0.3) {
		o.Replica.MaxForwardBytes = d.among(1, 400)
	}
	if d.maybe(0.2) {
		o.Replica.MaxInFlight = d.among(1, 4)
	}
	if d.maybe(0.2) {
		o.Replica.MaxTransferBytes = d.among(200, 2000)
	}
	if d.maybe(0.2) {
		o.Replica.MaxAnswerBytes = d.among(1, 60)
	}
	if d.maybe(0.6) {
		o.Replica.TransferRestBytes = d.among(1, 400)
	}
}

func (d lottery) limits(o *Options) {
	if d.maybe(0.4) {
		o.Limits.SessionTTLMillis = int64(d.among(300, 1500))
		o.Limits.ExpireEveryMillis = int64(d.among(20, 200))
		if d.maybe(0.3) { // sessions that nobody uses must go, or none can be opened
			o.Limits.MaxSessions = o.Clients + d.among(1, 4)
			o.Limits.SpareIdleMillis = int64(d.among(20, 1500))
		}
	}
	if d.maybe(0.2) {
		o.Limits.MaxValue = d.among(40, 200)
	}
}

// differences draws what is not the same everywhere, limits and clocks, who reaches
// whom in the end, and how few sessions a client may hold.
func (d lottery) differences(o *Options) {
	if d.maybe(0.2) { // so low that a few appends are between the two
		o.Limits.MaxValue = d.among(16, 40)
		o.Tight = uint(d.among(1, 1<<o.Servers-1))
	}
	if d.maybe(0.5) {
		o.ClockMillis = int64(d.among(1, 10*faultMillisMax))
	}
	o.Severed = d.maybe(0.2)
	o.Stuck = !o.Severed && d.maybe(0.2)
	if d.maybe(0.3) {
		o.Clerk.MaxSessions = d.among(1, 4)
	}
}

// leases turns on rule R3: with exact clocks or with bad ones, with leases as
// long as the rule allows or shorter, and sometimes with the grace alone.
func (d lottery) leases(c *replica.Config) {
	c.ClockErrorPPM = []int{0, 1000, 100_000, 300_000}[d.among(0, 3)]
	c.Grace = time.Duration(d.among(20, 400)) * time.Millisecond
	if d.maybe(0.1) {
		return
	}
	c.Lease = c.Grace * time.Duration(1_000_000-c.ClockErrorPPM) / time.Duration(1_000_000+c.ClockErrorPPM)
	if d.maybe(0.3) {
		c.Lease = max(1, c.Lease*time.Duration(d.among(1, 100))/100)
	}
}

// liven sees to it that nodes have faults often enough for a run to stand some
// while its clients work.
func (f *Faults) liven(r *rand.Rand) {
	often := 0.0
	for k := firstOfChaos; k < numFaults; k++ {
		if faultKinds[k].node {
			often += *faultKinds[k].rate(f)
		}
	}
	if often >= 0.03 {
		return
	}
	for _, rate := range []*float64{&f.Crash, &f.Restart, &f.Freeze, &f.CutTwoWay} {
		if r.IntN(2) == 0 {
			*rate = 0.02
		}
	}
	f.Restart = max(f.Restart, 0.02)
}

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
		Servers:       among(2, 5),
		Clients:       among(1, 4),
		Keys:          among(1, 3),
		Ops:           among(operationsMin, 300),
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
		Drop:           rate(0.7, 0.2),
		Duplicate:      rate(0.7, 0.2),
		Delay:          rate(0.7, 0.3),
		Reorder:        rate(0.7, 1),
		CutTransfer:    rate(0.4, 0.3),
		SlowDisk:       rate(0.3, 0.05),
		SlowViewDisk:   rate(0.3, 0.5),
		Ghost:          rate(0.6, 0.6),
		CutOneWay:      rate(0.5, 0.03),
		CutTwoWay:      rate(0.5, 0.03),
		SlowLink:       rate(0.3, 0.03),
		Crash:          rate(0.5, 0.02),
		Restart:        rate(0.5, 0.02),
		ClientCrash:    rate(0.4, 0.02),
		Freeze:         rate(0.5, 0.03),
		Leave:          rate(0.3, 0.02),
		ClockJump:      rate(0.3, 0.02),
		ClockRate:      rate(0.3, 0.02),
		MonitorRestart: rate(0.4, 0.02),
		Suspect:        rate(0.5, 0.04),
		Report:         rate(0.4, 0.04),
		Resend:         rate(0.4, 0.1),
		Abandon:        rate(0.5, 0.1),
		Cancel:         rate(0.3, 0.02),
		DelayMillis:    int64(among(10, 400)),
		LastMillis:     int64(among(50, 1000)),
		Merciful:       maybe(0.97),
	}
	if maybe(0.03) {
		o.Faults.MonitorAmnesia = 0.05
	}
	o.Faults.liven(r)
	o.Replica = replica.Config{
		PingTicks:          among(2, 5),
		HeartbeatTicks:     among(2, 8),
		ResendTicks:        among(2, 10),
		UnreachableTicks:   among(10, 60),
		ParkTicks:          among(5, 60),
		ChunkBytes:         among(16, 400),
		ChunkWindow:        among(1, 4),
		MaxEntriesToRetain: among(1, 40),
		WholeTransfers:     maybe(0.3),
	}
	if maybe(0.5) { // long enough for one that returns to need no more than the rest
		o.Replica.MaxEntriesToRetain = among(50, 400)
	}
	if maybe(0.1) {
		o.Replica.MaxBytesToRetain = among(1, 2000)
	}
	if maybe(0.4) {
		drawLeases(&o.Replica, among, maybe)
		if maybe(0.2) { // servers of two configurations, as while they are changed
			o.NoGrace = uint(among(1, 1<<o.Servers-1))
		}
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

// drawLeases turns on rule R3: with exact clocks or with bad ones, with leases as
// long as the rule allows or shorter, and sometimes with the grace alone.
func drawLeases(c *replica.Config, among func(lo, hi int) int, maybe func(float64) bool) {
	c.ClockErrorPPM = []int{0, 1000, 100_000, 300_000}[among(0, 3)]
	c.Grace = time.Duration(among(20, 400)) * time.Millisecond
	if maybe(0.1) {
		return
	}
	c.Lease = c.Grace * time.Duration(1_000_000-c.ClockErrorPPM) / time.Duration(1_000_000+c.ClockErrorPPM)
	if maybe(0.3) {
		c.Lease = max(1, c.Lease*time.Duration(among(1, 100))/100)
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

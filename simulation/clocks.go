package simulation

import "time"

// clocks are what a node takes for time. True time is World.now; no core ever
// sees it.
type clocks struct {
	// The wall clock and the timers run at rate thousandths of true time; at true
	// time since the wall clock showed wall.
	rate  int64
	since int64
	wall  int64

	// The clock that leases are counted by: at true time elapsedSince it showed
	// elapsed, and it runs at elapsedRate millionths of true time.
	elapsedRate  int64
	elapsedSince int64
	elapsed      time.Duration
}

const (
	trueRate        = 1000
	trueElapsedRate = 1_000_000
)

// wallClock returns what a node takes for the time of day, in milliseconds.
func (w *World) wallClock(node int) int64 {
	c := &w.nodes[node].clocks
	return c.wall + (w.now-c.since)*c.rate/trueRate
}

// elapsedClock returns what a node's lease clock shows at a true time.
func (w *World) elapsedClock(node int, now int64) time.Duration {
	c := &w.nodes[node].clocks
	return c.elapsed + time.Duration((now-c.elapsedSince)*c.elapsedRate)*time.Millisecond/trueElapsedRate
}

// tickMillis returns the true time between two ticks of a node.
func (w *World) tickMillis(node int) int64 {
	return max(1, w.opt.TickMillis*trueRate/w.nodes[node].clocks.rate)
}

// startClocks sets a node's clocks: right, but for what Options.ClockMillis says, and
// for the lease clock's rate, which is somewhere within the bound.
func (w *World) startClocks(node int) {
	d := newDice(w.opt.Seed, diceOfClock, uint64(w.nodes[node].slot), w.nodes[node].life)
	w.nodes[node].clocks = clocks{rate: trueRate, since: w.now, wall: w.now + w.wrongBy(node),
		elapsedRate: w.rateWithin(&d), elapsedSince: w.now}
}

// wrongBy returns by how much a node's wall clock is wrong in all its lives.
func (w *World) wrongBy(node int) int64 {
	if w.opt.ClockMillis == 0 {
		return 0
	}
	d := newDice(w.opt.Seed, diceOfClock, uint64(w.nodes[node].slot), 0)
	return d.upTo(w.opt.ClockMillis)
}

// SetClock sets a node's wall clock forward or, by less than zero, back.
func (w *World) SetClock(node int, millis int64) { w.nodes[node].clocks.wall += millis }

// RunClock lets a node's wall clock and timers run at so many thousandths of true
// time from now on.
func (w *World) RunClock(node int, rate int64) {
	c := &w.nodes[node].clocks
	c.wall, c.since, c.rate = w.wallClock(node), w.now, rate
}

// RunElapsed lets a node's lease clock run at so many millionths of true time
// from now on.
func (w *World) RunElapsed(node int, rate int64) {
	c := &w.nodes[node].clocks
	c.elapsed, c.elapsedSince, c.elapsedRate = w.elapsedClock(node, w.now), w.now, rate
}

// chaosClockJump sets a server's wall clock.
func (w *World) chaosClockJump(d *dice) bool {
	s := w.anyServer(d)
	if !s.up() {
		return false
	}
	jump := d.upTo(5000)
	if d.intN(2) == 0 {
		jump = -jump
	}
	w.SetClock(s.node, jump)
	w.trace.say(w, s.node, "clock set")
	return true
}

// chaosClockRate makes a node's clocks run fast or slow for a while.
func (w *World) chaosClockRate(d *dice) bool {
	node := w.anyNode(d)
	if !w.nodes[node].up {
		return false
	}
	w.RunClock(node, 300+int64(d.intN(2700)))
	w.RunElapsed(node, w.rateWithin(d))
	w.queue.push(event{at: w.after(d.upTo(w.lastMillis())), kind: evClock, node: node, life: w.nodes[node].life})
	w.trace.say(w, node, "clock runs wrong")
	return true
}

// chaosClockBeyond makes a server's lease clock run at a rate that breaks the
// bound. It stays so.
func (w *World) chaosClockBeyond(d *dice) bool {
	s := w.anyServer(d)
	if !s.up() {
		return false
	}
	w.RunElapsed(s.node, trueElapsedRate/10+int64(d.intN(5*trueElapsedRate)))
	w.trace.say(w, s.node, "lease clock beyond its bound")
	return true
}

// rateWithin draws a rate for a lease clock that keeps to the bound.
func (w *World) rateWithin(d *dice) int64 {
	bound := int64(w.opt.Replica.ClockErrorPPM)
	return trueElapsedRate - bound + int64(d.intN(int(2*bound+1)))
}

package replica

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// ErrLease is wrapped by the error of a Config whose times for leases do not fit
// (rule R3).
var ErrLease = errors.New("the lease is longer than the grace allows")

// Check returns an error, which wraps ErrLease and names the numbers, if the times
// for leases do not fit: none is negative, and rule R3 asks for Lease <=
// Grace(1-r)/(1+r), with r = ClockErrorPPM/1e6 below 1.
func (c *Config) Check() error {
	switch {
	case c.Lease < 0 || c.Grace < 0:
	case c.ClockErrorPPM < 0 || c.ClockErrorPPM >= million:
	case c.covers(c.Grace):
		return nil
	}
	return fmt.Errorf("lease %s, grace %s, clock error %d ppm: %w", c.Lease, c.Grace, c.ClockErrorPPM, ErrLease)
}

const million = 1_000_000

// covers tells whether a backup that waits for so long outwaits a lease, even if
// its clock is fast and the primary's slow (rule R3).
func (c *Config) covers(grace time.Duration) bool {
	// In 128 bits, for a message may name any time.
	lh, ll := bits.Mul64(uint64(c.Lease), uint64(million+c.ClockErrorPPM))
	gh, gl := bits.Mul64(uint64(max(grace, 0)), uint64(million-c.ClockErrorPPM))
	return lh < gh || (lh == gh && ll <= gl)
}

// leases is what rule R3 needs to know. Every time in it errs to the safe side
// however late Elapsed is told: a message counts as sent at the time told before
// it was made, as accepted at the time told after, and what was read by lease is
// answered only if the lease still holds at a time told after the reading.
type leases struct {
	now      time.Duration // the latest time told
	accepted bool          // some primary's message was accepted, at the time:
	at       time.Duration
	accepts  bool // one more was, at a time not told yet
}

// Elapsed tells how much time has passed since this server's start, by a clock
// that is never set: rule R3 goes by nothing else. It is to be told before each
// event and again before effects are taken, for what was read by lease waits for
// that. Time that falls is ignored. Without leases and grace nobody need call it.
func (r *Replica) Elapsed(now time.Duration) {
	l := &r.leases
	l.now = max(l.now, now)
	if l.accepts {
		l.accepts = false
		l.accepted, l.at = true, l.now
	}
	if r.isPrimary() && r.view.Backup == "" && r.acknowledged != r.view.Viewnum && r.graceLeft() == 0 {
		r.acknowledged = r.view.Viewnum
		r.Ping()
	}
	r.answerLeased()
	r.check()
}

// accepted notes that a message of the primary's was accepted: from then on this
// server lets Grace pass before it takes over.
func (r *Replica) accepted() { r.leases.accepts = r.cfg.Grace > 0 }

// graceLeft returns for how long this server may not take over yet.
func (r *Replica) graceLeft() time.Duration {
	l := &r.leases
	switch {
	case l.accepts:
		return r.cfg.Grace
	case l.accepted:
		return max(0, l.at+r.cfg.Grace-l.now)
	}
	return 0
}

// acknowledgeAlone acknowledges a view without a backup, unless a primary of an
// earlier one may still read by a lease that this server's answers gave it: then
// pings go on with the last number (rules V2, R3).
func (r *Replica) acknowledgeAlone() {
	if r.graceLeft() > 0 {
		r.note("R3", 0, "does not acknowledge the view yet: another may hold a lease")
		return // Elapsed does it
	}
	r.acknowledged = r.view.Viewnum
}

// sending is when the messages from Seq first on were made, up to the next such.
type sending struct {
	first uint64
	at    time.Duration
}

// maxSendings bounds how many times of sending are told apart; beyond it messages
// count as sent earlier than they were.
const maxSendings = 64

// noteSending notes when a message to the backup is made.
func (r *Replica) noteSending(seq uint64) {
	p := &r.peer
	n := len(p.sendings)
	if r.cfg.Lease == 0 || n >= maxSendings || (n > 0 && p.sendings[n-1].at == r.leases.now) {
		return
	}
	p.sendings = append(p.sendings, sending{seq, r.leases.now})
}

// renew takes the backup's answer to the message with this Seq: the lease counts
// from when that was sent.
func (r *Replica) renew(seq uint64, grace time.Duration) {
	p := &r.peer
	if r.cfg.Lease == 0 {
		return
	}
	p.promised = r.cfg.covers(grace)
	n := 0
	for n+1 < len(p.sendings) && p.sendings[n+1].first <= seq {
		n++
	}
	if n < len(p.sendings) {
		p.sendings = p.sendings[n:]
		p.leased = p.sendings[0].at + r.cfg.Lease
	}
}

// leaseUntil returns until when this primary may read by lease; zero: it may not.
// The view must be acknowledged, or what the backup had of it when it last left one
// might be less than was committed.
func (r *Replica) leaseUntil() time.Duration {
	p := &r.peer
	if r.authority != Joint || r.acknowledged != r.view.Viewnum || !p.promised {
		return 0
	}
	return p.leased
}

func (r *Replica) leaseHolds() bool { return r.leases.now < r.leaseUntil() }

// readByLease reads for a request whose turn it is, if there is a lease (rule R3).
// The value is answered only when a later time told still is within the lease.
func (r *Replica) readByLease(w *read) {
	if !r.leaseHolds() || w.index > r.applied {
		return
	}
	w.leased, w.value = true, r.machine.Read(w.query)
	r.charge(len(w.value))
}

// answerLeased gives the answers that were read by lease, if it still holds, and
// else lets these reads ask the backup like any other (rules R2, R3).
func (r *Replica) answerLeased() {
	if !r.leaseHolds() {
		r.askInstead()
		return
	}
	q := &r.requests
	rest := q.reads[:0]
	for _, w := range q.reads {
		if !w.leased {
			rest = append(rest, w)
			continue
		}
		r.stats.LeasedReads++
		q.waitingBytes -= len(w.query)
		r.give(w.id, w.value)
	}
	clear(q.reads[len(rest):])
	q.reads = rest
	r.leaveIfDrained()
}

// askInstead makes the reads by lease that were not answered yet ordinary ones.
func (r *Replica) askInstead() {
	for i := range r.requests.reads {
		r.unread(&r.requests.reads[i])
	}
}

// unread throws away what was read by lease.
func (r *Replica) unread(w *read) {
	if w.leased {
		r.uncharge(len(w.value))
		w.leased, w.value = false, nil
	}
}

package replica

import "fmt"

// Audit recomputes what the Replica keeps count of, and says what is wrong with
// its books; nil if nothing is.
func (r *Replica) Audit() error {
	q, p := &r.requests, &r.peer
	uncommitted, held := 0, 0
	for index := r.log.base + 1; index <= r.log.last(); index++ {
		e := r.log.at(index)
		held += entrySize(e)
		if index > r.applied {
			uncommitted += entrySize(e)
		}
		if e.Index != index {
			return fmt.Errorf("entry %d stands at %d", e.Index, index)
		}
		if epoch, time := r.log.stamp(index - 1); e.Epoch < epoch || e.Time < time {
			return fmt.Errorf("epoch or time falls at %d", index)
		}
	}
	if r.log.bytes != held {
		return fmt.Errorf("log counts %d bytes and holds %d", r.log.bytes, held)
	}
	if r.isPrimary() && q.uncommittedBytes != uncommitted {
		return fmt.Errorf("counts %d uncommitted bytes, there are %d", q.uncommittedBytes, uncommitted)
	}
	waiting, waiters := 0, 0
	for _, w := range q.parked {
		waiting += len(w.Payload)
	}
	for i, w := range q.reads {
		waiting += len(w.query)
		if i > 0 && (w.seq < q.reads[i-1].seq || w.index < q.reads[i-1].index) {
			return fmt.Errorf("read %d need not wait for what the one before waits for", w.id)
		}
	}
	if q.waitingBytes != waiting {
		return fmt.Errorf("counts %d bytes that wait, there are %d", q.waitingBytes, waiting)
	}
	before := r.applied
	for _, w := range q.inFlight.all() {
		waiters += w.count()
		index := w.index
		if index <= before || index > r.log.last() {
			return fmt.Errorf("request in flight at %d after %d, applied %d, last %d", index, before, r.applied, r.log.last())
		}
		before = index
		if at, ok := q.bySession[w.name]; w.name.session != 0 && (!ok || at != index) {
			return fmt.Errorf("request in flight at %d is not found by its name", index)
		}
	}
	if q.waiters != waiters || len(q.bySession) > q.inFlight.len() {
		return fmt.Errorf("counts %d that wait for entries, there are %d", q.waiters, waiters)
	}
	if !r.isPrimary() && q.inFlight.len()+len(q.reads) > 0 {
		return fmt.Errorf("not the primary, and %d updates and %d reads wait", q.inFlight.len(), len(q.reads))
	}
	if r.authority == Joint && (p.match >= p.next || p.match < r.log.base) {
		return fmt.Errorf("match %d, next %d, base %d", p.match, p.next, r.log.base)
	}
	if p.acknowledged > p.sent || p.rewoundAt > p.sent {
		return fmt.Errorf("sent %d, acknowledged %d, rewound at %d", p.sent, p.acknowledged, p.rewoundAt)
	}
	if t := p.transfer; t != nil && t.offering && t.after < r.log.base {
		return fmt.Errorf("offers a transfer and has trimmed up to %d, not %d", r.log.base, t.after)
	}
	if t := p.transfer; t != nil && !t.offering && (t.index < t.after || t.end < t.index || t.sent < t.taken || t.sent >= t.taken+uint64(len(t.window)) || t.after < r.log.base) {
		return fmt.Errorf("transfer of %d: taken %d, sent %d, window of %d, base %d", t.index, t.taken, t.sent, len(t.window), r.log.base)
	}
	return nil
}

// RetainsConfiguredMachine tells whether the Machine that the Replica was made
// with is still reachable from it other than as its state.
func (r *Replica) RetainsConfiguredMachine() bool { return r.cfg.Machine != nil }

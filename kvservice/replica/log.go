package replica

func entrySize(e Entry) int { return len(e.Payload) + EntryOverhead }

// order gives the payload the next index (rule L1) and a time that never falls,
// and keeps it. It returns the index.
func (r *Replica) order(payload []byte) uint64 {
	last := r.log.last()
	_, floor := r.log.stamp(last)
	e := Entry{
		Epoch:   uint64(r.view.Viewnum),
		Index:   last + 1,
		Time:    max(floor, r.clock+r.offset),
		Payload: payload,
	}
	r.log.add(e)
	r.requests.uncommittedBytes += entrySize(e)
	if t := r.peer.transfer; t != nil {
		t.kept += entrySize(e)
	}
	r.keep(e)
	return e.Index
}

// continueTime lets the log's time go on from its last entry, at the pace of this
// server's clock: servers' clocks differ, and a successor whose clock is ahead
// must not let every session expire at a stroke, nor one whose clock is behind
// make time stand still.
func (r *Replica) continueTime() {
	if _, last := r.log.stamp(r.log.last()); last > 0 {
		r.offset = last - r.clock
	}
}

// keep asks for an entry to be made durable. Until Durable comes back the entry
// counts for nothing.
func (r *Replica) keep(e Entry) {
	if r.out.Keep == nil {
		r.out.Keep = r.spare.record()
		r.out.Keep.Generation = r.generation
	}
	r.out.Keep.Entries = append(r.out.Keep.Entries, e)
	r.out.Keep.Last = e.Index
}

// Durable tells that the log of this generation is durable up to index.
func (r *Replica) Durable(generation, index uint64) {
	if generation != r.generation {
		return
	}
	u := &r.upstream
	if index = min(index, r.log.last()); index > r.durable {
		r.durable = index
		u.forward = u.installed // rule L2: the backup has more than it had said
	}
	u.installDurable = u.installed && r.durable >= u.end
	r.advance()
	r.check()
}

// advance commits what may be committed (rule L3), applies it and serves what
// waited for it.
func (r *Replica) advance() {
	c := r.commit
	switch r.authority {
	case Solo:
		c = max(c, r.durable)
	case Joint:
		c = max(c, min(r.durable, r.peer.match))
	}
	r.commitTo(c)
	r.acknowledgeJoint()
	r.serveReads()
	r.unpark()
	r.leaveIfDrained()
}

// commitTo raises the commit index and applies up to it (rule L4).
func (r *Replica) commitTo(index uint64) {
	if index <= r.commit {
		return
	}
	r.commit = index
	for r.applied < r.commit {
		e := r.log.at(r.applied + 1)
		reply := r.machine.Apply(e)
		r.applied++
		r.answerUpdate(e, reply)
	}
	r.trim()
}

// trim forgets entries that nobody needs: applied here, and either had by the
// backup or not needed for a transfer. Some stay for a server that returns (rule T4).
func (r *Replica) trim() {
	l, floor := &r.log, r.applied
	switch {
	case r.peer.transfer != nil:
		floor = min(floor, r.peer.transfer.after)
	case r.authority == Joint:
		floor = min(floor, r.peer.match)
	}
	// At a primary what is in flight does not count, or under load nothing would
	// stay. (At a backup there is little of it.)
	to, bytes := l.base, l.bytes-r.requests.uncommittedBytes
	for to < floor && (floor-to > uint64(r.cfg.MaxEntriesToRetain) || bytes > r.cfg.MaxBytesToRetain) {
		to++
		bytes -= entrySize(l.at(to))
	}
	if to > l.base {
		l.trim(to)
	}
}

// housekeep orders what the machine wants done of its own accord (rule S4).
func (r *Replica) housekeep() {
	if r.authority == None || r.draining() || !r.roomToOrder(0) {
		return
	}
	_, floor := r.log.stamp(r.log.last())
	if payload := r.machine.Housekeeping(max(floor, r.clock+r.offset)); payload != nil {
		r.order(payload)
	}
}

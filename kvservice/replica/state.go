package replica

import (
	"encoding/binary"
	"hash/fnv"
	"slices"

	"github.com/tandemkv/tandem"
)

// Clone returns an equal and independent Replica, its outbox included. Immutable
// parts (payloads, snapshots) are shared.
func (r *Replica) Clone() *Replica {
	c := *r
	c.machine = r.machine.Clone()
	c.log = r.log.clone()
	c.spare = spare{}
	if r.upstream.staging != nil {
		c.upstream.staging = r.upstream.staging.Clone()
	}
	c.upstream.entries = slices.Clone(r.upstream.entries)
	c.peer.sendings = slices.Clone(r.peer.sendings)
	if t := r.peer.transfer; t != nil {
		u := *t
		u.window = slices.Clone(t.window)
		c.peer.transfer = &u
	}
	c.requests = r.requests.clone()
	c.out = Effects{ // its Ping is made as it is taken
		Messages: slices.Clone(r.out.Messages),
		Replies:  slices.Clone(r.out.Replies),
		Departed: r.out.Departed,
	}
	if r.out.Keep != nil {
		k := *r.out.Keep
		k.Entries = slices.Clone(r.out.Keep.Entries)
		c.out.Keep = &k
	}
	return &c
}

func (q *requests) clone() requests {
	c := *q
	c.inFlight = q.inFlight.clone()
	c.bySession = make(map[requestName]uint64, len(q.bySession))
	// order does not matter: each key is copied on its own
	for name, index := range q.bySession {
		c.bySession[name] = index
	}
	c.reads = slices.Clone(q.reads)
	c.parked = slices.Clone(q.parked)
	return c
}

// Equal tells whether two replicas are in the same state, as AppendState counts
// sameness.
func (r *Replica) Equal(o *Replica) bool {
	return slices.Equal(r.AppendState(nil), o.AppendState(nil))
}

// Hash returns a hash of AppendState.
func (r *Replica) Hash() uint64 {
	h := fnv.New64a()
	h.Write(r.AppendState(nil))
	return h.Sum64()
}

// AppendState appends a canonical encoding of the state: the same for states
// that behave alike. What only ever grows (pings, message numbers, generations,
// statistics) counts by its differences or not at all, and untaken effects do
// not count.
func (r *Replica) AppendState(b []byte) []byte {
	e := encoder{b}
	e.server(r.cfg.Self)
	e.view(r.view)
	e.uints(uint64(r.authority), uint64(r.acknowledged), r.soloBarrier)
	e.bools(r.activated, r.ackedWithBackup, r.leaving, r.leftWith != 0, r.held, r.pingNow)
	e.uints(r.log.base, r.log.baseEpoch, uint64(r.log.baseTime))
	e.entries(r.log.held())
	_, floor := r.log.stamp(r.log.last())
	e.uints(r.commit, r.applied, r.durable, uint64(r.pingIn), uint64(max(floor, r.clock+r.offset)), uint64(r.offset), uint64(r.requests.answerBytes), uint64(r.requests.portion))

	p := &r.peer
	e.uints(p.match, p.next, p.sent-p.acknowledged, max(p.rewoundAt, p.acknowledged)-p.acknowledged)
	e.uints(uint64(p.idle), uint64(p.quiet), uint64(p.resendIn), uint64(p.resends))
	e.bools(p.lost, p.probe, p.unreachable, p.transfer != nil)
	if t := p.transfer; t != nil {
		e.bools(t.offering, t.offered, t.snapshot != nil)
		if t.snapshot != nil {
			e.snapshot(t.snapshot, r.cfg.ChunkBytes)
		}
		e.uints(t.after, t.index, t.end, uint64(t.lap), t.taken, t.sent, uint64(t.size), uint64(t.took), uint64(t.kept), uint64(len(t.window)))
		for i := range t.window { // positions in a snapshot follow from the numbers
			e.uints(t.window[i].after)
			e.bools(t.window[i].done)
		}
	}

	u := &r.upstream
	e.bools(u.installed, u.installDurable, u.chunk, u.forward, u.gap != 0, u.staging != nil, u.offer, u.told, u.delta)
	e.uints(u.snapIndex, u.end, u.chunks, uint64(u.sum))
	e.entries(u.entries)
	r.appendLeases(&e)
	if u.staging != nil {
		e.bytes(u.staging.AppendState(nil))
	}

	q := &r.requests
	e.uints(uint64(q.inFlight.len()))
	for _, w := range q.inFlight.all() {
		e.uints(w.index, w.name.session, w.name.number, uint64(w.count()))
		for id := range w.ids() {
			e.uints(id)
		}
	}
	e.uints(uint64(len(q.reads)))
	for _, w := range q.reads {
		// A number already acknowledged is as good as any other such.
		e.uints(w.id, w.index, max(w.seq, p.acknowledged)-p.acknowledged)
		e.bytes(w.query)
		e.bools(w.leased)
		e.bytes(w.value)
	}
	e.uints(uint64(len(q.parked)))
	for _, w := range q.parked {
		e.uints(w.ID, uint64(w.Kind), w.Session, w.Number, uint64(w.ticks), uint64(w.Viewnum), w.Cluster)
		e.bytes(w.Payload)
	}
	return r.machine.AppendState(e.b)
}

// appendLeases appends what is left of leases and grace, not what the clock shows.
func (r *Replica) appendLeases(e *encoder) {
	p := &r.peer
	e.bools(p.promised, r.leases.accepts)
	e.uints(uint64(r.graceLeft()), uint64(max(0, p.leased-r.leases.now)))
	// An answer to a message that is older than a lease is as good as none.
	e.uints(uint64(len(p.sendings)))
	for _, s := range p.sendings {
		e.uints(max(s.first, p.acknowledged)-p.acknowledged, uint64(max(0, s.at+r.cfg.Lease-r.leases.now)))
	}
}

// encoder appends values so that different sequences give different bytes.
type encoder struct{ b []byte }

func (e *encoder) uints(vs ...uint64) {
	for _, v := range vs {
		e.b = binary.AppendUvarint(e.b, v)
	}
}

func (e *encoder) bools(vs ...bool) {
	for _, v := range vs {
		if v {
			e.b = append(e.b, 1)
		} else {
			e.b = append(e.b, 0)
		}
	}
}

func (e *encoder) bytes(v []byte) {
	e.uints(uint64(len(v)))
	e.b = append(e.b, v...)
}

func (e *encoder) entries(entries []Entry) {
	e.uints(uint64(len(entries)))
	for _, entry := range entries {
		e.uints(entry.Epoch, uint64(entry.Time))
		e.bytes(entry.Payload)
	}
}

func (e *encoder) snapshot(s Snapshot, max int) {
	chunk, next := s.Chunk(nil, max)
	for e.bytes(chunk); next != nil; e.bytes(chunk) {
		chunk, next = s.Chunk(next, max)
	}
	e.uints(0)
}

func (e *encoder) server(s tandem.Server) {
	e.bytes([]byte(s.Addr))
	e.uints(s.Incarnation)
}

func (e *encoder) view(v tandem.View) {
	e.uints(uint64(v.Viewnum), v.Cluster, uint64(v.Group))
	e.server(v.PrimaryServer())
	e.server(v.BackupServer())
}

package replica

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A transfer of the missing entries (rule T4): what a backup lacks, in place of the
// whole state.

// offer makes the transfer begin with the question what the backup holds (rule T4).
// Until it is answered the log keeps all it has, and rule T5 bounds what is added.
func (r *Replica) offer() {
	r.peer.transfer = &transfer{offering: true, after: r.log.base}
	r.note("T4", r.applied, "offers a transfer")
}

func (r *Replica) sendOffer() {
	if t := r.peer.transfer; !t.offered {
		t.offered = true
		r.out.Messages = append(r.out.Messages, r.message(Offer))
	}
}

// decideTransfer takes what the backup says it holds (rule T4). The first answer
// decides, and one is as good as another: a backup's commit index does not move
// until it has installed a transfer of this epoch, so all that it says of it in
// this epoch is the same, however late it comes. An answer that contradicts the
// delta is the backup's refusal of it: then everything is sent.
func (r *Replica) decideTransfer(m Message) {
	t := r.peer.transfer
	switch {
	case t == nil:
		return
	case t.offering:
		if r.holdsAfter(m.DeltaIndex, m.DeltaEpoch) {
			r.sendMissing(m.DeltaIndex)
			r.note("T4", m.DeltaIndex, "begins a transfer of the missing entries")
		} else {
			r.sendWhole()
			r.note("T1", r.applied, "begins a transfer")
		}
	case t.snapshot == nil && !r.follows(m.DeltaIndex, m.DeltaEpoch):
		r.sendWhole()
		r.note("T4", m.DeltaIndex, "the backup cannot use the missing entries: begins anew with everything")
	default:
		return
	}
	r.peer.progressed()
}

// holdsAfter tells whether everything is held that a backup lacks which has committed
// the log up to an entry of that epoch. Otherwise it has to be sent everything: it holds
// nothing, or what it lacks is not held here any more, or its log is another one.
func (r *Replica) holdsAfter(index, epoch uint64) bool {
	if index == 0 || index < r.log.base || index > r.applied {
		return false
	}
	own, _ := r.log.stamp(index)
	return own == epoch
}

// follows tells whether the entries under way follow that entry.
func (r *Replica) follows(index, epoch uint64) bool {
	own, _ := r.log.stamp(r.peer.transfer.after)
	return index == r.peer.transfer.after && epoch == own
}

// sendMissing makes the transfer one of the entries after an index, at first as far as
// they are applied.
func (r *Replica) sendMissing(after uint64) {
	missing := r.log.bytesAfter(after)
	r.peer.transfer = &transfer{
		after:  after,
		size:   missing,
		lap:    missing,
		window: []chunkStart{{beyond: true, after: after}},
	}
	r.asOfApplied()
	r.stats.Deltas++
}

func sumEntries(sum uint32, entries []Entry) uint32 {
	for _, e := range entries {
		var b []byte
		for _, v := range []uint64{e.Epoch, e.Index, uint64(e.Time), uint64(len(e.Payload))} {
			b = binary.AppendUvarint(b, v)
		}
		sum = crc32.Update(sum, castagnoli, b)
		sum = crc32.Update(sum, castagnoli, e.Payload)
	}
	return sum
}

// takeOffer has it answered what this server holds (rule T4), or, when a transfer of
// this epoch is installed already, that it is (rule T3).
func (r *Replica) takeOffer(m Message) {
	u := &r.upstream
	u.seen = max(u.seen, m.Seq)
	if u.installed {
		u.chunk = true
		r.note("T3", m.SnapIndex, "an offer after the installation: answered again")
		return
	}
	u.offer = true
}

// takeDelta takes a chunk of the missing entries (rule T4). One that comes late,
// when the primary has turned to sending everything, is passed over.
func (r *Replica) takeDelta(m Message) {
	u := &r.upstream
	if u.staging != nil && !u.delta {
		return
	}
	epoch, time := r.log.stamp(r.commit)
	if !u.told || m.DeltaIndex != r.commit || m.DeltaEpoch != epoch {
		r.throwDelta(m, "they do not follow what is committed here")
		u.offer = true // what does follow
		return
	}
	if u.staging == nil {
		u.begin(r.machine.Clone(), m.SnapIndex)
		u.delta = true
		u.end, u.endEpoch, u.endTime = r.commit, epoch, time
	}
	if m.SnapIndex != u.snapIndex || m.ChunkNumber != u.chunks {
		return // repeated, or ahead of what is missing
	}
	if !u.stage(m.Entries) {
		r.throwDelta(m, "they are not a run of entries")
		return
	}
	r.compare(m.Entries)
	u.entries = append(u.entries, m.Entries...)
	u.chunks++
	switch {
	case !m.ChunkLast:
	case u.sum != m.ChunkSum || u.end < m.SnapIndex:
		r.throwDelta(m, "they did not arrive whole")
	default:
		r.installDelta()
	}
}

// compare checks that entries are what this server holds of the same epochs.
func (r *Replica) compare(entries []Entry) {
	for _, e := range entries {
		if own, ok := r.Entry(e.Index); ok && own.Epoch == e.Epoch && !bytes.Equal(own.Payload, e.Payload) {
			r.broken("I5", "two entries %d of epoch %d differ", e.Index, e.Epoch)
		}
	}
}

// throwDelta throws away what has come, so that the primary starts over.
func (r *Replica) throwDelta(m Message, why string) {
	r.upstream.discard()
	r.note("T4", m.SnapIndex, "threw the missing entries away: "+why)
}

// installDelta replaces the log above what is committed by the missing entries, at
// once: they were committed when they were sent. What this server held above may be
// what nobody committed, and none of it is kept unless it is among them.
func (r *Replica) installDelta() {
	u := &r.upstream
	r.log.cut(r.commit)
	for _, e := range u.entries {
		r.log.add(e)
	}
	r.durable = min(r.durable, r.commit)
	r.generation++
	// Nothing else waits to be kept: that went out with what this server said it
	// holds, and it has taken no entry since.
	r.out.Keep = &Record{Generation: r.generation, Cut: true, Base: r.commit, Entries: u.entries, Last: u.end}
	r.machine = u.staging
	r.commit, r.applied = u.end, u.end
	u.discard()
	u.installed = true
	u.installDurable = false
	r.held = true
	r.stats.Installs++
	r.stats.DeltaInstalls++
	r.note("T4", u.end, "installed the missing entries")
	if r.log.last() != u.end {
		r.broken("I12", "installed entries up to %d, and the log ends at %d", u.end, r.log.last())
	}
	r.trim()
}

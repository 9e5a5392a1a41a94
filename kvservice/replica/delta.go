package replica

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// delta is the entries that a backup lacks, in place of the whole state (rule T4).
// It is immutable: what the log trims meanwhile is not missing here.
type delta struct {
	index   uint64 // the backup's commit index, which they follow
	epoch   uint64 // of the entry there
	entries []Entry
}

// offer makes the transfer begin with the question what the backup holds (rule T4).
// Until it is answered the log keeps all it has, and rule T5 bounds what is added.
func (r *Replica) offer() {
	r.peer.transfer = &transfer{offering: true, index: r.log.base}
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
		r.peer.transfer = &transfer{delta: r.missing(m.DeltaIndex, m.DeltaEpoch)}
		if r.peer.transfer.delta == nil {
			r.sendWhole()
			r.note("T1", r.applied, "begins a transfer")
			break
		}
		r.asOfApplied()
		r.stats.Deltas++
		r.note("T4", m.DeltaIndex, "begins a transfer of the missing entries")
	case t.delta != nil && (m.DeltaIndex != t.delta.index || m.DeltaEpoch != t.delta.epoch):
		r.sendWhole()
		r.note("T4", m.DeltaIndex, "the backup cannot use the missing entries: begins anew with everything")
	default:
		return
	}
	r.peer.progressed()
}

// missing returns what a backup lacks that has committed the log up to an entry of
// that epoch, or nil if it has to be sent everything: it holds nothing, or what
// it lacks is not held here any more, or its log is another one.
func (r *Replica) missing(index, epoch uint64) *delta {
	if index == 0 || index < r.log.base || index > r.applied {
		return nil
	}
	if own, _ := r.log.stamp(index); own != epoch {
		return nil
	}
	return &delta{index, epoch, r.log.between(index, r.applied)}
}

// fill puts the entries of the chunk that starts there into a message, and returns
// where the next one does.
func (d *delta) fill(m *Message, at *chunkStart, max int) chunkStart {
	end := at.entry
	at.size = 0
	for end < len(d.entries) && (at.size == 0 || at.size+entrySize(d.entries[end]) <= max) {
		at.size += entrySize(d.entries[end])
		end++
	}
	m.Delta, m.DeltaIndex, m.DeltaEpoch = true, d.index, d.epoch
	m.Entries = d.entries[at.entry:end:end]
	return chunkStart{entry: end, sum: sumEntries(at.sum, m.Entries), done: end == len(d.entries)}
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
	if u.staging != nil {
		return
	}
	if epoch, _ := r.log.stamp(r.commit); !u.told || m.DeltaIndex != r.commit || m.DeltaEpoch != epoch {
		r.throwDelta(m, "they do not follow what is committed here")
		u.offer = true // what does follow
		return
	}
	if u.chunks == 0 {
		u.delta, u.snapIndex, u.sum = true, m.SnapIndex, 0
	}
	if m.SnapIndex != u.snapIndex || m.ChunkNumber != u.chunks {
		return // repeated, or ahead of what is missing
	}
	for i, e := range m.Entries {
		if e.Index != r.commit+uint64(len(u.entries)+i)+1 {
			r.throwDelta(m, "they are not a run of entries")
			return
		}
	}
	u.entries = append(u.entries, m.Entries...)
	u.sum = sumEntries(u.sum, m.Entries)
	u.chunks++
	switch {
	case !m.ChunkLast:
	case u.sum != m.ChunkSum || r.commit+uint64(len(u.entries)) != m.SnapIndex:
		r.throwDelta(m, "they did not arrive whole")
	default:
		r.installDelta(m)
	}
}

// throwDelta throws away what has come, so that the primary starts over.
func (r *Replica) throwDelta(m Message, why string) {
	u := &r.upstream
	u.entries, u.chunks = nil, 0
	r.note("T4", m.SnapIndex, "threw the missing entries away: "+why)
}

// installDelta replaces the log above what is committed by the missing entries, at
// once, and commits them: they were when they were sent. What this server held
// above may be what nobody committed, and none of it is kept unless it is among
// them.
func (r *Replica) installDelta(m Message) {
	u := &r.upstream
	for _, e := range u.entries {
		if own, ok := r.Entry(e.Index); ok && own.Epoch == e.Epoch && !bytes.Equal(own.Payload, e.Payload) {
			r.broken("I5", "two entries %d of epoch %d differ", e.Index, e.Epoch)
		}
	}
	r.log.cut(r.commit)
	for _, e := range u.entries {
		r.log.add(e)
	}
	r.durable = min(r.durable, r.commit)
	r.generation++
	// Nothing else waits to be kept: that went out with what this server said it
	// holds, and it has taken no entry since.
	r.out.Keep = &Record{Generation: r.generation, Cut: true, Base: r.commit, Entries: u.entries, Last: m.SnapIndex}
	u.entries = nil
	u.installed = true
	u.installDurable = false
	r.held = true
	r.stats.Installs++
	r.stats.DeltaInstalls++
	r.note("T4", m.SnapIndex, "installed the missing entries")
	r.commitTo(m.SnapIndex)
	if r.applied != m.SnapIndex {
		r.broken("I12", "installed entries up to %d and applied %d", m.SnapIndex, r.applied)
	}
}

package replica

import (
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
)

// transfer is what brings a new backup up to date: the whole state and what was
// ordered while that was sent (rule T1), or only the entries that it lacks (rule T4).
// There is one in each epoch, and while it is offering, that is not decided.
//
//	taken <= sent < taken + len(window),  after <= index <= end
type transfer struct {
	offering bool
	offered  bool // the Offer was sent; false again when it is to be sent again

	snapshot Snapshot // as of after (rule T2); nil: only entries are sent
	after    uint64   // the log keeps what follows
	index    uint64   // it includes the log at least up to here
	epoch    uint64   // of the entry there
	time     int64
	end      uint64 // it includes the log up to here, as far as is decided (stretch)
	lap      int    // bytes of the entries that it was last stretched by

	taken uint64 // chunks that the backup holds
	sent  uint64 // chunks sent, or sent again
	// window holds where the chunks from taken on start, as far as known, which
	// is one beyond the last that was ever sent; the chunks themselves are made
	// anew when they are sent again.
	window []chunkStart
	size   int // bytes of all chunks, about, but for kept
	took   int // of them, and of kept, in chunks that the backup holds
	kept   int // bytes ordered since it began, kept until the backup has everything
}

// chunkStart is where a chunk starts: the position in the snapshot, or beyond that
// the index that its entries follow; and the sum over all bytes before it.
type chunkStart struct {
	pos    []byte
	beyond bool
	after  uint64
	sum    uint32
	size   int  // of the chunk; 0 until it has been made
	done   bool // there is no such chunk
}

// chunkPortion is how many bytes of chunks are made at a time, about: clients'
// requests wait meanwhile.
const chunkPortion = 128 << 10

// room is rule T5: up to half the bound writes are free. Of the other half there is as
// large a share as the backup has taken in of the transfer: so it lasts until the
// transfer is done, however long that takes.
func (t *transfer) room(size, bound int) bool {
	kept, half := t.kept+size, bound/2
	return kept <= half || kept-half <= portion(bound-half, t.took, t.size+kept)
}

// portion returns a*part/whole, and not more than a.
func portion(a, part, whole int) int {
	if part >= whole {
		return a
	}
	high, low := bits.Mul64(uint64(a), uint64(part))
	q, _ := bits.Div64(high, low, uint64(whole))
	return int(q)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// startTransfer begins to bring the backup up to date.
func (r *Replica) startTransfer() {
	r.stats.Transfers++
	if !r.cfg.WholeTransfers {
		r.offer()
		return
	}
	r.sendWhole()
	r.note("T1", r.applied, "begins a transfer")
}

// sendWhole makes the transfer one of the whole state: a snapshot of what is applied.
// Most of what is ordered meanwhile follows in it, and the rest as forwards.
func (r *Replica) sendWhole() {
	snapshot := r.machine.Snapshot()
	r.peer.transfer = &transfer{
		snapshot: snapshot,
		size:     snapshot.Size(),
		after:    r.applied,
		lap:      math.MaxInt, // however much is ordered meanwhile
		window:   []chunkStart{{}},
	}
	r.asOfApplied()
}

// asOfApplied sets what the transfer includes: the log as far as it is applied.
func (r *Replica) asOfApplied() {
	t := r.peer.transfer
	t.index, t.end = r.applied, r.applied
	t.epoch, t.time = r.log.stamp(r.applied)
}

// sendChunks sends chunks as far as the window goes, and not too many at a time.
func (r *Replica) sendChunks() {
	t := r.peer.transfer
	if t == nil {
		return
	}
	if t.offering {
		r.sendOffer()
		return
	}
	for made := 0; made < chunkPortion && t.sent < t.taken+uint64(r.cfg.ChunkWindow); {
		i := int(t.sent - t.taken)
		if t.window[i].done {
			return
		}
		m := r.message(Chunk)
		m.ChunkNumber = t.sent
		m.SnapIndex, m.SnapEpoch, m.SnapTime = t.index, t.epoch, t.time
		r.fillChunk(&m, i)
		if next := &t.window[i+1]; next.done {
			m.ChunkLast, m.ChunkSum = true, next.sum
		}
		r.out.Messages = append(r.out.Messages, m)
		t.sent++
		made += t.window[i].size
	}
}

// fillChunk puts the chunk at a place in the window into a message, and sees to it
// that the window tells where the next one starts. One that is made anew is as it was.
func (r *Replica) fillChunk(m *Message, i int) {
	t := r.peer.transfer
	at := &t.window[i]
	next := chunkStart{beyond: true}
	if at.beyond {
		r.fillEntries(m, i)
		at.size = bytesOf(m.Entries)
		next.after = at.after + uint64(len(m.Entries))
		next.sum = sumEntries(at.sum, m.Entries)
	} else {
		m.Data, next.pos = t.snapshot.Chunk(at.pos, r.cfg.ChunkBytes)
		at.size = len(m.Data)
		next.beyond, next.after = next.pos == nil, t.after
		next.sum = crc32.Update(at.sum, castagnoli, m.Data)
	}
	if i == len(t.window)-1 {
		next.done = next.beyond && next.after == t.end && !r.stretch()
		t.window = append(t.window, next)
	}
}

// fillEntries puts entries into a chunk: up to where the next is known to start, or as
// many as fit.
func (r *Replica) fillEntries(m *Message, i int) {
	t := r.peer.transfer
	after, end := t.window[i].after, t.end
	if i < len(t.window)-1 {
		end = t.window[i+1].after
	}
	if m.Entries = r.log.between(after, end, r.cfg.ChunkBytes); t.snapshot == nil {
		m.Delta, m.DeltaIndex = true, t.after
		m.DeltaEpoch, _ = r.log.stamp(t.after)
	}
}

// stretch lets the transfer go on to what was committed while it was under way, if
// that is more than the backup takes in before anybody notices: from the installation
// on, commits wait for it (rule A4). Each lap has to be shorter than the one before,
// or the transfer of a backup that is not faster than the clients would never end.
func (r *Replica) stretch() bool {
	t := r.peer.transfer
	lap := r.log.bytesAfter(t.end) - r.log.bytesAfter(r.applied)
	if lap <= r.cfg.TransferRestBytes || lap > t.lap/4*3 {
		return false
	}
	t.end, t.lap = r.applied, lap
	r.note("T1", t.end, "the transfer goes on to what was committed meanwhile")
	return true
}

// chunkTaken takes the backup's count of chunks. A newest answer with a lower
// count means that the backup threw the transfer away.
func (r *Replica) chunkTaken(m Message, newest bool) {
	t := r.peer.transfer
	if t == nil || t.offering || m.SnapIndex != t.index || m.Delta != (t.snapshot == nil) {
		return
	}
	n := m.ChunkNumber
	switch {
	case n >= t.taken+uint64(len(t.window)):
		return // never sent
	case n > t.taken:
		for _, c := range t.window[:n-t.taken] {
			t.took += c.size
		}
		t.window = slices.Clone(t.window[n-t.taken:])
		t.taken = n
		t.sent = max(t.sent, n) // a resend may have gone back behind it
		r.peer.progressed()
	case n < t.taken && newest:
		t.taken, t.sent, t.took = 0, 0, 0
		t.window = []chunkStart{{beyond: t.snapshot == nil, after: t.after}}
	}
}

// installed is the first half of rule A4: from here on a commit needs the backup.
func (r *Replica) installed(m Message) {
	t := r.peer.transfer
	if t == nil || t.offering || r.authority != Solo || m.Index < t.index {
		return
	}
	r.peer.transfer = nil
	r.peer.match = m.Index
	r.peer.next = m.Index + 1
	r.peer.progressed()
	r.authority = Joint
	r.stats.TransfersDone++
	r.note("A4", m.Index, "joint: the backup has installed the transfer")
}

package replica

import (
	"hash/crc32"
	"slices"
)

// transfer is what brings a new backup up to date: the whole state (rule T1), or the
// entries that it lacks (rule T4). There is one in each epoch, and while it is
// offering, that is not decided.
//
//	taken <= sent < taken + len(window)
type transfer struct {
	offering bool
	offered  bool // the Offer was sent; false again when it is to be sent again

	snapshot Snapshot // as of index (rule T2)
	delta    *delta   // or the entries up to index
	index    uint64   // while offering, of the last entry that need not be kept
	epoch    uint64
	time     int64

	taken uint64 // chunks that the backup holds
	sent  uint64 // chunks sent, or sent again
	// window holds where the chunks from taken on start, as far as known, which
	// is one beyond the last that was ever sent; the chunks themselves are made
	// anew when they are sent again.
	window []chunkStart
	kept   int // bytes ordered since the snapshot, kept until the backup has them
	credit int // bytes that may still be ordered beyond half the bound (rule T5)
}

// chunkStart is where a chunk starts: the position in the snapshot, or the number of
// the entry, and the sum over all bytes before it. done: there is no such chunk.
type chunkStart struct {
	pos   []byte
	entry int
	sum   uint32
	size  int // of the chunk; 0 until it has been made
	done  bool
}

// keep counts an entry that was ordered while the transfer runs.
func (t *transfer) keep(size, free int) {
	t.kept += size
	if t.kept > free {
		t.credit -= size
	}
}

// room is rule T5: up to half the bound writes are free; from there to the bound
// they are slowed to what the backup takes in.
func (t *transfer) room(size, bound int) bool {
	kept := t.kept + size
	return kept <= bound/2 || (kept <= bound && t.credit >= size)
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

// sendWhole makes the transfer one of the whole state. The snapshot holds what is
// applied; whatever follows in the log is forwarded after it.
func (r *Replica) sendWhole() {
	r.peer.transfer = &transfer{snapshot: r.machine.Snapshot()}
	r.asOfApplied()
}

// asOfApplied sets what the transfer includes: the log as far as it is applied.
func (r *Replica) asOfApplied() {
	t := r.peer.transfer
	t.index = r.applied
	t.epoch, t.time = r.log.stamp(r.applied)
	t.window = []chunkStart{{}}
}

// sendChunks sends chunks as far as the window goes.
func (r *Replica) sendChunks() {
	t := r.peer.transfer
	if t == nil {
		return
	}
	if t.offering {
		r.sendOffer()
		return
	}
	for t.sent < t.taken+uint64(r.cfg.ChunkWindow) {
		at := &t.window[t.sent-t.taken]
		if at.done {
			return
		}
		m := r.message(Chunk)
		m.ChunkNumber = t.sent
		m.SnapIndex, m.SnapEpoch, m.SnapTime = t.index, t.epoch, t.time
		next := t.fill(&m, at, r.cfg.ChunkBytes)
		if int(t.sent-t.taken) == len(t.window)-1 {
			t.window = append(t.window, next)
		}
		if m.ChunkLast = next.done; m.ChunkLast {
			m.ChunkSum = next.sum
		}
		r.out.Messages = append(r.out.Messages, m)
		t.sent++
	}
}

// fill puts into a message the chunk that starts there, and returns where the next
// one does.
func (t *transfer) fill(m *Message, at *chunkStart, bytes int) chunkStart {
	if t.delta != nil {
		return t.delta.fill(m, at, bytes)
	}
	data, next := t.snapshot.Chunk(at.pos, bytes)
	m.Data = data
	at.size = len(data)
	return chunkStart{pos: next, sum: crc32.Update(at.sum, castagnoli, data), done: next == nil}
}

// chunkTaken takes the backup's count of chunks. A newest answer with a lower
// count means that the backup threw the transfer away.
func (r *Replica) chunkTaken(m Message, newest bool) {
	t := r.peer.transfer
	if t == nil || t.offering || m.SnapIndex != t.index || m.Delta != (t.delta != nil) {
		return
	}
	n := m.ChunkNumber
	switch {
	case n >= t.taken+uint64(len(t.window)):
		return // never sent
	case n > t.taken:
		for _, c := range t.window[:n-t.taken] {
			t.credit += c.size
		}
		t.window = slices.Clone(t.window[n-t.taken:])
		t.taken = n
		t.sent = max(t.sent, n) // a resend may have gone back behind it
		r.peer.progressed()
	case n < t.taken && newest:
		t.taken, t.sent = 0, 0
		t.window = []chunkStart{{}}
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

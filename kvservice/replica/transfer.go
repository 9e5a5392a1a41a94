package replica

import (
	"hash/crc32"
	"slices"
)

// transfer is the sending of the whole state to a new backup (rule T1).
//
//	taken <= sent < taken + len(window)
type transfer struct {
	snapshot Snapshot // as of index (rule T2)
	index    uint64
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

// chunkStart is where a chunk starts: the position in the snapshot, and the sum
// over all bytes before it. done: there is no such chunk.
type chunkStart struct {
	pos  []byte
	sum  uint32
	size int // of the chunk; 0 until it has been made
	done bool
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

// startTransfer begins to bring the backup up to date. The snapshot holds what
// is applied; whatever follows in the log is forwarded after it.
func (r *Replica) startTransfer() {
	epoch, time := r.log.stamp(r.applied)
	r.peer.transfer = &transfer{
		snapshot: r.machine.Snapshot(),
		index:    r.applied,
		epoch:    epoch,
		time:     time,
		window:   []chunkStart{{}},
	}
	r.stats.Transfers++
	r.note("T1", r.applied, "begins a transfer")
}

// sendChunks sends chunks as far as the window goes.
func (r *Replica) sendChunks() {
	t := r.peer.transfer
	if t == nil {
		return
	}
	for t.sent < t.taken+uint64(r.cfg.ChunkWindow) {
		at := &t.window[t.sent-t.taken]
		if at.done {
			return
		}
		data, next := t.snapshot.Chunk(at.pos, r.cfg.ChunkBytes)
		at.size = len(data)
		sum := crc32.Update(at.sum, castagnoli, data)
		if int(t.sent-t.taken) == len(t.window)-1 {
			t.window = append(t.window, chunkStart{pos: next, sum: sum, done: next == nil})
		}
		m := r.message(Chunk)
		m.ChunkNumber = t.sent
		m.ChunkLast = next == nil
		m.SnapIndex, m.SnapEpoch, m.SnapTime = t.index, t.epoch, t.time
		m.Data = data
		if m.ChunkLast {
			m.ChunkSum = sum
		}
		r.out.Messages = append(r.out.Messages, m)
		t.sent++
	}
}

// chunkTaken takes the backup's count of chunks. A newest answer with a lower
// count means that the backup threw the transfer away.
func (r *Replica) chunkTaken(m Message, newest bool) {
	t := r.peer.transfer
	if t == nil || m.SnapIndex != t.index {
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
	if t == nil || r.authority != Solo || m.Index < t.index {
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

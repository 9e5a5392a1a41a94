package store

import (
	"encoding/binary"
	"fmt"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// A snapshot's chunks hold items, each after a byte that says which: one
// header, the sessions in the order of their ids, the pairs in the order of
// their keys, one end.
const (
	itemHeader  = 'h'
	itemSession = 's'
	itemPair    = 'p'
	itemEnd     = 'e'
)

// Snapshot is a store's replicated state at one index. It is immutable and safe
// for concurrent use, also while the store it was taken from changes.
type Snapshot struct {
	data     *tree
	sessions rows
	live     int // of the sessions
	index    uint64
	time     int64
	bytes    uint64 // of pairs and stored replies
}

var _ replica.Snapshot = (*Snapshot)(nil)

// Snapshot implements replica.Machine (rule T2). Of the data it is O(1): the tree is
// shared, and copied where it changes from now on. The session table, which is small
// and changes with every entry, is copied: 65,536 sessions are some 4 MB.
func (s *Store) Snapshot() replica.Snapshot {
	v := s.view()
	v.data, v.sessions = v.data.Copy(), v.sessions.copy()
	return v
}

// view is a snapshot for as long as the store does not change.
func (s *Store) view() *Snapshot {
	return &Snapshot{
		data:     s.data,
		sessions: s.sessions.rows,
		live:     s.sessions.len(),
		index:    s.index,
		time:     s.time,
		bytes:    s.bytes + s.sessions.replyBytes,
	}
}

// position names the item that a chunk begins after: its kind and its id or
// key. Kind zero is before the first.
type position struct {
	kind byte
	id   uint64
	key  string
}

func (p position) encode() []byte {
	b := []byte{p.kind}
	switch p.kind {
	case itemSession:
		b = binary.AppendUvarint(b, p.id)
	case itemPair:
		b = append(b, p.key...)
	}
	return b
}

func decodePosition(b []byte) position {
	if b == nil {
		return position{}
	}
	r := reader{b: b}
	p := position{kind: r.byte()}
	switch p.kind {
	case itemHeader:
	case itemSession:
		p.id = r.uvarint()
	case itemPair:
		p.key, r.b = string(r.b), nil
	default:
		r.fail(fmt.Errorf("is after an item %q", p.kind))
	}
	if err := r.done(); err != nil {
		panic(&tandem.InvariantError{Invariant: "ChunkPosition", Detail: fmt.Sprintf("position %q %v", b, err)})
	}
	return p
}

// Chunk implements replica.Snapshot. A position means the same to any snapshot
// of the same state, here or elsewhere. Chunk panics at a position that is none.
func (v *Snapshot) Chunk(pos []byte, limit int) (chunk, next []byte) {
	w := chunkWriter{max: max(limit, 0), at: decodePosition(pos)}
	w.b = append(make([]byte, 0, v.room(limit)), version, tagChunk)
	if v.write(&w) {
		return w.b, nil
	}
	return w.b, w.at.encode()
}

// Size implements replica.Snapshot.
func (v *Snapshot) Size() int {
	const perPair, perSession = 5, 24 // bytes beside the pair and the reply, mostly
	return int(v.bytes) + perPair*v.data.Len() + perSession*v.live
}

// room returns how many bytes a chunk is likely to take, so that its buffer is
// allocated once.
func (v *Snapshot) room(limit int) int {
	const perItem = 32 // more than an item has beside its pair or reply, mostly
	items := uint64(v.data.Len()+v.live) + 2
	return int(min(v.bytes+perItem*items, uint64(max(limit, perItem))))
}

// chunkWriter fills one chunk.
type chunkWriter struct {
	b     []byte
	max   int
	at    position // of the last item added
	items int
}

// fits reports whether an item of a size can be added. One always can.
func (w *chunkWriter) fits(size int) bool {
	return w.items == 0 || size <= w.max-len(w.b)
}

func (w *chunkWriter) added(at position) {
	w.at = at
	w.items++
}

// write adds what follows w.at. It returns false if the chunk is full before
// the end has been added.
func (v *Snapshot) write(w *chunkWriter) bool {
	if w.at.kind == 0 {
		v.writeHeader(w)
	}
	if w.at.kind != itemPair && !v.writeSessions(w) || !v.writePairs(w) || !w.fits(1) {
		return false
	}
	w.b = append(w.b, itemEnd)
	return true
}

func (v *Snapshot) writeHeader(w *chunkWriter) {
	w.b = append(w.b, itemHeader)
	w.b = binary.AppendUvarint(w.b, v.index)
	w.b = binary.AppendVarint(w.b, v.time)
	w.b = binary.AppendUvarint(w.b, uint64(v.live))
	w.b = binary.AppendUvarint(w.b, uint64(v.data.Len()))
	w.added(position{kind: itemHeader})
}

func (v *Snapshot) writeSessions(w *chunkWriter) bool {
	from, _ := v.sessions.find(w.at.id + 1) // ids are from 1
	for i := range v.sessions[from:] {
		s := &v.sessions[from+i]
		if s.removed() {
			continue
		}
		if !w.fits(sessionSizeMax + len(s.Reply)) {
			return false
		}
		w.b = append(w.b, itemSession)
		w.b = binary.AppendUvarint(w.b, s.ID)
		w.b = binary.AppendUvarint(w.b, s.Number)
		w.b = binary.AppendUvarint(w.b, s.UsedIndex)
		w.b = binary.AppendVarint(w.b, s.UsedMillis)
		w.b = appendBytes(w.b, s.Reply)
		w.added(position{kind: itemSession, id: s.ID})
	}
	return true
}

// sessionSizeMax is the most that a session takes beside its reply.
const sessionSizeMax = 1 + 5*binary.MaxVarintLen64

func (v *Snapshot) writePairs(w *chunkWriter) bool {
	// The empty key is a key, so "after" it is not the same as "from" it.
	after, following, more := w.at.key, w.at.kind == itemPair, true
	v.data.ascend(after, func(r record) bool {
		key := r.key()
		if following && key == after {
			return true
		}
		if more = w.fits(1 + len(r)); more {
			w.b = append(append(w.b, itemPair), r...)
			w.added(position{kind: itemPair, key: key})
		}
		return more
	})
	return more
}

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// loading is how far a snapshot has been loaded.
type loading struct {
	stage    byte   // the kind of the last item; zero: none, and then nothing was loaded
	broken   bool   // an error was met
	sessions uint64 // still to come, as are
	pairs    uint64
	lastKey  string
}

// idle reports whether entries may be applied: nothing was loaded, or all.
func (l *loading) idle() bool {
	return !l.broken && (l.stage == 0 || l.stage == itemEnd)
}

// append appends what tells a store that is half loaded from one that is whole
// and happens to hold as much. Nothing, for a whole one: how it came to its
// state is no part of that state.
func (l *loading) append(b []byte) []byte {
	if l.idle() {
		return b
	}
	b = append(b, l.stage)
	b = appendBool(b, l.broken)
	b = binary.AppendUvarint(b, l.sessions)
	return binary.AppendUvarint(b, l.pairs)
}

var (
	errNotEmpty = errors.New("is for a store that holds something already")
	errBroken   = errors.New("comes after one that could not be loaded")
	errOrder    = errors.New("holds its items in the wrong order")
	errCount    = errors.New("holds another number of items than its header says")
	errSession  = errors.New("holds a session that cannot be")
)

// Load implements replica.Machine: it adds a snapshot's next chunk to an empty
// store. After the last one the store is the one that the snapshot was taken of
// (I12), in everything that later entries can see. An error leaves the store
// useless, as does a chunk that is missing; Apply then panics.
func (s *Store) Load(chunk []byte) error {
	r := reader{b: chunk}
	switch {
	case s.loading.broken:
		r.fail(errBroken)
	case s.loading.stage == 0 && s.index > 0:
		r.fail(errNotEmpty)
	}
	r.expect(tagChunk)
	for r.err == nil && len(r.b) > 0 {
		if err := s.loadItem(&r); err != nil {
			r.fail(err)
		}
	}
	if err := r.done(); err != nil {
		s.loading.broken = true
		return fmt.Errorf("snapshot chunk of %d bytes %w", len(chunk), err)
	}
	return nil
}

// Loaded implements replica.Machine.
func (s *Store) Loaded() bool { return s.loading.stage == itemEnd && !s.loading.broken }

func (s *Store) loadItem(r *reader) error {
	before, kind := s.loading.stage, r.byte()
	s.loading.stage = kind
	switch {
	case kind == itemHeader && before == 0:
		s.index = r.uvarint()
		s.time = r.varint()
		s.loading.sessions = r.uvarint()
		s.loading.pairs = r.uvarint()
	case kind == itemSession && (before == itemHeader || before == itemSession):
		return s.loadSession(r)
	case kind == itemPair && (before == itemHeader || before == itemSession || before == itemPair):
		return s.loadPair(r, before != itemPair)
	case kind == itemEnd && before != 0 && before != itemEnd:
		return s.loadEnd()
	default:
		return errOrder
	}
	return nil
}

func (s *Store) loadEnd() error {
	if s.loading.sessions != 0 || s.loading.pairs != 0 {
		return errCount
	}
	if id, ok := s.sessions.linkAll(); !ok {
		return fmt.Errorf("%w: %d", errSession, id)
	}
	s.loading = loading{stage: itemEnd}
	return nil
}

// loadSession adds a session, if it can be one of the state that the header
// announces: a table that breaks its own invariants would expire sessions in
// another order here than elsewhere.
func (s *Store) loadSession(r *reader) error {
	ses := Session{ID: r.uvarint(), Number: r.uvarint(), UsedIndex: r.uvarint(), UsedMillis: r.varint()}
	ses.Reply = r.bytes()
	if r.err != nil {
		return r.err
	}
	if s.loading.sessions == 0 {
		return errCount
	}
	s.loading.sessions--
	if n := len(s.sessions.rows); n > 0 && ses.ID <= s.sessions.rows[n-1].ID {
		return errOrder
	}
	if ses.ID == 0 || ses.UsedIndex < ses.ID || ses.UsedIndex > s.index || ses.UsedMillis > s.time ||
		(ses.Number == 0) != (len(ses.Reply) == 0) {
		return fmt.Errorf("%w: %d", errSession, ses.ID)
	}
	s.sessions.add(ses)
	return nil
}

func (s *Store) loadPair(r *reader, first bool) error {
	pair := r.record()
	if r.err != nil {
		return r.err
	}
	if s.loading.pairs == 0 {
		return errCount
	}
	s.loading.pairs--
	key := pair.key()
	if !first && key <= s.loading.lastKey {
		return errOrder
	}
	s.loading.lastKey = key
	s.put(pair)
	return nil
}

package store

import (
	"fmt"

	"github.com/tidwall/btree"

	"github.com/tandemkv/tandem"
)

// Session is one client's line of requests (rule S2).
type Session struct {
	ID     uint64 // index of the entry that opened it
	Number uint64 // of the last request; zero: none yet
	Reply  []byte // to that request; it never changes

	UsedIndex  uint64 // of the last entry that named the session, or opened it
	UsedMillis int64  // that entry's time
}

// lightReply is the size up to which a stored reply counts as holding no data,
// in bytes. Dropping such a one to stay within a budget would harm a client and
// free nothing: the session table's own limit bounds them. It decides effects,
// so it may change only together with the version of commands (rule L6).
const lightReply = 64

func (s *Session) heavy() bool { return len(s.Reply) > lightReply }

// sessions is the session table. No two sessions have the same UsedIndex, since
// an entry uses one session at most; so
//
//	byUse = {s.UsedIndex: s.ID for s in byID}
//	heavy = {s.UsedIndex: s.ID for s in byID if s.heavy()}
//	replyBytes = sum of len(s.Reply) for s in byID
//
// and both orders, by UsedIndex and by UsedMillis, are the same (rule L4).
type sessions struct {
	byID       *btree.Map[uint64, Session]
	byUse      *btree.Map[uint64, uint64]
	heavy      *btree.Map[uint64, uint64]
	replyBytes uint64
}

func newSessions() sessions {
	return sessions{
		byID:  new(btree.Map[uint64, Session]),
		byUse: new(btree.Map[uint64, uint64]),
		heavy: new(btree.Map[uint64, uint64]),
	}
}

// clone returns an independent copy in O(1).
func (t *sessions) clone() sessions {
	return sessions{
		byID:       t.byID.Copy(),
		byUse:      t.byUse.Copy(),
		heavy:      t.heavy.Copy(),
		replyBytes: t.replyBytes,
	}
}

func (t *sessions) len() int { return t.byID.Len() }

func (t *sessions) get(id uint64) (Session, bool) { return t.byID.Get(id) }

// put adds a session, or replaces the one with its id.
func (t *sessions) put(s Session) {
	if old, ok := t.byID.Set(s.ID, s); ok {
		t.unlink(&old)
	}
	t.byUse.Set(s.UsedIndex, s.ID)
	if s.heavy() {
		t.heavy.Set(s.UsedIndex, s.ID)
	}
	t.replyBytes += uint64(len(s.Reply))
}

// remove removes a session that is in the table.
func (t *sessions) remove(id uint64) {
	old, ok := t.byID.Delete(id)
	if !ok {
		panic(&tandem.InvariantError{
			Invariant: "S2",
			Detail:    fmt.Sprintf("session %d is in the order of use and not in the table", id),
		})
	}
	t.unlink(&old)
}

// unlink undoes what put did beyond byID.
func (t *sessions) unlink(s *Session) {
	t.byUse.Delete(s.UsedIndex)
	t.heavy.Delete(s.UsedIndex)
	t.replyBytes -= uint64(len(s.Reply))
}

// oldest returns the session that has been idle longest.
func (t *sessions) oldest() (Session, bool) {
	_, id, ok := t.byUse.Min()
	if !ok {
		return Session{}, false
	}
	return t.get(id)
}

// outOfOrder returns a session that was used later than another by its index
// and earlier by its time, if there is one.
func (t *sessions) outOfOrder() (id uint64, found bool) {
	var last Session
	t.byUse.Scan(func(_, next uint64) bool {
		s, _ := t.get(next)
		if found = last.ID != 0 && s.UsedMillis < last.UsedMillis; found {
			id = s.ID
		}
		last = s
		return !found
	})
	return id, found
}

// expire removes the sessions that at the given time have been idle for an age
// (rule S4). Both are in milliseconds.
func (t *sessions) expire(now int64, ageMillis uint64) {
	for {
		s, ok := t.oldest()
		if !ok || age(now, s.UsedMillis) < ageMillis {
			return
		}
		t.remove(s.ID)
	}
}

// evict removes sessions other than keep until the stored replies are within a
// budget of bytes: of those whose reply holds data, the ones that have been
// idle longest. What decides is in the table or in the command (rule L6).
func (t *sessions) evict(keep, budget uint64) {
	for t.replyBytes > budget {
		_, id, ok := t.heavy.Min()
		// The one to keep was used last, so it is the last of the heavy.
		if !ok || id == keep {
			return
		}
		t.remove(id)
	}
}

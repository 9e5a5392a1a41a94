package store

import (
	"cmp"
	"slices"
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

// rows are sessions by rising ids, which is the order in which they were opened.
// Those that were removed stand there, used by entry zero, until there are too many.
type rows []Session

func (s *Session) removed() bool { return s.UsedIndex == 0 }

func (r rows) copy() rows { return slices.Clone(r) }

// find returns where an id stands, or would.
func (r rows) find(id uint64) (i int, found bool) {
	i, found = slices.BinarySearchFunc(r, id, func(s Session, id uint64) int { return cmp.Compare(s.ID, id) })
	return i, found && !r[i].removed()
}

// sessions is the session table. No two sessions have the same UsedIndex, since
// an entry uses one session at most; so
//
//	byUse = the rows, by rising UsedIndex
//	heavy = those of them that are heavy
//	replyBytes = sum of len(s.Reply) over the rows
//
// and both orders, by UsedIndex and by UsedMillis, are the same (rule L4).
type sessions struct {
	rows       rows
	live       int
	byUse      order
	heavy      order
	replyBytes uint64
}

// clone returns an independent copy.
func (t *sessions) clone() sessions {
	c := *t
	c.rows, c.byUse, c.heavy = t.rows.copy(), t.byUse.clone(), t.heavy.clone()
	return c
}

func (t *sessions) len() int { return t.live }

func (t *sessions) get(id uint64) (Session, bool) {
	if i, ok := t.rows.find(id); ok {
		return t.rows[i], true
	}
	return Session{}, false
}

// open adds a session whose id is above all others, used last of all.
func (t *sessions) open(s Session) {
	t.add(s)
	t.link(len(t.rows) - 1)
}

// add adds a session whose id is above all others to the rows alone.
func (t *sessions) add(s Session) {
	t.rows = append(t.rows, s)
	t.byUse.grow()
	t.heavy.grow()
	t.live++
	t.replyBytes += uint64(len(s.Reply))
}

// link makes the session at i the one that was used last.
func (t *sessions) link(i int) {
	t.byUse.push(i)
	if t.rows[i].heavy() {
		t.heavy.push(i)
	}
}

func (t *sessions) unlink(i int) {
	t.byUse.remove(i)
	if t.rows[i].heavy() {
		t.heavy.remove(i)
	}
}

// use stores that an entry used the session at i, and with what reply.
func (t *sessions) use(i int, index uint64, millis int64, reply []byte) {
	t.unlink(i)
	s := &t.rows[i]
	t.replyBytes += uint64(len(reply)) - uint64(len(s.Reply))
	s.UsedIndex, s.UsedMillis, s.Reply = index, millis, reply
	t.link(i)
}

// minRemoved is how many rows are left to the removed before they are looked at.
const minRemoved = 64

// remove removes the session at i. Others may stand elsewhere afterwards.
func (t *sessions) remove(i int) {
	t.unlink(i)
	t.replyBytes -= uint64(len(t.rows[i].Reply))
	t.rows[i] = Session{ID: t.rows[i].ID}
	t.live--
	if n := len(t.rows); n-t.live > t.live+minRemoved {
		t.compact()
	}
}

// compact makes new rows of those that were not removed.
func (t *sessions) compact() {
	old := *t
	moved := make([]int, len(old.rows)) // where each stands now
	*t = sessions{rows: make(rows, 0, old.live)}
	for i := range old.rows {
		if s := old.rows[i]; !s.removed() {
			moved[i] = len(t.rows)
			t.add(s)
		}
	}
	for i, ok := old.byUse.first(); ok; i, ok = old.byUse.next(i) {
		t.link(moved[i])
	}
}

// linkAll makes the orders of rows that were added in the order of their ids. It
// returns false, and an id, if two of them were used by one entry, or one later than
// another by its index and earlier by its time.
func (t *sessions) linkAll() (id uint64, ok bool) {
	byUse := make([]int, len(t.rows))
	for i := range byUse {
		byUse[i] = i
	}
	slices.SortFunc(byUse, func(i, j int) int { return cmp.Compare(t.rows[i].UsedIndex, t.rows[j].UsedIndex) })
	for n, i := range byUse {
		s := &t.rows[i]
		if n > 0 {
			if last := &t.rows[byUse[n-1]]; s.UsedIndex == last.UsedIndex || s.UsedMillis < last.UsedMillis {
				return s.ID, false
			}
		}
		t.link(i)
	}
	return 0, true
}

// oldest returns the session that has been idle longest.
func (t *sessions) oldest() (Session, bool) {
	i, ok := t.byUse.first()
	if !ok {
		return Session{}, false
	}
	return t.rows[i], true
}

// expire removes the sessions that at the given time have been idle for an age
// (rule S4). Both are in milliseconds.
func (t *sessions) expire(now int64, ageMillis uint64) {
	for {
		i, ok := t.byUse.first()
		if !ok || age(now, t.rows[i].UsedMillis) < ageMillis {
			return
		}
		t.remove(i)
	}
}

// evict removes sessions other than keep until the stored replies are within a
// budget of bytes: of those whose reply holds data, the ones that have been
// idle longest. What decides is in the table or in the command (rule L6).
func (t *sessions) evict(keep, budget uint64) {
	for t.replyBytes > budget {
		i, ok := t.heavy.first()
		// The one to keep was used last, so it is the last of the heavy.
		if !ok || t.rows[i].ID == keep {
			return
		}
		t.remove(i)
	}
}

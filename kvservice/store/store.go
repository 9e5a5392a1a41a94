package store

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"iter"
	"math"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// Store is the data and the session table after the entries applied so far. It
// is not safe for concurrent use; its Snapshots are, and stay as they are.
//
// The data is a tree of records, whose copies cost O(1).
type Store struct {
	limits Limits

	// Replicated: equal in all replicas that have applied the same entries.

	data     *tree
	bytes    uint64 // of keys and values: always the sum over data
	sessions sessions
	index    uint64 // of the last entry applied
	time     int64  // of the last entry applied, in milliseconds

	// Local.

	cursors    []cursor // in the order of their last use
	expireTime int64    // when Housekeeping last returned an expiry, in milliseconds
	expiring   bool     // whether it ever did
	loading    loading
}

var _ replica.Machine = (*Store)(nil)

// New returns an empty store. The zero Limits are the defaults.
func New(l Limits) *Store {
	return &Store{
		limits: l.withDefaults(),
		data:   newTree(),
	}
}

// Empty implements replica.Machine: a store with the same limits and no state.
func (s *Store) Empty() replica.Machine { return New(s.limits) }

// Limits returns the store's limits, defaults filled in.
func (s *Store) Limits() Limits { return s.limits }

// Apply implements replica.Machine. The reply is that of PutReply and
// DecodeReply; it is shared with the session table and must not be changed. An
// entry without a payload changes nothing and has an empty reply.
//
// Apply panics with a *tandem.InvariantError if entries do not come in order
// (rule L4), if a snapshot has been loaded in part only (I12), and if a command
// cannot be decoded: a replica that went on without understanding a committed
// entry would be a different machine from then on.
func (s *Store) Apply(e replica.Entry) []byte {
	s.checkOrder(e)
	s.index, s.time = e.Index, e.Time
	if len(e.Payload) == 0 {
		return nil
	}
	var one [1]Write
	c, sole, err := decodeCommand(e.Payload, one[:0])
	if err != nil {
		panic(&tandem.InvariantError{
			Invariant: "CommandUnderstood",
			Detail:    fmt.Sprintf("entry %d: %v", e.Index, err),
		})
	}
	switch c.Kind {
	case OpenSession:
		return s.openSession(&c)
	case Expire:
		return s.expire(&c)
	}
	return s.update(&c, sole)
}

// checkOrder asserts what Apply relies on. That indexes rise makes session ids
// unique and the order of last use total; that times do not fall makes the
// order of last use the order of ages too. Indexes may skip: an entry that is
// none of the machine's business need not be shown to it.
func (s *Store) checkOrder(e replica.Entry) {
	switch {
	case !s.loading.idle():
		panic(&tandem.InvariantError{
			Invariant: "I12",
			Detail:    fmt.Sprintf("entry %d applied to a snapshot that was not loaded whole", e.Index),
		})
	case e.Index <= s.index:
		panic(&tandem.InvariantError{
			Invariant: "L4",
			Detail:    fmt.Sprintf("entry %d applied after entry %d", e.Index, s.index),
		})
	case e.Time < s.time:
		panic(&tandem.InvariantError{
			Invariant: "L4",
			Detail:    fmt.Sprintf("entry %d has time %d, before it was %d", e.Index, e.Time, s.time),
		})
	}
}

// update decides what a request comes to, when it is applied and not before
// (rule S3), so that every replica decides alike. Any command that names a session
// uses it, also one that is refused: a client is there.
func (s *Store) update(c *Command, sole record) []byte {
	if c.Session == 0 {
		return s.execute(c, sole) // rule S6: no filter
	}
	at, ok := s.sessions.rows.find(c.Session)
	if !ok {
		return bareReply(tandem.ErrSessionExpired) // rule S3: and not executed
	}
	ses := &s.sessions.rows[at]
	reply := ses.Reply
	switch {
	case c.Number < ses.Number:
		s.sessions.use(at, s.index, s.time, reply)
		return bareReply(tandem.ErrStaleRequest) // rule S3
	case c.Number == ses.Number:
		s.sessions.use(at, s.index, s.time, reply)
		return reply // rule S3, I10: the answer is that of the first
	}
	// Refused or not, the number is used up and the reply stored: a retry must
	// hear the same even if what was too large would fit by then (I10).
	ses.Number = c.Number
	reply = s.execute(c, sole)
	s.sessions.use(at, s.index, s.time, reply)
	if c.ReplyBudget > 0 {
		s.sessions.evict(c.Session, c.ReplyBudget)
	}
	return reply
}

// openSession opens a session (rule S4) whose id is the entry's index.
func (s *Store) openSession(c *Command) []byte {
	if uint64(s.sessions.len()) >= c.MaxSessions && c.AgeMillis > 0 {
		s.sessions.expire(s.time, c.AgeMillis) // those of clients long gone make room (rule S4)
	}
	if uint64(s.sessions.len()) >= c.MaxSessions {
		return bareReply(tandem.ErrTooManySessions)
	}
	s.sessions.open(Session{ID: s.index, UsedIndex: s.index, UsedMillis: s.time})
	p := Reply{Err: tandem.OK, Session: s.index}
	return p.Append(nil)
}

// expire drops the sessions that are too old by the entry's time (rule S4).
func (s *Store) expire(c *Command) []byte {
	s.sessions.expire(s.time, c.AgeMillis)
	return bareReply(tandem.OK)
}

// Duplicate implements replica.Machine: the stored reply, if this was the last
// request of its session (rule S3).
func (s *Store) Duplicate(session, number uint64) (reply []byte, ok bool) {
	ses, ok := s.sessions.get(session)
	if !ok || number == 0 || number != ses.Number {
		return nil, false
	}
	return ses.Reply, true
}

// Housekeeping implements replica.Machine. It returns an Expire command if a
// session has been idle for Limits.SessionTTLMillis, but none within
// Limits.ExpireEveryMillis of the one before: that one may stand in the log
// without being applied yet, and asking at every tick would fill the log with
// its copies. If it was lost with the primary's role, the next makes up for it.
func (s *Store) Housekeeping(now int64) []byte {
	if s.expiring && age(now, s.expireTime) < uint64(s.limits.ExpireEveryMillis) {
		return nil
	}
	oldest, ok := s.sessions.oldest()
	if !ok || age(now, oldest.UsedMillis) < uint64(s.limits.SessionTTLMillis) {
		return nil
	}
	s.expireTime, s.expiring = now, true
	c := Command{Kind: Expire, AgeMillis: uint64(s.limits.SessionTTLMillis)}
	return c.Append(nil)
}

// age returns the milliseconds from one time to a later one, zero if it is not
// later. The difference of two int64 always fits into a uint64.
func age(now, then int64) uint64 {
	if now <= then {
		return 0
	}
	return uint64(now) - uint64(then)
}

// Get returns the value of a key.
func (s *Store) Get(key string) (value string, ok bool) {
	if r := s.data.get(key); r != "" {
		return r.value(), true
	}
	return "", false
}

// All returns the pairs in the order of their keys. The store must not be
// changed meanwhile.
func (s *Store) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		s.data.ascend("", func(r record) bool { return yield(r.key(), r.value()) })
	}
}

// Sessions returns the sessions in the order of their ids. The store must not
// be changed meanwhile, nor the replies ever.
func (s *Store) Sessions() iter.Seq[Session] {
	return func(yield func(Session) bool) {
		for _, ses := range s.sessions.rows {
			if !ses.removed() && !yield(ses) {
				return
			}
		}
	}
}

// Stats returns what the store holds. It costs nothing: the sums are kept.
func (s *Store) Stats() Stats {
	return Stats{
		Index:      s.index,
		TimeMillis: s.time,
		Keys:       uint64(s.data.Len()),
		Bytes:      s.bytes,
		Sessions:   uint64(s.sessions.len()),
		ReplyBytes: s.sessions.replyBytes,
		Cursors:    uint64(len(s.cursors)),
	}
}

// Clone implements replica.Machine: a store that is equal, what is local
// included, and independent. It is O(1) in the data.
func (s *Store) Clone() replica.Machine {
	c := *s
	c.data = s.data.Copy()
	c.sessions = s.sessions.clone()
	c.cursors = append([]cursor(nil), s.cursors...) // what they point to never changes
	return &c
}

// AppendState implements replica.Machine. The state's canonical encoding is
// that of its snapshot in one chunk, and of how far a snapshot was loaded.
func (s *Store) AppendState(b []byte) []byte {
	chunk, _ := s.view().Chunk(nil, math.MaxInt)
	return s.loading.append(append(b, chunk...))
}

// Equal reports whether two stores have the same replicated state.
func (s *Store) Equal(o *Store) bool {
	return bytes.Equal(s.AppendState(nil), o.AppendState(nil))
}

// Hash returns a hash of the replicated state, the same for equal states.
func (s *Store) Hash() uint64 {
	const piece = 64 << 10 // bytes of the encoding that are held at a time
	h := fnv.New64a()
	view := s.view()
	for chunk, pos := view.Chunk(nil, piece); ; chunk, pos = view.Chunk(pos, piece) {
		h.Write(chunk)
		if pos == nil {
			break
		}
	}
	h.Write(s.loading.append(nil))
	return h.Sum64()
}

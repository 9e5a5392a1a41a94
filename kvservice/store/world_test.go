package store

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// log feeds a store with entries and keeps them, so that another store can be
// given the same.
type log struct {
	store   *Store
	entries []replica.Entry
	now     int64
}

func newLog(l Limits) *log { return &log{store: New(l)} }

func (l *log) apply(t require.TestingT, payload []byte) Reply {
	e := replica.Entry{Epoch: 1, Index: uint64(len(l.entries)) + 1, Time: l.now, Payload: payload}
	l.entries = append(l.entries, e)
	reply, err := DecodeReply(l.store.Apply(e))
	require.NoError(t, err)
	return reply
}

func (l *log) command(t require.TestingT, c Command) Reply {
	return l.apply(t, c.Append(nil))
}

// put applies an update as a client sends it.
func (l *log) put(t require.TestingT, args tandem.PutArgs) tandem.PutReply {
	b, err := PutCommand(&args, l.store.Limits())
	require.NoError(t, err)
	reply := l.apply(t, b)
	out, err := PutReply(reply.Append(nil))
	require.NoError(t, err)
	return out
}

func (l *log) open(t require.TestingT) uint64 {
	p := l.put(t, tandem.PutArgs{Op: tandem.OpOpenSession})
	require.Equal(t, tandem.OK, p.Err)
	return p.Session
}

func (l *log) replay(s *Store) *Store {
	for _, e := range l.entries {
		s.Apply(e)
	}
	return s
}

func get(t require.TestingT, s *Store, key string) tandem.GetReply {
	q, err := GetQuery(&tandem.GetArgs{Key: key}, s.Limits())
	require.NoError(t, err)
	p, err := GetReply(s.Read(q))
	require.NoError(t, err)
	return p
}

func scan(t require.TestingT, s *Store, args tandem.ScanArgs) tandem.ScanReply {
	q, err := ScanQuery(&args, s.Limits())
	require.NoError(t, err)
	p, err := ScanReply(s.Read(q))
	require.NoError(t, err)
	return p
}

// load makes a store of a snapshot, in chunks of about max bytes.
func load(t require.TestingT, s *Store, v replica.Snapshot, max int) *Store {
	m := s.Empty()
	for _, chunk := range chunks(v, max) {
		require.NoError(t, m.Load(chunk))
	}
	return m.(*Store)
}

func chunks(v replica.Snapshot, max int) (all [][]byte) {
	chunk, pos := v.Chunk(nil, max)
	all = append(all, chunk)
	for pos != nil {
		chunk, pos = v.Chunk(pos, max)
		all = append(all, chunk)
	}
	return all
}

// check asserts that what a store keeps beside its data and its sessions is
// what those say.
func check(t require.TestingT, s *Store) {
	var bytes, replies uint64
	for k, v := range s.All() {
		bytes += uint64(len(k) + len(v))
	}
	var live, heavy []uint64 // UsedIndex
	for ses := range s.Sessions() {
		replies += uint64(len(ses.Reply))
		live = append(live, ses.UsedIndex)
		if ses.heavy() {
			heavy = append(heavy, ses.UsedIndex)
		}
	}
	slices.Sort(live)
	slices.Sort(heavy)
	require.Equal(t, live, used(t, s, &s.sessions.byUse))
	require.Equal(t, heavy, used(t, s, &s.sessions.heavy))
	require.Equal(t, len(live), s.sessions.len())
	require.True(t, slices.IsSortedFunc(s.sessions.rows, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) }))
	require.Equal(t, bytes, s.Stats().Bytes)
	require.Equal(t, replies, s.Stats().ReplyBytes)
	require.NoError(t, s.data.check())
}

// used returns the UsedIndex of the sessions in an order. Time goes by it, too.
func used(t require.TestingT, s *Store, o *order) (all []uint64) {
	millis := int64(math.MinInt64)
	last := -1
	for i, ok := o.first(); ok; i, ok = o.next(i) {
		ses := s.sessions.rows[i]
		require.LessOrEqual(t, millis, ses.UsedMillis, "session %d", ses.ID)
		require.Equal(t, int32(last)+1, o.links[i].before)
		millis, last = ses.UsedMillis, i
		all = append(all, ses.UsedIndex)
	}
	require.Equal(t, int32(last)+1, o.tail)
	return all
}

func requireBroken(t *testing.T, invariant string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		e, ok := recover().(*tandem.InvariantError)
		require.True(t, ok, "no invariant broke")
		require.Equal(t, invariant, e.Invariant)
	}()
	f()
}

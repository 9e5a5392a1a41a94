package store

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
)

// model is what a store should be, said in the plainest way: maps, and the
// whole table walked wherever something is looked for.
type model struct {
	data     map[string]string
	sessions map[uint64]Session
}

func (m *model) clone() *model {
	return &model{data: maps.Clone(m.data), sessions: maps.Clone(m.sessions)}
}

func (m *model) execute(c *Command) Reply {
	data := maps.Clone(m.data)
	p := Reply{Err: tandem.OK}
	for _, w := range c.Writes {
		old, present := data[w.Key]
		res := Result{Err: tandem.OK}
		switch w.Op {
		case tandem.OpPut:
			data[w.Key] = w.Value
		case tandem.OpPutHash:
			res.Previous = old
			data[w.Key] = strconv.Itoa(int(tandem.Hash(old + w.Value)))
		case tandem.OpAppend:
			if c.MaxValue != 0 && uint64(len(old+w.Value)) > c.MaxValue {
				return Reply{Err: tandem.ErrTooLarge}
			}
			data[w.Key] = old + w.Value
		case tandem.OpDelete:
			if !present {
				res.Err = tandem.ErrNoKey
			}
			delete(data, w.Key)
		case tandem.OpCompareAndSwap:
			if res.Swapped = old == w.Expected; res.Swapped {
				data[w.Key] = w.Value
			}
		}
		p.Results = append(p.Results, res)
	}
	m.data = data
	return p
}

func (m *model) apply(c *Command, index uint64, now int64) Reply {
	use := func(s Session) {
		s.UsedIndex, s.UsedMillis = index, now
		m.sessions[s.ID] = s
	}
	switch c.Kind {
	case OpenSession:
		if uint64(len(m.sessions)) >= c.MaxSessions && c.AgeMillis > 0 {
			maps.DeleteFunc(m.sessions, func(_ uint64, s Session) bool {
				return uint64(now-s.UsedMillis) >= c.AgeMillis
			})
		}
		if uint64(len(m.sessions)) >= c.MaxSessions {
			return Reply{Err: tandem.ErrTooManySessions}
		}
		use(Session{ID: index})
		return Reply{Err: tandem.OK, Session: index}
	case Expire:
		maps.DeleteFunc(m.sessions, func(_ uint64, s Session) bool {
			return uint64(now-s.UsedMillis) >= c.AgeMillis
		})
		return Reply{Err: tandem.OK}
	}
	if c.Session == 0 {
		return m.execute(c)
	}
	s, ok := m.sessions[c.Session]
	if !ok {
		return Reply{Err: tandem.ErrSessionExpired}
	}
	if c.Number < s.Number {
		use(s)
		return Reply{Err: tandem.ErrStaleRequest}
	}
	if c.Number > s.Number {
		p := m.execute(c)
		s.Number, s.Reply = c.Number, p.Append(nil)
		defer m.evict(c)
	}
	use(s)
	p, err := DecodeReply(s.Reply)
	if err != nil {
		panic(err)
	}
	return p
}

func (m *model) evict(c *Command) {
	for c.ReplyBudget > 0 {
		total, victim := uint64(0), Session{UsedIndex: math.MaxUint64}
		for _, s := range m.sessions {
			total += uint64(len(s.Reply))
			if s.heavy() && s.ID != c.Session && s.UsedIndex < victim.UsedIndex {
				victim = s
			}
		}
		if total <= c.ReplyBudget || victim.ID == 0 {
			return
		}
		delete(m.sessions, victim.ID)
	}
}

func (m *model) require(t require.TestingT, s *Store) {
	require.Equal(t, len(m.data), s.data.Len())
	for k, v := range s.All() {
		want, ok := m.data[k]
		require.True(t, ok && v == want, "key %q is %q, want %q %v", k, v, want, ok)
	}
	require.Equal(t, len(m.sessions), s.sessions.len())
	for ses := range s.Sessions() {
		require.Equal(t, m.sessions[ses.ID], ses)
	}
	check(t, s)
}

// pair is a store, and the model that it must agree with.
type pair struct {
	log   *log
	model *model
}

var (
	someKey   = rapid.SampledFrom([]string{"", "a", "a\x00", "ab", "b", "\xff"})
	someValue = rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "b"}),
		rapid.Map(rapid.SampledFrom([]int{1, 54, 55, 56, 57, 58, 150}), func(n int) string { return string(make([]byte, n)) }),
	)
	someWrite = rapid.Custom(func(t *rapid.T) Write {
		w := Write{
			Op:    rapid.SampledFrom([]tandem.Op{tandem.OpPut, tandem.OpPutHash, tandem.OpAppend, tandem.OpDelete, tandem.OpCompareAndSwap}).Draw(t, "op"),
			Key:   someKey.Draw(t, "key"),
			Value: someValue.Draw(t, "value"),
		}
		if w.Op == tandem.OpDelete {
			w.Value = ""
		}
		if w.Op == tandem.OpCompareAndSwap {
			w.Expected = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "expected")
		}
		return w
	})
)

func someSession(t *rapid.T, s *Store) uint64 {
	ids := []uint64{0, 99}
	for ses := range s.Sessions() {
		ids = append(ids, ses.ID, ses.ID)
	}
	return rapid.SampledFrom(ids).Draw(t, "session")
}

func someCommand(t *rapid.T, s *Store) Command {
	switch rapid.IntRange(0, 19).Draw(t, "kind") {
	case 0, 1, 2:
		return Command{
			Kind:        OpenSession,
			MaxSessions: rapid.SampledFrom([]uint64{6, 6, 6, 1, 0}).Draw(t, "max"),
			AgeMillis:   rapid.SampledFrom([]uint64{0, 0, 1, 50, 500}).Draw(t, "spare"),
		}
	case 3:
		return Command{Kind: Expire, AgeMillis: rapid.SampledFrom([]uint64{100, 50, 20, 0}).Draw(t, "age")}
	}
	c := Command{
		Kind:        Update,
		Session:     someSession(t, s),
		Writes:      rapid.SliceOfN(someWrite, 1, 3).Draw(t, "writes"),
		MaxValue:    rapid.SampledFrom([]uint64{0, 0, 100, 300}).Draw(t, "maxValue"),
		ReplyBudget: rapid.SampledFrom([]uint64{0, 1, 150, 400, 1000}).Draw(t, "budget"),
	}
	if c.Session != 0 {
		// The same again, the one before, the next, or one further on.
		ahead := rapid.SampledFrom([]uint64{1, 1, 1, 0, math.MaxUint64, 3}).Draw(t, "ahead")
		ses, _ := s.sessions.get(c.Session)
		c.Number = max(1, ses.Number+ahead)
		if c.Number == math.MaxUint64 {
			c.Number = 1
		}
	}
	return c
}

// apply gives a pair a random command, and compares what comes of it.
func apply(t *rapid.T, p *pair) {
	c := someCommand(t, p.log.store)
	decoded, err := DecodeCommand(c.Append(nil))
	require.NoError(t, err)
	require.Equal(t, c, decoded)
	p.log.now += rapid.Int64Range(0, 10).Draw(t, "time")
	got := p.log.command(t, c)
	want := p.model.apply(&c, uint64(len(p.log.entries)), p.log.now)
	require.Equal(t, want, got, "reply to %+v", c)
	if c.Session != 0 {
		reply, ok := p.log.store.Duplicate(c.Session, c.Number)
		require.Equal(t, p.model.sessions[c.Session].Number == c.Number, ok)
		require.True(t, !ok || slices.Equal(reply, p.model.sessions[c.Session].Reply))
	}
}

// TestStoreIsTheModel checks the store against the model under random entries
// (S2, S3, S4, S6, I10), while copies of it, made by Clone (under writes of
// their own) and by a transfer (I12), live on beside it.
func TestStoreIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []*pair{{
			log:   newLog(Limits{}),
			model: &model{data: map[string]string{}, sessions: map[uint64]Session{}},
		}}
		var frozen []*pair // snapshots, which must stay as they were
		some := func(t *rapid.T) *pair { return rapid.SampledFrom(all).Draw(t, "store") }
		copyOf := func(p *pair, s *Store) *pair {
			return &pair{
				log:   &log{store: s, entries: slices.Clone(p.log.entries), now: p.log.now},
				model: p.model.clone(),
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				p := some(t)
				for range rapid.IntRange(1, 20).Draw(t, "entries") {
					apply(t, p)
				}
			},
			"clone": func(t *rapid.T) {
				p := some(t)
				c := p.log.store.Clone().(*Store)
				require.True(t, c.Equal(p.log.store))
				if len(all) < 4 {
					all = append(all, copyOf(p, c))
				}
			},
			"snapshot": func(t *rapid.T) {
				p := some(t)
				frozen = append(frozen, copyOf(p, nil))
				snapshots := frozen[len(frozen)-1]
				v := p.log.store.Snapshot()
				snapshots.log.store = New(Limits{})
				s := p.log.store
				max := rapid.SampledFrom([]int{0, 1, 50, 1000, math.MaxInt}).Draw(t, "max")
				for i := range 3 {
					// The snapshot is read in pieces, and again, while others write.
					q := some(t)
					c := someCommand(t, q.log.store)
					q.log.command(t, c)
					q.model.apply(&c, uint64(len(q.log.entries)), q.log.now)
					m := load(t, s, v, max)
					snapshots.model.require(t, m)
					if i == 2 && len(all) < 4 {
						all = append(all, &pair{log: snapshots.log, model: snapshots.model})
						all[len(all)-1].log.store = m
					}
				}
			},
			"read": func(t *rapid.T) {
				p := some(t)
				key := someKey.Draw(t, "key")
				want := tandem.GetReply{Err: tandem.ErrNoKey}
				if v, ok := p.model.data[key]; ok {
					want = tandem.GetReply{Err: tandem.OK, Value: v}
				}
				require.Equal(t, want, get(t, p.log.store, key))
			},
			"scan": func(t *rapid.T) {
				p := some(t)
				prefix := someKey.Draw(t, "prefix")
				var want []tandem.Pair
				for _, k := range slices.Sorted(maps.Keys(p.model.data)) {
					if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
						want = append(want, tandem.Pair{Key: k, Value: p.model.data[k]})
					}
				}
				index := uint64(len(p.log.entries))
				args := tandem.ScanArgs{Prefix: prefix, Limit: rapid.IntRange(0, 3).Draw(t, "limit")}
				var got []tandem.Pair
				for more := true; more; {
					page := scan(t, p.log.store, args)
					require.Equal(t, tandem.OK, page.Err)
					require.Equal(t, index, page.Index)
					got = append(got, page.Pairs...)
					if more = page.More; more {
						args.Scan, args.After = page.Scan, page.Pairs[len(page.Pairs)-1].Key
						// Writes between the pages do not show.
						c := someCommand(t, p.log.store)
						p.log.command(t, c)
						p.model.apply(&c, uint64(len(p.log.entries)), p.log.now)
					}
				}
				require.Equal(t, want, got)
			},
			"": func(t *rapid.T) {
				for _, p := range all {
					p.model.require(t, p.log.store)
				}
			},
		})
		for i, p := range all {
			for j, q := range all {
				// Equal, and of one hash, if and only if made of equal entries.
				same := p.log.store.Equal(q.log.store)
				require.Equal(t, same, p.log.store.Hash() == q.log.store.Hash())
				require.True(t, i != j || same)
			}
		}
	})
}

// L6: what the replicas' own settings are makes no difference to their state,
// nor does it matter on the way which of them was transferred and when (I12).
func TestReplicasWithOtherSettingsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLog(Limits{})
		tiny := New(Limits{
			MaxKey: 1, MaxValue: 1, MaxSessions: 1, ReplyBudget: 1, SessionTTLMillis: 1,
			ExpireEveryMillis: 1, PageBytes: 1, PagePairs: 1, MaxCursors: 1, CursorTicks: 1,
		})
		n := rapid.IntRange(1, 60).Draw(t, "entries")
		for i := range n {
			c := someCommand(t, l.store)
			l.now += rapid.Int64Range(0, 10).Draw(t, "time")
			l.command(t, c)
			e := l.entries[i]
			want, err := DecodeReply(tiny.Clone().Apply(e))
			require.NoError(t, err)
			got, err := DecodeReply(tiny.Apply(e))
			require.NoError(t, err)
			require.Equal(t, want, got)
			tiny.Housekeeping(e.Time)
			tiny.Tick()
			if i%7 == 0 {
				tiny = load(t, tiny, tiny.Snapshot(), 10)
			}
		}
		require.Equal(t, fmt.Sprintf("%x", l.store.AppendState(nil)), fmt.Sprintf("%x", tiny.AppendState(nil)))
		require.True(t, l.store.Equal(tiny))
		require.Equal(t, l.store.Hash(), l.replay(New(Limits{})).Hash())
	})
}

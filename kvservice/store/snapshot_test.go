package store

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// furnished returns a store with sessions, light and heavy, and pairs, the
// empty key and a value larger than any chunk among them.
func furnished(t require.TestingT) *log {
	l := newLog(Limits{SessionTTLMillis: 1000})
	for i := range 40 {
		l.now = int64(i)
		id := l.open(t)
		l.put(t, tandem.PutArgs{Key: fmt.Sprint("key", i), Value: strings.Repeat("v", 10*i), Session: id, Number: 1})
		l.put(t, tandem.PutArgs{Key: fmt.Sprint("key", i/2), Op: tandem.OpPutHash, Session: id, Number: uint64(2 + i)})
	}
	l.put(t, tandem.PutArgs{Key: "", Value: "empty"})
	l.put(t, tandem.PutArgs{Key: "large", Value: strings.Repeat("x", 5000)})
	return l
}

// T1, I12.
func TestASnapshotLoadsInChunksOfAnySize(t *testing.T) {
	l := furnished(t)
	v := l.store.Snapshot()
	want := l.store.AppendState(nil)
	const items = 1 + 40 + 42 + 1 // header, sessions, pairs, end
	for _, max := range []int{math.MinInt, -1, 0, 1, 2, 3, 64, 200, 1000, 5000, 1 << 20, math.MaxInt} {
		t.Run(fmt.Sprint(max), func(t *testing.T) {
			all := chunks(v, max)
			require.Equal(t, all, chunks(v, max), "the same position and size give the same bytes")
			for _, chunk := range all {
				// One item may be larger, and is then alone.
				require.True(t, len(chunk) <= max || len(chunk) <= 5020)
			}
			switch {
			case max <= 3:
				require.Len(t, all, items)
			case max >= 1<<20:
				require.Len(t, all, 1)
			}
			require.Equal(t, want, load(t, l.store, v, max).AppendState(nil))
			if max >= 1000 {
				require.InEpsilon(t, len(slices.Concat(all...)), v.Size(), 0.1)
			}
		})
	}
}

func TestAPositionMeansTheSameToEverySnapshotOfAState(t *testing.T) {
	l := furnished(t)
	a, b := l.store.Snapshot(), load(t, l.store, l.store.Snapshot(), 77).Snapshot()
	chunk, pos := a.Chunk(nil, 100)
	require.NotNil(t, chunk)
	for pos != nil {
		one, next := a.Chunk(pos, 100)
		two, _ := b.Chunk(bytes.Clone(pos), 100)
		require.Equal(t, one, two)
		pos = next
	}
	requireBroken(t, "ChunkPosition", func() { a.Chunk([]byte{}, 1) })
	requireBroken(t, "ChunkPosition", func() { a.Chunk([]byte("e"), 1) })
	requireBroken(t, "ChunkPosition", func() { a.Chunk([]byte("s\x01\x01"), 1) })
}

// T2: the snapshot stays what it was, whatever is applied to its store or to
// clones, and while it is being read.
func TestASnapshotDoesNotChangeUnderWrites(t *testing.T) {
	l := furnished(t)
	want := l.store.AppendState(nil)
	v := l.store.Snapshot()
	clone := &log{store: l.store.Clone().(*Store), entries: append([]replica.Entry(nil), l.entries...), now: l.now}
	fresh := New(Limits{})
	chunk, pos := v.Chunk(nil, 100)
	for i := 0; ; i++ {
		require.NoError(t, fresh.Load(chunk))
		if pos == nil {
			break
		}
		for _, w := range []*log{l, clone} {
			w.put(t, tandem.PutArgs{Key: fmt.Sprint("key", i%50), Op: tandem.OpDelete})
			w.put(t, tandem.PutArgs{Key: fmt.Sprint("new", i), Value: "v"})
			w.open(t)
			w.command(t, Command{Kind: Expire, AgeMillis: 30})
		}
		chunk, pos = v.Chunk(pos, 100)
	}
	require.Equal(t, want, fresh.AppendState(nil))
	require.True(t, clone.store.Equal(l.store), "the same entries were applied to both")
}

// I12: what comes after is the same too, the order in which sessions go
// included.
func TestALoadedStoreGoesOnAsTheOriginal(t *testing.T) {
	l := furnished(t)
	loaded := load(t, l.store, l.store.Snapshot(), 64)
	require.Equal(t, l.store.Stats(), loaded.Stats())
	other := &log{store: loaded, entries: append([]replica.Entry(nil), l.entries...)}
	for i := range 60 {
		l.now = int64(40 + i)
		other.now = l.now
		c := Command{Kind: Expire, AgeMillis: uint64(100 - i)}
		if i%3 > 0 {
			c = Command{
				Kind: Update, Session: uint64(1 + 3*i), Number: 100, ReplyBudget: uint64(3000 - 40*i),
				Writes: []Write{{Op: tandem.OpPutHash, Key: "large", Value: "x"}},
			}
		}
		require.Equal(t, l.command(t, c), other.command(t, c))
		require.Equal(t, l.store.AppendState(nil), loaded.AppendState(nil))
		check(t, loaded)
	}
	require.NotNil(t, loaded.Housekeeping(5000))
}

func TestEmptyStateTravelsToo(t *testing.T) {
	s := New(Limits{MaxKey: 3})
	loaded := load(t, s, s.Snapshot(), 1)
	require.True(t, s.Equal(loaded))
	require.Equal(t, s.Limits(), loaded.Limits())
	require.Equal(t, s.Hash(), loaded.Hash())
}

// I12: a transfer that is not whole is noticed by the machine itself.
func TestAPartOfASnapshotIsOfNoUse(t *testing.T) {
	l := furnished(t)
	all := chunks(l.store.Snapshot(), 300)
	entry := replica.Entry{Index: 1000, Time: 1000}
	put := Command{Kind: Update, Writes: []Write{{Key: "k"}}}
	entry.Payload = put.Append(nil)

	t.Run("end missing", func(t *testing.T) {
		s := New(Limits{})
		for _, chunk := range all[:len(all)-1] {
			require.NoError(t, s.Load(chunk))
			require.False(t, s.Equal(l.store))
			requireBroken(t, "I12", func() { s.Clone().Apply(entry) })
		}
		require.NoError(t, s.Load(all[len(all)-1]))
		s.Apply(entry)
	})
	for i := range all {
		t.Run(fmt.Sprint("chunk missing ", i), func(t *testing.T) {
			s := New(Limits{})
			var err error
			for j, chunk := range all {
				if j != i && err == nil {
					err = s.Load(chunk)
				}
			}
			require.True(t, err != nil || i == len(all)-1)
			requireBroken(t, "I12", func() { s.Apply(entry) })
			if err != nil {
				require.Error(t, s.Load(all[0]), "useless after an error")
			}
		})
	}
	t.Run("chunk twice", func(t *testing.T) {
		for i := range all {
			s := New(Limits{})
			for _, chunk := range all[:i+1] {
				require.NoError(t, s.Load(chunk))
			}
			require.Error(t, s.Load(all[i]))
		}
	})
	t.Run("into a store that holds something", func(t *testing.T) {
		require.ErrorIs(t, furnished(t).store.Load(all[0]), errNotEmpty)
	})
}

func TestASnapshotThatCannotBeIsRefused(t *testing.T) {
	header := func(index uint64, time int64, sessions, pairs byte) []byte {
		b := []byte{version, tagChunk, itemHeader, byte(index), byte(time << 1)}
		return append(b, sessions, pairs)
	}
	// id, number, used by, used at (zigzag), length of the reply, reply
	ses := func(b ...byte) []byte { return append([]byte{itemSession}, b...) }
	pair := func(key string) []byte { return append(appendString([]byte{itemPair}, key), 0) }
	end := []byte{itemEnd}
	for name, tc := range map[string]struct {
		parts [][]byte
		ok    bool
	}{
		"whole":                     {[][]byte{header(9, 9, 1, 1), ses(1, 1, 2, 4, 1, 'r'), pair("k"), end}, true},
		"empty":                     {[][]byte{header(0, 0, 0, 0), end}, true},
		"no header":                 {[][]byte{{version, tagChunk}, end}, false},
		"two headers":               {[][]byte{header(9, 9, 0, 0), header(9, 9, 0, 0)[2:], end}, false},
		"session after a pair":      {[][]byte{header(9, 9, 1, 1), pair("k"), ses(1, 0, 1, 0, 0), end}, false},
		"something after the end":   {[][]byte{header(0, 0, 0, 0), end, end}, false},
		"unknown item":              {[][]byte{header(0, 0, 0, 0), {'?'}, end}, false},
		"a session too many":        {[][]byte{header(9, 9, 1, 0), ses(1, 0, 1, 0, 0), ses(2, 0, 2, 0, 0), end}, false},
		"a session too few":         {[][]byte{header(9, 9, 1, 0), end}, false},
		"a pair too many":           {[][]byte{header(9, 9, 0, 1), pair("a"), pair("b"), end}, false},
		"a pair too few":            {[][]byte{header(9, 9, 0, 1), end}, false},
		"pairs out of order":        {[][]byte{header(9, 9, 0, 2), pair("b"), pair("a"), end}, false},
		"a pair twice":              {[][]byte{header(9, 9, 0, 2), pair(""), pair(""), end}, false},
		"sessions out of order":     {[][]byte{header(9, 9, 2, 0), ses(2, 0, 2, 0, 0), ses(1, 0, 1, 0, 0), end}, false},
		"session zero":              {[][]byte{header(9, 9, 1, 0), ses(0, 0, 1, 0, 0), end}, false},
		"session of the future":     {[][]byte{header(9, 9, 1, 0), ses(10, 0, 10, 0, 0), end}, false},
		"used before it was opened": {[][]byte{header(9, 9, 1, 0), ses(2, 0, 1, 0, 0), end}, false},
		"used in the future":        {[][]byte{header(9, 9, 1, 0), ses(1, 0, 1, 20, 0), end}, false},
		"two used by one entry":     {[][]byte{header(9, 9, 2, 0), ses(1, 0, 3, 0, 0), ses(2, 0, 3, 0, 0), end}, false},
		"time against the order":    {[][]byte{header(9, 9, 2, 0), ses(1, 0, 1, 8, 0), ses(2, 0, 2, 6, 0), end}, false},
		"reply without a request":   {[][]byte{header(9, 9, 1, 0), ses(1, 0, 1, 0, 1, 'r'), end}, false},
		"request without a reply":   {[][]byte{header(9, 9, 1, 0), ses(1, 1, 1, 0, 0), end}, false},
		"reply beyond the end":      {[][]byte{header(9, 9, 1, 0), ses(1, 1, 1, 0, 200)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := New(Limits{}).Load(bytes.Join(tc.parts, nil))
			require.Equal(t, tc.ok, err == nil, "%v", err)
		})
	}
}

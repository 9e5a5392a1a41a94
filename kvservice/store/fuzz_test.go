package store

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

// FuzzDecodeCommand: decoding never panics, and what it accepts encodes to the
// same bytes, so there is one encoding of each command.
func FuzzDecodeCommand(f *testing.F) {
	for _, c := range []Command{
		{Kind: OpenSession, MaxSessions: 1 << 40, AgeMillis: 1 << 20},
		{Kind: Expire, AgeMillis: 1800000},
		{Kind: Update, Session: 1, Number: 2, MaxValue: 3, ReplyBudget: 4, Writes: []Write{
			{Key: "a", Value: "b"}, {Op: tandem.OpCompareAndSwap, Value: "v", Expected: "e"}, {Op: tandem.OpDelete, Key: "k"},
		}},
	} {
		f.Add(c.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		require.NoError(t, c.Check())
		require.Equal(t, b, c.Append(nil))
	})
}

// FuzzDecodeReply does the same for all the replies.
func FuzzDecodeReply(f *testing.F) {
	p := Reply{Err: tandem.OK, Session: 9, Results: []Result{{Err: tandem.ErrNoKey}, {Err: tandem.OK, Swapped: true, Previous: "p"}}}
	f.Add(p.Append(nil))
	f.Add(appendGetReply(nil, &tandem.GetReply{Err: tandem.OK, Value: "v"}))
	f.Add(appendScanReply(nil, &tandem.ScanReply{Err: tandem.OK, Scan: 1, Index: 2, More: true, Pairs: []tandem.Pair{{Key: "k", Value: "v"}}}))
	stats := Stats{Index: 1, TimeMillis: -2, Keys: 3}
	f.Add(stats.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodeReply(b); err == nil {
			require.Equal(t, b, p.Append(nil))
		}
		if p, err := GetReply(b); err == nil {
			require.Equal(t, b, appendGetReply(nil, &p))
		}
		if p, err := ScanReply(b); err == nil {
			require.Equal(t, b, appendScanReply(nil, &p))
		}
		if p, err := StatsReply(b); err == nil {
			require.Equal(t, b, p.append(nil))
		}
		PutReply(b)
	})
}

// FuzzRead: no query makes a store panic, and each answer is to what was asked.
func FuzzRead(f *testing.F) {
	l := furnished(f)
	get := getQuery{key: "key1"}
	f.Add(get.append(nil))
	page := scanQuery{prefix: "key", limit: 2, scan: 3, after: "key2"}
	f.Add(page.append(nil))
	f.Add(StatsQuery())
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := l.store.Clone().Read(b)
		if answer == nil {
			return
		}
		switch b[1] {
		case tagGet:
			r := reader{b: b[2:]}
			q := r.getQuery()
			require.Equal(t, b, q.append(nil))
			_, err := GetReply(answer)
			require.NoError(t, err)
		case tagScan:
			r := reader{b: b[2:]}
			q := r.scanQuery()
			require.Equal(t, b, q.append(nil))
			_, err := ScanReply(answer)
			require.NoError(t, err)
		default:
			_, err := StatsReply(answer)
			require.NoError(t, err)
		}
	})
}

// FuzzLoad: no chunk makes a store panic, and a snapshot that is accepted is
// the one that the store then gives.
func FuzzLoad(f *testing.F) {
	for _, s := range []*Store{New(Limits{}), furnished(f).store} {
		chunk, _ := s.Snapshot().Chunk(nil, 1<<20)
		f.Add(chunk)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := New(Limits{})
		if s.Load(b) != nil || !s.loading.idle() {
			require.False(t, s.loading.idle() && s.loading.stage != 0)
			return
		}
		if s.loading.stage == 0 {
			return // a chunk without items
		}
		require.True(t, bytes.Equal(b, s.AppendState(nil)))
		check(t, s)
		require.True(t, load(t, s, s.Snapshot(), 7).Equal(s))
	})
}

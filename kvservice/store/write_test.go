package store

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

func TestEachOperationOnAbsentAndPresentKeys(t *testing.T) {
	labHash := func(s string) string { return strconv.Itoa(int(tandem.Hash(s))) }
	for _, tc := range []struct {
		name    string
		args    tandem.PutArgs
		before  string
		present bool

		want     tandem.PutReply // Outcome is DidRun in all
		after    string
		presence bool
	}{
		{name: "Put absent", args: tandem.PutArgs{Value: "v"}, after: "v", presence: true},
		{name: "Put present", args: tandem.PutArgs{Value: "v"}, before: "old", present: true, after: "v", presence: true},
		{name: "Put nothing is still a value", args: tandem.PutArgs{}, after: "", presence: true},
		{
			name: "PutHash absent", args: tandem.PutArgs{Op: tandem.OpPutHash, Value: "v"},
			after: labHash("v"), presence: true,
		},
		{
			name: "PutHash present", args: tandem.PutArgs{Op: tandem.OpPutHash, Value: "v"}, before: "old", present: true,
			want: tandem.PutReply{PreviousValue: "old"}, after: labHash("oldv"), presence: true,
		},
		{
			name: "PutHash as the lab asks for it", args: tandem.PutArgs{DoHash: true, Value: "v"}, before: "old", present: true,
			want: tandem.PutReply{PreviousValue: "old"}, after: labHash("oldv"), presence: true,
		},
		{name: "Append absent", args: tandem.PutArgs{Op: tandem.OpAppend, Value: "v"}, after: "v", presence: true},
		{name: "Append present", args: tandem.PutArgs{Op: tandem.OpAppend, Value: "v"}, before: "old", present: true, after: "oldv", presence: true},
		{name: "Append nothing to nothing", args: tandem.PutArgs{Op: tandem.OpAppend}, presence: true},
		{name: "Delete absent", args: tandem.PutArgs{Op: tandem.OpDelete}, want: tandem.PutReply{Err: tandem.ErrNoKey}},
		{name: "Delete present", args: tandem.PutArgs{Op: tandem.OpDelete, Value: "ignored"}, before: "old", present: true},
		{
			name: "CompareAndSwap absent as empty", args: tandem.PutArgs{Op: tandem.OpCompareAndSwap, Value: "v"},
			want: tandem.PutReply{Swapped: true}, after: "v", presence: true,
		},
		{
			name: "CompareAndSwap absent as something",
			args: tandem.PutArgs{Op: tandem.OpCompareAndSwap, Expected: "e", Value: "v"},
		},
		{
			name: "CompareAndSwap equal", before: "old", present: true,
			args: tandem.PutArgs{Op: tandem.OpCompareAndSwap, Expected: "old", Value: "v"},
			want: tandem.PutReply{Swapped: true}, after: "v", presence: true,
		},
		{
			name: "CompareAndSwap unequal", before: "old", present: true,
			args:  tandem.PutArgs{Op: tandem.OpCompareAndSwap, Expected: "other", Value: "v"},
			after: "old", presence: true,
		},
	} {
		for _, key := range []string{"key", "", "\x00\xff"} {
			t.Run(tc.name+" "+strconv.Quote(key), func(t *testing.T) {
				l := newLog(Limits{})
				l.put(t, tandem.PutArgs{Key: key + "!", Value: "neighbour"})
				if tc.present {
					l.put(t, tandem.PutArgs{Key: key, Value: tc.before})
				}
				args, want := tc.args, tc.want
				args.Key = key
				if want.Err == "" {
					want.Err = tandem.OK
				}
				want.Outcome = tandem.DidRun
				require.Equal(t, want, l.put(t, args))
				value, ok := l.store.Get(key)
				require.Equal(t, tc.after, value)
				require.Equal(t, tc.presence, ok)
				wantGet := tandem.GetReply{Err: tandem.OK, Value: tc.after}
				if !tc.presence {
					wantGet.Err = tandem.ErrNoKey
				}
				require.Equal(t, wantGet, get(t, l.store, key))
				require.Equal(t, "neighbour", get(t, l.store, key+"!").Value)
				check(t, l.store)
			})
		}
	}
}

// L6: the bound travels in the entry, so the store's own does not matter.
func TestAppendBeyondTheBoundInItsEntryChangesNothing(t *testing.T) {
	l := newLog(Limits{MaxValue: 1})
	id := l.open(t)
	write := func(number uint64, value string, limit uint64) Reply {
		return l.command(t, Command{
			Kind: Update, Session: id, Number: number, MaxValue: limit,
			Writes: []Write{{Op: tandem.OpAppend, Key: "k", Value: value}},
		})
	}
	require.Equal(t, tandem.OK, write(1, "12345", 5).Err)
	require.Equal(t, tandem.ErrTooLarge, write(2, "6", 5).Err)
	value, _ := l.store.Get("k")
	require.Equal(t, "12345", value)

	// The number is used up, and its reply stays what it was, even if the same
	// would fit now (S3, I10).
	l.put(t, tandem.PutArgs{Key: "k", Value: ""})
	require.Equal(t, tandem.ErrTooLarge, write(2, "6", 5).Err)
	value, _ = l.store.Get("k")
	require.Equal(t, "", value)
	require.Equal(t, tandem.OK, write(3, strings.Repeat("x", 100), 0).Err, "zero is no bound")
}

func TestWritesOfOneCommandSeeEachOther(t *testing.T) {
	l := newLog(Limits{})
	reply := l.command(t, Command{Kind: Update, Writes: []Write{
		{Op: tandem.OpPut, Key: "a", Value: "1"},
		{Op: tandem.OpAppend, Key: "a", Value: "2"},
		{Op: tandem.OpDelete, Key: "b"},
		{Op: tandem.OpCompareAndSwap, Key: "a", Expected: "12", Value: "3"},
		{Op: tandem.OpPutHash, Key: "a", Value: "x"},
	}})
	require.Equal(t, Reply{Err: tandem.OK, Results: []Result{
		{Err: tandem.OK}, {Err: tandem.OK}, {Err: tandem.ErrNoKey},
		{Err: tandem.OK, Swapped: true}, {Err: tandem.OK, Previous: "3"},
	}}, reply)
}

func TestWritesOfOneCommandAreAllOrNone(t *testing.T) {
	l := newLog(Limits{})
	l.put(t, tandem.PutArgs{Key: "a", Value: "old"})
	l.put(t, tandem.PutArgs{Key: "gone", Value: "old"})
	before := l.store.Snapshot()
	reply := l.command(t, Command{Kind: Update, MaxValue: 4, Writes: []Write{
		{Op: tandem.OpPut, Key: "a", Value: "1"},
		{Op: tandem.OpPut, Key: "a", Value: "2"},
		{Op: tandem.OpPut, Key: "new", Value: "1"},
		{Op: tandem.OpDelete, Key: "new"},
		{Op: tandem.OpPut, Key: "new", Value: "2"},
		{Op: tandem.OpDelete, Key: "gone"},
		{Op: tandem.OpAppend, Key: "a", Value: "34567"},
	}})
	require.Equal(t, Reply{Err: tandem.ErrTooLarge}, reply)
	after := load(t, l.store, before, 1<<20)
	require.Equal(t, after.Stats().Bytes, l.store.Stats().Bytes)
	for k, v := range after.All() {
		value, ok := l.store.Get(k)
		require.True(t, ok)
		require.Equal(t, v, value)
	}
	check(t, l.store)
}

package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

func keysOf(p tandem.ScanReply) (keys []string) {
	for _, pair := range p.Pairs {
		keys = append(keys, pair.Key)
	}
	return keys
}

func stocked(t require.TestingT, l Limits, keys ...string) *log {
	log := newLog(l)
	for _, k := range keys {
		log.put(t, tandem.PutArgs{Key: k, Value: "v" + k})
	}
	return log
}

func TestPagesOfAScanAreOfOneIndex(t *testing.T) {
	l := stocked(t, Limits{}, "", "a", "b", "c", "d")
	first := scan(t, l.store, tandem.ScanArgs{Limit: 1})
	require.Equal(t, []string{""}, keysOf(first), "the empty key is the first")
	require.True(t, first.More)
	require.EqualValues(t, 5, first.Index)

	l.put(t, tandem.PutArgs{Key: "b", Op: tandem.OpDelete})
	l.put(t, tandem.PutArgs{Key: "aa", Value: "new"})
	l.put(t, tandem.PutArgs{Key: "c", Value: "new"})

	page := tandem.ScanArgs{Limit: 3, Scan: first.Scan, After: ""}
	second := scan(t, l.store, page)
	require.Equal(t, []string{"a", "b", "c"}, keysOf(second))
	require.Equal(t, "vc", second.Pairs[2].Value)
	require.EqualValues(t, 5, second.Index)
	require.Equal(t, second, scan(t, l.store, page), "a page whose reply was lost can be had again")

	page.After = "c"
	last := scan(t, l.store, page)
	require.Equal(t, []string{"d"}, keysOf(last))
	require.False(t, last.More)
	require.Equal(t, last, scan(t, l.store, page), "the last one too")

	require.Equal(t, []string{"", "a", "aa", "c", "d"}, keysOf(scan(t, l.store, tandem.ScanArgs{})))
}

func TestAPageIsBoundedButNeverEmpty(t *testing.T) {
	big := strings.Repeat("x", 1000)
	l := newLog(Limits{PageBytes: 100, PagePairs: 4})
	l.put(t, tandem.PutArgs{Key: "0", Value: big})
	for i := range 20 {
		l.put(t, tandem.PutArgs{Key: fmt.Sprintf("1%02d", i), Value: strings.Repeat("y", 5*i)})
	}
	var keys []string
	args := tandem.ScanArgs{}
	for {
		page := scan(t, l.store, args)
		size := 0
		for _, p := range page.Pairs {
			size += len(p.Key) + len(p.Value)
		}
		require.NotEmpty(t, page.Pairs)
		require.LessOrEqual(t, len(page.Pairs), 4)
		require.True(t, size <= 100 || len(page.Pairs) == 1)
		keys = append(keys, keysOf(page)...)
		if !page.More {
			break
		}
		args = tandem.ScanArgs{Scan: page.Scan, After: keys[len(keys)-1], Limit: 1000}
	}
	require.Len(t, keys, 21)
}

func TestScanOfAPrefix(t *testing.T) {
	l := stocked(t, Limits{}, "", "a", "a\x00", "ab", "a\xff", "a\xff\xff", "b")
	for prefix, want := range map[string][]string{
		"a":     {"a", "a\x00", "ab", "a\xff", "a\xff\xff"},
		"a\xff": {"a\xff", "a\xff\xff"},
		"b":     {"b"},
		"c":     nil,
	} {
		p := scan(t, l.store, tandem.ScanArgs{Prefix: prefix})
		require.Equal(t, want, keysOf(p))
		require.False(t, p.More)
		require.Zero(t, p.Scan, "nothing is held for a scan of one page")
		require.Zero(t, l.store.Stats().Cursors)
	}
	require.Equal(t, []string{"ab", "a\xff", "a\xff\xff"},
		keysOf(scan(t, l.store, tandem.ScanArgs{Prefix: "a", After: "a\x00"})), "a scan may start half-way")
	require.Equal(t, []string{"b"}, keysOf(scan(t, l.store, tandem.ScanArgs{Prefix: "b", After: "a"})))
	require.Empty(t, keysOf(scan(t, l.store, tandem.ScanArgs{Prefix: "a", After: "z"})))
	require.Equal(t, tandem.ScanReply{Err: tandem.OK}, scan(t, New(Limits{}), tandem.ScanArgs{}))
}

func TestACursorGoesByAgeAndByNumber(t *testing.T) {
	l := stocked(t, Limits{MaxCursors: 2, CursorTicks: 3}, "a", "b")
	begin := func() tandem.ScanArgs {
		p := scan(t, l.store, tandem.ScanArgs{Limit: 1})
		l.put(t, tandem.PutArgs{Key: "b", Value: "moves on"})
		return tandem.ScanArgs{Scan: p.Scan, After: "a"}
	}
	one, two := begin(), begin()
	require.Equal(t, tandem.OK, scan(t, l.store, one).Err)
	three := begin()
	require.EqualValues(t, 2, l.store.Stats().Cursors)
	require.Equal(t, tandem.ErrScanLost, scan(t, l.store, two).Err, "it went unused longest")
	require.Equal(t, tandem.OK, scan(t, l.store, one).Err)

	l.store.Tick()
	l.store.Tick()
	require.Equal(t, tandem.OK, scan(t, l.store, three).Err)
	clone := l.store.Clone().(*Store)
	l.store.Tick()
	require.Equal(t, tandem.ErrScanLost, scan(t, l.store, one).Err)
	require.Equal(t, tandem.OK, scan(t, l.store, three).Err)
	require.Equal(t, tandem.OK, scan(t, clone, one).Err, "a clone ages by itself")
	for range 3 {
		l.store.Tick()
	}
	require.Zero(t, l.store.Stats().Cursors)
}

func TestScansBegunAtOneIndexShareACursor(t *testing.T) {
	l := stocked(t, Limits{MaxCursors: 1}, "a", "b", "c")
	var scans []tandem.ScanArgs
	for range 5 {
		p := scan(t, l.store, tandem.ScanArgs{Limit: 1})
		scans = append(scans, tandem.ScanArgs{Scan: p.Scan, After: "a"})
	}
	l.put(t, tandem.PutArgs{Key: "b", Op: tandem.OpDelete})
	for _, args := range scans {
		require.Equal(t, []string{"b", "c"}, keysOf(scan(t, l.store, args)))
	}
}

// I5: a cursor is named by its index, so what another server answers to the
// name, if it does, is the same.
func TestACursorsNameCannotBeMistaken(t *testing.T) {
	l := stocked(t, Limits{}, "a", "b", "c")
	p := scan(t, l.store, tandem.ScanArgs{Limit: 1})
	args := tandem.ScanArgs{Scan: p.Scan, After: "a"}

	other := load(t, l.store, l.store.Snapshot(), 100)
	require.Equal(t, scan(t, l.store, args), scan(t, other, args), "at that very index")
	restarted := stocked(t, Limits{}, "x", "y")
	require.Equal(t, "x", keysOf(scan(t, restarted.store, tandem.ScanArgs{Limit: 1}))[0])
	require.Equal(t, tandem.ErrScanLost, scan(t, restarted.store, args).Err)

	behind := New(Limits{})
	require.Equal(t, tandem.ErrScanLost, scan(t, behind, args).Err)
	require.Zero(t, behind.Stats().Cursors)
}

func TestScansAreNoReplicatedState(t *testing.T) {
	l := stocked(t, Limits{}, "a", "b")
	before := l.store.AppendState(nil)
	scan(t, l.store, tandem.ScanArgs{Limit: 1})
	require.EqualValues(t, 1, l.store.Stats().Cursors)
	require.Equal(t, before, l.store.AppendState(nil))
	require.Zero(t, load(t, l.store, l.store.Snapshot(), 100).Stats().Cursors)
}

package kvservice

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/sysmonitor"
)

// group is a view service with servers a, b, ... that became primary, backup and
// idle in that order, and a client.
type group struct {
	dir     string
	monitor *sysmonitor.MonitorServer
	servers []*KVServer
	client  *KVClient
}

const soon = 20 * time.Second

func startGroup(t *testing.T, n int, opts ...Option) *group {
	t.Helper()
	g := &group{dir: socketDir(t)}
	g.monitor = startMonitor(t, g.dir)
	for i := range n {
		s := startServer(t, g.monitor, filepath.Join(g.dir, string(rune('a'+i))), opts...)
		g.servers = append(g.servers, s)
		a := g.servers[0]
		switch i {
		case 0:
			require.Eventually(t, func() bool { return a.Status().Authority == "solo" }, soon, time.Millisecond)
		case 1:
			require.Eventually(t, func() bool { return a.Status().BackupInSync && a.Status().Active && s.Status().Active }, soon, time.Millisecond)
		default:
			require.Eventually(t, func() bool { return s.Status().View.Viewnum > 0 }, soon, time.Millisecond)
		}
	}
	g.client = MakeKVClient(g.monitor.Addr())
	t.Cleanup(g.client.Close)
	return g
}

// tableOf returns what a server holds.
func tableOf(t *testing.T, addr, prefix string) (map[string]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	got := make(map[string]string)
	last := ""
	err := ReadTable(ctx, addr, prefix, func(key, value string) bool {
		require.True(t, len(got) == 0 || last < key, "in the order of keys, once each")
		last = key
		got[key] = value
		return true
	})
	return got, err
}

// fill puts more than one page holds, has members apply it, and returns it.
func (g *group) fill(t *testing.T) map[string]string {
	want := map[string]string{"": "the empty key", "k\xff": "\x00\xff"}
	for i := range 25 {
		want[fmt.Sprintf("large %02d", i)] = strings.Repeat("x", 100<<10)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		g.client.Put(key, want[key])
	}
	// A backup learns with the next message that the last is committed.
	applied := g.servers[0].Status().Applied
	for _, s := range g.servers[:min(2, len(g.servers))] {
		require.Eventually(t, func() bool { return s.Status().Applied == applied }, soon, time.Millisecond)
	}
	return want
}

// V9: when the group is down, what its last members hold can still be had, from
// each of them and from nobody else.
func TestTableOfOneServerCanBeReadWhenTheGroupIsDown(t *testing.T) {
	g := startGroup(t, 3)
	want := g.fill(t)
	a, b, c := g.servers[0], g.servers[1], g.servers[2]

	got, err := tableOf(t, a.Addr(), "")
	require.NoError(t, err)
	require.Equal(t, want, got)

	g.monitor.Kill()
	a.Kill()
	got, err = tableOf(t, b.Addr(), "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = tableOf(t, b.Addr(), "k")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k\xff": "\x00\xff"}, got)

	st, err := ReadStatus(context.Background(), b.Addr())
	require.NoError(t, err)
	require.Equal(t, "backup", st.Role)
	require.True(t, st.HoldsState)
	require.EqualValues(t, len(want), st.Keys)

	_, err = tableOf(t, c.Addr(), "")
	require.ErrorIs(t, err, ErrNoState, "an empty table would be a lie")
	require.ErrorContains(t, err, c.Addr())
	_, err = tableOf(t, a.Addr(), "")
	require.ErrorIs(t, err, rpcnet.ErrNotSent)
	require.ErrorContains(t, err, a.Addr())
	_, err = ReadStatus(context.Background(), a.Addr())
	require.ErrorContains(t, err, a.Addr())
}

func TestReadingATableEndsWhereItsReaderWants(t *testing.T) {
	g := startGroup(t, 1)
	g.fill(t)
	n := 0
	require.NoError(t, ReadTable(context.Background(), g.servers[0].Addr(), "large", func(string, string) bool {
		n++
		return n < 15 // on the second page
	}))
	require.Equal(t, 15, n)
	ctx, cancel := context.WithCancel(context.Background())
	err := ReadTable(ctx, g.servers[0].Addr(), "", func(string, string) bool {
		cancel()
		return true
	})
	require.ErrorIs(t, err, context.Canceled)
}

// A table is of one moment: what is written while it is read does not show.
func TestTableIsOfOneMoment(t *testing.T) {
	g := startGroup(t, 2)
	want := g.fill(t)
	got := make(map[string]string)
	require.NoError(t, ReadTable(context.Background(), g.servers[1].Addr(), "", func(key, value string) bool {
		if len(got) == 0 {
			g.client.Put("large 24", "written later")
			g.client.Put("zzz", "also")
			require.Eventually(t, func() bool { return g.servers[1].Status().Keys == uint64(len(want)+1) }, soon, time.Millisecond)
		}
		got[key] = value
		return true
	}))
	require.Equal(t, want, got)
}

// readThrough reads a table, and has something happen after the first page.
func readThrough(t *testing.T, addr string, happens func()) error {
	t.Helper()
	first := true
	return ReadTable(context.Background(), addr, "", func(string, string) bool {
		if first {
			first = false
			happens()
		}
		return true
	})
}

func TestTableOfAnotherLifeIsNotTakenForTheRest(t *testing.T) {
	g := startGroup(t, 2)
	g.fill(t)
	b := g.servers[1]
	require.ErrorIs(t, readThrough(t, b.Addr(), func() {
		b.Kill()
		again := startServer(t, g.monitor, b.Addr())
		require.Eventually(t, func() bool { return again.Status().Installed }, soon, time.Millisecond)
	}), tandem.ErrScanLost)
}

// T3: an installed transfer takes the moment away that was being read.
func TestTransferEndsTheReadingOfATable(t *testing.T) {
	faults := rpcnet.NewFaults(1)
	g := startGroup(t, 3, WithFaults(faults), WithLimits(Limits{RetainBytes: 1 << 20}))
	g.fill(t)
	a, b, c := g.servers[0], g.servers[1], g.servers[2]
	before := b.Status()
	require.ErrorIs(t, readThrough(t, b.Addr(), func() {
		for _, other := range []string{g.monitor.Addr(), a.Addr(), c.Addr()} {
			faults.Cut(b.Addr(), other)
		}
		require.Eventually(t, func() bool { st := a.Status(); return st.BackupInSync && st.View.Backup == c.Addr() }, soon, time.Millisecond)
		for range 3 { // or the missing entries would do (rule T4)
			g.client.Put("large", strings.Repeat("y", 1<<20))
		}
		faults.HealAll()
		c.Kill()
		require.Eventually(t, func() bool { return b.Status().Installs > before.Installs }, soon, time.Millisecond)
		require.Equal(t, before.DeltaInstalls, b.Status().DeltaInstalls)
	}), tandem.ErrScanLost)
	got, err := tableOf(t, b.Addr(), "large")
	require.NoError(t, err)
	require.Len(t, got["large"], 1<<20)
}

func TestStatusTellsWhoWasHeardAndWhatTheBackupLacks(t *testing.T) {
	g := startGroup(t, 2)
	g.client.Put("k", "v")
	a, b := g.servers[0], g.servers[1]
	for _, s := range g.servers {
		st, err := ReadStatus(context.Background(), s.Addr())
		require.NoError(t, err)
		require.Equal(t, s.Status().Server, st.Server)
		require.Positive(t, st.PingsAnswered)
		require.GreaterOrEqual(t, st.PingsSent, st.PingsAnswered)
		require.Less(t, st.MonitorSilent, st.Uptime)
		require.Positive(t, st.PeerSilent)
		require.Less(t, st.PeerSilent, st.Uptime)
		require.Zero(t, st.BackupLag)
		require.True(t, st.HoldsState)
		require.Equal(t, os.Getpid(), st.PID)
		require.Greater(t, st.Memory, uint64(1<<20))
	}

	// Nobody changes the view any more, and the backup is silent.
	g.monitor.Kill()
	b.Kill()
	const silence = 300 * time.Millisecond
	require.Eventually(t, func() bool {
		st := a.Status()
		return st.MonitorSilent > silence && st.PeerSilent > silence && st.MonitorTrouble != ""
	}, soon, time.Millisecond)
	sent, answered := a.Status().PingsSent, a.Status().PingsAnswered
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.client.PutContext(ctx, "k", strings.Repeat("w", 1000)) }()
	require.Eventually(t, func() bool { return a.Status().BackupLag > 0 }, soon, time.Millisecond)
	require.Greater(t, a.Status().BackupLagBytes, uint64(1000))
	require.Eventually(t, func() bool { return a.Status().PingsSent > sent }, soon, time.Millisecond)
	require.Equal(t, answered, a.Status().PingsAnswered)
	cancel()
	require.ErrorIs(t, <-done, ErrOutcomeUnknown)
}

func TestIdleServerHasNoPeerAndNoState(t *testing.T) {
	st := startGroup(t, 3).servers[2].Status()
	require.Equal(t, "idle", st.Role)
	require.Zero(t, st.PeerSilent)
	require.False(t, st.HoldsState)
}

func TestDoneTellsThatAServerIsGone(t *testing.T) {
	s := startGroup(t, 1).servers[0]
	select {
	case <-s.Done():
		t.Fatal("done while it serves")
	default:
	}
	s.Kill()
	<-s.Done()
}

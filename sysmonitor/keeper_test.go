package sysmonitor

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

// gate is a disk that does nothing until it is let.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
}

func (g *gate) wait(string, string) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
	return nil
}

// closed returns a gate; opening it lets everything through.
func closed() *gate { return &gate{open: make(chan struct{})} }

// TestDurableBeforeAnnounced: V10. While the disk is at it the former view stands
// for everybody: pings get no answer, and Gets the old one; then all hear the new
// one. Whoever starts from the disk meanwhile goes on from the old.
func TestDurableBeforeAnnounced(t *testing.T) {
	f, g := &fakeFiles{}, closed()
	dir := t.TempDir()
	m := startTest(t, WithData(dir), withFiles(f), WithPingInterval(time.Minute))
	a, b := clientOf(t, m, "a"), clientOf(t, m, "b")
	ping(t, a, PingArgs{Me: "a", Incarnation: 5, Seq: 1})
	ping(t, a, PingArgs{Me: "a", Incarnation: 5, Seq: 2, Viewnum: 1})

	f.done()
	f.set(g.wait)
	answered := make(chan *PingReply, 2)
	var pings sync.WaitGroup
	pings.Go(func() { answered <- ping(t, b, PingArgs{Me: "b", Incarnation: 5, Seq: 1}) })
	poll(t, func() bool { return len(f.done()) > 0 }, "the write")
	pings.Go(func() { answered <- ping(t, a, PingArgs{Me: "a", Incarnation: 5, Seq: 3, Viewnum: 1}) })
	poll(t, func() bool {
		for _, s := range m.Status().Servers {
			if s.Addr == "b" {
				return true
			}
		}
		return false
	}, "b to be heard")
	v, ok := a.Get()
	require.True(t, ok)
	require.EqualValues(t, 1, v.Viewnum)
	st := m.Status()
	require.EqualValues(t, 1, st.View.Viewnum)
	require.Contains(t, st.Why, "view 2 waits to be durable")
	require.Empty(t, answered)
	r, err := readData((&dataDir{dir: dir}).path(recordFile))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.View.Viewnum)

	f.set(nil)
	close(g.open)
	pings.Wait()
	for range 2 {
		require.EqualValues(t, 2, (<-answered).View.Viewnum)
	}
	r, err = readData((&dataDir{dir: dir}).path(recordFile))
	require.NoError(t, err)
	require.Equal(t, m.Status().View, r.View)
}

// TestFullDisk: V10. Nothing new is announced while it cannot be kept; that is said
// once, and so is that it can again. The servers are heard all the while.
func TestFullDisk(t *testing.T) {
	log, text := logged(slog.LevelInfo)
	f := &fakeFiles{}
	m := startTest(t, WithData(t.TempDir()), withFiles(f), log, WithDeadPings(1<<30))
	pair(t, m)
	f.set(full)
	var load sync.WaitGroup
	c := clientOf(t, m, "a")
	load.Go(func() { c.PingServer(t.Context(), PingArgs{Me: "a", Incarnation: 6, Seq: 1}) }) // it restarted
	poll(t, func() bool { return m.Status().DiskTrouble != "" }, "the trouble to show")
	attempts := 0
	poll(t, func() bool { attempts += len(f.done()); return attempts > 4 }, "several attempts")
	st := m.Status()
	require.Contains(t, st.DiskTrouble, "views.part: no space left on device")
	require.Contains(t, st.Why, "view 3 waits to be durable: write ")
	require.EqualValues(t, 2, st.View.Viewnum)
	v, ok := clientOf(t, m, "any").Get()
	require.True(t, ok)
	require.EqualValues(t, 2, v.Viewnum)

	f.set(nil)
	load.Wait()
	poll(t, func() bool { return m.Status().View.Viewnum == 3 }, "the next view")
	require.Empty(t, m.Status().DiskTrouble)
	m.Kill()
	require.Equal(t, 1, strings.Count(text(), "level=WARN"), text())
	require.Equal(t, 1, strings.Count(text(), "cannot be kept"))
	require.Equal(t, 1, strings.Count(text(), "can be kept again"))
	require.Less(t, strings.Index(text(), "can be kept again"), strings.Index(text(), "number=3"), "a view is told of when it is announced")
}

// TestSlowDisk: V10. A disk that does not answer is in trouble as well; Kill does
// not wait for it for long, and the directory stays in use as long as its write may
// yet land.
func TestSlowDisk(t *testing.T) {
	log, text := logged(slog.LevelWarn)
	f, g := &fakeFiles{}, closed()
	dir := t.TempDir()
	m := startTest(t, WithData(dir), withFiles(f), log)
	f.set(g.wait)
	c := clientOf(t, m, "a")
	var load sync.WaitGroup
	load.Go(func() {
		_, err := c.PingServer(t.Context(), PingArgs{Me: "a", Incarnation: 6, Seq: 1})
		require.Error(t, err, "the service was killed first")
	})
	poll(t, func() bool { return strings.Contains(text(), "cannot be kept") }, "the trouble to be told")
	require.Contains(t, m.Status().DiskTrouble, "the disk has taken 1")
	m.Kill()
	load.Wait()
	_, err := Start(m.Addr(), WithData(dir))
	require.ErrorIs(t, err, ErrDataInUse)
	close(g.open)
	<-m.owner.keeper.done
	m = startTest(t, WithData(dir))
	require.EqualValues(t, 1, m.Status().View.Viewnum, "what was under way has landed")
}

// TestKilledWhileTheDiskIsFull: no goroutine is left, and what was announced stands.
// (TestMain sees to the goroutines.)
func TestKilledWhileTheDiskIsFull(t *testing.T) {
	f := &fakeFiles{}
	dir := t.TempDir()
	m := startTest(t, WithData(dir), withFiles(f))
	pair(t, m)
	f.set(full)
	c := clientOf(t, m, "a")
	var load sync.WaitGroup
	load.Go(func() { c.PingServer(t.Context(), PingArgs{Me: "a", Incarnation: 6, Seq: 1}) })
	poll(t, func() bool { return m.Status().DiskTrouble != "" }, "the trouble to show")
	m.Kill()
	load.Wait()
	select {
	case <-m.owner.keeper.done:
	default:
		t.Fatal("the keeper is left")
	}
	m = startTest(t, WithData(dir))
	require.EqualValues(t, 2, m.Status().View.Viewnum)
}

// TestStartOver: V0. A cluster is given up, its record stays beside, its servers
// are refused for what they are, and a new cluster begins.
func TestStartOver(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenData(dir)
	require.ErrorIs(t, err, ErrNoData)
	require.ErrorContains(t, err, dir)
	require.NoFileExists(t, (&dataDir{dir: dir}).path(lockFile), "it looked only")

	m := startTest(t, WithData(dir))
	pair(t, m)
	_, err = OpenData(dir)
	require.ErrorIs(t, err, ErrDataInUse)
	old := m.Status()
	m.Kill()

	d, err := OpenData(dir)
	require.NoError(t, err)
	defer d.Close()
	v, active := d.View()
	require.Equal(t, old.View, v)
	require.Equal(t, old.Active, active)
	require.Equal(t, old.InSync, d.InSync())
	_, err = Start(m.Addr(), WithData(dir))
	require.ErrorIs(t, err, ErrDataInUse)
	before, err := os.ReadFile(d.data.path(recordFile))
	require.NoError(t, err)
	beside, err := d.StartOver()
	require.NoError(t, err)
	after, err := os.ReadFile(beside)
	require.NoError(t, err)
	require.Equal(t, before, after)
	_, err = d.StartOver()
	require.ErrorContains(t, err, "given up already")
	d.Close()

	log, text := logged(slog.LevelInfo)
	m = startTest(t, WithData(dir), log)
	require.Contains(t, text(), fmt.Sprintf("cluster %x was given up, and a new one begins", v.Cluster))
	c := clientOf(t, m, "a")
	for _, viewnum := range []uint{0, 2, 9} {
		_, err = c.PingServer(t.Context(), PingArgs{Me: "a", Incarnation: 5, Seq: uint64(100 + viewnum), Viewnum: viewnum, Cluster: old.View.Cluster})
		require.ErrorIs(t, err, tandem.ErrWrongCluster)
	}
	require.False(t, m.Status().LostMemory)
	r := ping(t, c, PingArgs{Me: "a", Incarnation: 6, Seq: 1})
	require.EqualValues(t, 1, r.View.Viewnum)
	require.NotEqual(t, old.View.Cluster, r.View.Cluster)
	m.Kill()
	m = startTest(t, WithData(dir))
	require.Equal(t, r.View, m.Status().View)
	m.Kill()

	// One that was asked to begin the old cluster again does not.
	d, err = OpenData(dir)
	require.NoError(t, err)
	_, err = d.StartOver()
	require.NoError(t, err)
	d.Close()
	_, err = Start(m.Addr(), WithData(dir), WithCluster(old.View.Cluster))
	require.ErrorContains(t, err, "was given up")
}

// TestStartOverThatFails: whatever step fails, the directory can be used, and
// giving the cluster up again works.
func TestStartOverThatFails(t *testing.T) {
	for fails := range 4 {
		dir := kept(t, someRecord())
		f := &fakeFiles{}
		d, err := openForRepair(dir, f)
		require.NoError(t, err)
		at := 0
		f.set(func(step, path string) error {
			if at++; at == fails+1 {
				return full(step, path)
			}
			return nil
		})
		_, err = d.StartOver()
		require.ErrorIs(t, err, syscall.ENOSPC)
		d.Close()
		d, err = OpenData(dir)
		require.NoError(t, err)
		if v, _ := d.View(); fails < 3 {
			require.Equal(t, someRecord().View, v)
			_, err = d.StartOver()
			require.NoError(t, err)
		} else {
			require.Zero(t, v)
		}
		d.Close()
		startTest(t, WithData(dir)).Kill()
	}
}

package sysmonitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// poll waits until done.
func poll(t *testing.T, done func() bool, what string, args ...any) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for "+what, args...)
		}
	}
}

// socketDir returns a directory whose name is short enough for sockets.
func socketDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "tdm")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startTest starts a view service that is quick to suspect and says nothing.
func startTest(t *testing.T, opts ...Option) *MonitorServer {
	t.Helper()
	// A wait that ends by the limit would look like one that ends for a reason.
	opts = append([]Option{WithLimits(Limits{Wait: time.Hour}), WithPingInterval(20 * time.Millisecond), WithLogger(slog.New(slog.DiscardHandler))}, opts...)
	m, err := Start(filepath.Join(socketDir(t), "m"), opts...)
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	return m
}

func clientOf(t *testing.T, m *MonitorServer, me string, opts ...ClientOption) *Client {
	c := MakeClient(me, m.Addr(), opts...)
	t.Cleanup(c.Close)
	return c
}

func ping(t *testing.T, c *Client, args PingArgs) *PingReply {
	t.Helper()
	reply, err := c.PingServer(t.Context(), args)
	require.NoError(t, err)
	return reply
}

// TestPingRepliesCarryTheIntervals: servers follow what the service announces.
func TestPingRepliesCarryTheIntervals(t *testing.T) {
	m := startTest(t, WithPingInterval(50*time.Millisecond), WithDeadPings(7))
	r := ping(t, clientOf(t, m, "a"), PingArgs{Me: "a", Incarnation: 1, Seq: 1})
	require.Equal(t, 50*time.Millisecond, r.PingInterval)
	require.Equal(t, 7, r.DeadPings)
	require.NotZero(t, r.View.Cluster, "V0")
}

// TestGetWaits: a Get that names the number it holds is answered when there is a
// newer view, and not before.
func TestGetWaits(t *testing.T) {
	m := startTest(t, WithPingInterval(time.Minute))
	c := clientOf(t, m, "a")
	ping(t, c, PingArgs{Me: "a"})
	answers := make(chan *GetReply, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := c.Wait(t.Context(), GetArgs{Wait: time.Hour, Viewnum: 1})
		if err == nil {
			answers <- r
		}
	})
	poll(t, func() bool { return m.Status().Waiting == 1 }, "the Get to wait")
	ping(t, c, PingArgs{Me: "a", Viewnum: 1})
	require.Empty(t, answers, "an activation is no newer view")
	require.Equal(t, 1, m.Status().Waiting)
	ping(t, c, PingArgs{Me: "b"})
	wg.Wait()
	require.EqualValues(t, 2, (<-answers).View.Viewnum)
	require.Zero(t, m.Status().Waiting)

	// One that holds an older number is answered at once.
	r, err := c.Wait(t.Context(), GetArgs{Wait: time.Hour, Viewnum: 1})
	require.NoError(t, err)
	require.EqualValues(t, 2, r.View.Viewnum)
}

// TestGetWaitIsBounded: by its own time, and by the service's.
func TestGetWaitIsBounded(t *testing.T) {
	m := startTest(t, WithLimits(Limits{Wait: 20 * time.Millisecond}))
	c := clientOf(t, m, "a")
	ping(t, c, PingArgs{Me: "a"})
	for _, wait := range []time.Duration{time.Millisecond, time.Hour} {
		r, err := c.Wait(t.Context(), GetArgs{Wait: wait, Viewnum: 1})
		require.NoError(t, err)
		require.Equal(t, tandem.OK, r.Err)
		require.EqualValues(t, 1, r.View.Viewnum)
	}
	require.Zero(t, m.Status().Waiting)
}

// TestWaitersAreBounded: more than the limit are told so.
func TestWaitersAreBounded(t *testing.T) {
	m := startTest(t, WithLimits(Limits{Waiters: 3, Wait: time.Hour}))
	c := clientOf(t, m, "a")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { c.Wait(ctx, GetArgs{Wait: time.Hour}) })
	}
	poll(t, func() bool { return m.Status().Waiting == 3 }, "three Gets to wait")
	r, err := c.Wait(ctx, GetArgs{Wait: time.Hour})
	require.NoError(t, err)
	require.Equal(t, tandem.ErrBusy, r.Err)
	// Who asks without waiting is served.
	_, ok := c.Get()
	require.True(t, ok)
	cancel()
	wg.Wait()
}

// TestGetIsReleasedWhenTheCallerGoes: with its connection goes the wait.
func TestGetIsReleasedWhenTheCallerGoes(t *testing.T) {
	m := startTest(t)
	c := MakeClient("a", m.Addr())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { c.Wait(t.Context(), GetArgs{Wait: time.Hour}) })
	}
	poll(t, func() bool { return m.Status().Waiting == 10 }, "the Gets to wait")
	c.Close()
	wg.Wait()
	poll(t, func() bool { return m.Status().Waiting == 0 }, "the Gets to be released")
}

// TestShutdownAnswersWhatWaits, and refuses newcomers.
func TestShutdownAnswersWhatWaits(t *testing.T) {
	m := startTest(t)
	c := clientOf(t, m, "a")
	ping(t, c, PingArgs{Me: "a"})
	const n = 20
	errs := make(chan error, n)
	for range n {
		go func() {
			r, err := c.Wait(context.Background(), GetArgs{Wait: time.Hour, Viewnum: 1})
			if err == nil && r.View.Viewnum != 1 {
				err = fmt.Errorf("view %d", r.View.Viewnum)
			}
			errs <- err
		}()
	}
	poll(t, func() bool { return m.Status().Waiting == n }, "the Gets to wait")
	require.NoError(t, m.Shutdown(t.Context()))
	for range n {
		require.NoError(t, <-errs)
	}
	_, err := c.Ping(1)
	require.ErrorContains(t, err, m.Addr())
	require.True(t, m.Status().Down)
	require.Equal(t, "a", m.Status().View.Primary, "what it knew last")
	require.NoError(t, m.Err())
}

// TestShutdownHeedsItsContext: it stops all the same.
func TestShutdownHeedsItsContext(t *testing.T) {
	m := startTest(t)
	nc, err := net.Dial("unix", m.Addr())
	require.NoError(t, err)
	defer nc.Close()
	poll(t, func() bool { m.listener.mu.Lock(); defer m.listener.mu.Unlock(); return len(m.listener.conns) == 1 }, "the connection")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Shutdown(ctx); err != nil { // the connection may have gone in time
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, m.Addr())
	}
	_, err = net.Dial("unix", m.Addr())
	require.Error(t, err)
}

// TestStopInEveryWay: Kill, Shutdown and Close, twice and at the same time, with
// pings and Gets under way. (TestMain sees that no goroutine is left.)
func TestStopInEveryWay(t *testing.T) {
	for i := range 10 {
		m := startTest(t)
		c := MakeClient("a", m.Addr())
		ctx, cancel := context.WithCancel(t.Context())
		var load, stop sync.WaitGroup
		for range 4 {
			load.Go(func() { c.Wait(ctx, GetArgs{Wait: time.Hour, Viewnum: 1}) })
			load.Go(func() {
				for seq := uint64(1); ctx.Err() == nil; seq++ {
					if _, err := c.PingServer(ctx, PingArgs{Me: "a", Incarnation: 1, Seq: seq}); err != nil {
						return
					}
				}
			})
		}
		poll(t, func() bool { return m.Status().View.Viewnum > 0 }, "a view")
		stops := []func(){m.Kill, m.Kill, func() { m.Close() }, func() { m.Shutdown(ctx) }, func() { m.Status() }}
		for k := range stops {
			stop.Go(stops[(k+i)%len(stops)])
		}
		stop.Wait()
		m.Kill()
		require.NoError(t, m.Close())
		cancel()
		load.Wait()
		c.Close()
		c.Close()
		_, err := os.Stat(m.Addr())
		require.ErrorIs(t, err, os.ErrNotExist, "the socket file stays behind")
	}
}

// TestErrorsNameTheAddress.
func TestErrorsNameTheAddress(t *testing.T) {
	m := startTest(t)
	_, err := Start(m.Addr())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, m.Addr())
	require.PanicsWithError(t, err.Error(), func() { StartServer(m.Addr()) })

	long := filepath.Join(t.TempDir(), strings.Repeat("m", 200))
	_, err = Start(long)
	require.ErrorContains(t, err, long)

	absent := filepath.Join(socketDir(t), "absent")
	for _, opts := range [][]ClientOption{nil, {WithDialPerCall()}} {
		c := MakeClient("a", absent, opts...)
		_, err = c.Ping(0)
		require.ErrorContains(t, err, absent)
		_, ok := c.Get()
		require.False(t, ok)
		require.Empty(t, c.Primary())
		_, err = c.Status(t.Context())
		require.ErrorContains(t, err, absent)
		c.Close()
	}
	c := MakeClient("a", " , ")
	_, err = c.Ping(0)
	require.Error(t, err)
	c.Close()

	for _, opt := range []Option{WithPingInterval(time.Microsecond), WithDeadPings(1)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		_, err = Start("127.0.0.1:0", opt, WithListener(l))
		require.ErrorContains(t, err, "127.0.0.1:0")
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed, "the listener is the service's, also when it does not start")
	}
}

// TestTCP: Addr names the port, and a listener may be given.
func TestTCP(t *testing.T) {
	m, err := Start("127.0.0.1:0")
	require.NoError(t, err)
	defer m.Kill()
	require.NotContains(t, m.Addr(), ":0")
	v, err := clientOf(t, m, "a").Ping(0)
	require.NoError(t, err)
	require.Equal(t, "a", v.Primary)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m, err = Start("", WithListener(l), WithCluster(77), WithGroup(3))
	require.NoError(t, err)
	defer m.Kill()
	require.Equal(t, l.Addr().String(), m.Addr())
	c := clientOf(t, m, "a")
	require.EqualValues(t, 77, ping(t, c, PingArgs{Me: "a", Group: 3}).View.Cluster)
	_, err = c.Ping(0)
	require.ErrorIs(t, err, tandem.ErrWrongCluster)
	require.ErrorContains(t, err, m.Addr())
}

// TestListOfMonitors: the addresses are tried in turn, and the one that answered
// is asked first from then on.
func TestListOfMonitors(t *testing.T) {
	m := startTest(t)
	absent := filepath.Join(socketDir(t), "absent")
	c := MakeClient("a", absent+", "+m.Addr())
	defer c.Close()
	v, err := c.Ping(0)
	require.NoError(t, err)
	require.Equal(t, "a", v.Primary)
	require.Equal(t, 1, c.good)
	m.Kill()
	_, err = c.Ping(0)
	require.ErrorContains(t, err, absent)
	require.ErrorContains(t, err, m.Addr())
}

// TestMonitorRestartedWithoutMemory: V0.
func TestMonitorRestartedWithoutMemory(t *testing.T) {
	restart := func(t *testing.T, opts ...Option) (*MonitorServer, *PingReply, *bytes.Buffer) {
		addr := filepath.Join(socketDir(t), "m")
		var log bytes.Buffer
		quiet := WithLogger(slog.New(slog.DiscardHandler))
		m, err := Start(addr, quiet)
		require.NoError(t, err)
		c := clientOf(t, m, "a")
		ping(t, c, PingArgs{Me: "a", Incarnation: 1, Seq: 1})
		r := ping(t, c, PingArgs{Me: "a", Incarnation: 1, Seq: 2, Viewnum: 1})
		m.Kill()
		m, err = Start(addr, append(opts, WithPingInterval(20*time.Millisecond), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))...)
		require.NoError(t, err)
		t.Cleanup(m.Kill)
		return m, r, &log
	}
	old := func(r *PingReply) PingArgs {
		return PingArgs{Me: "a", Incarnation: 1, Seq: 3, Viewnum: 1, Cluster: r.View.Cluster}
	}

	t.Run("old servers first", func(t *testing.T) {
		m, r, log := restart(t)
		c := clientOf(t, m, "a")
		_, err := c.PingServer(t.Context(), old(r))
		require.ErrorIs(t, err, tandem.ErrLostMemory)
		_, err = c.PingServer(t.Context(), PingArgs{Me: "fresh", Incarnation: 9, Seq: 1})
		require.ErrorIs(t, err, tandem.ErrLostMemory, "it stays silent, for fresh servers too")
		g, err := c.Wait(t.Context(), GetArgs{Wait: time.Hour})
		require.NoError(t, err)
		require.Equal(t, tandem.ErrLostMemory, g.Err)
		require.Zero(t, g.View)
		_, ok := c.Get()
		require.False(t, ok)
		st := m.Status()
		require.True(t, st.LostMemory && st.Down)
		require.Contains(t, st.Why, "a/1")
		m.Kill()
		require.Contains(t, log.String(), "V0")
	})
	t.Run("fresh servers first", func(t *testing.T) {
		m, r, _ := restart(t)
		c := clientOf(t, m, "a")
		n := ping(t, c, PingArgs{Me: "fresh", Incarnation: 9, Seq: 1})
		require.Equal(t, "fresh", n.View.Primary)
		require.NotEqual(t, r.View.Cluster, n.View.Cluster)
		_, err := c.PingServer(t.Context(), old(r))
		require.ErrorIs(t, err, tandem.ErrWrongCluster)
		n = ping(t, c, PingArgs{Me: "fresh", Incarnation: 9, Seq: 2, Viewnum: 1, Cluster: n.View.Cluster})
		require.EqualValues(t, 1, n.Active, "the new cluster goes on")
		require.False(t, m.Status().LostMemory)
	})
	t.Run("fresh servers first, and it listens", func(t *testing.T) {
		m, r, _ := restart(t, WithListening(250))
		c := clientOf(t, m, "a")
		n := ping(t, c, PingArgs{Me: "fresh", Incarnation: 9, Seq: 1})
		require.Zero(t, n.View)
		require.Contains(t, m.Status().Why, "listened")
		_, err := c.PingServer(t.Context(), old(r))
		require.ErrorIs(t, err, tandem.ErrLostMemory)
	})
	t.Run("a Get that waits is told", func(t *testing.T) {
		m, r, _ := restart(t)
		c := clientOf(t, m, "a")
		answers := make(chan *GetReply, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if g, err := c.Wait(t.Context(), GetArgs{Wait: time.Hour}); err == nil {
				answers <- g
			}
		})
		poll(t, func() bool { return m.Status().Waiting == 1 }, "the Get to wait")
		_, err := c.PingServer(t.Context(), old(r))
		require.ErrorIs(t, err, tandem.ErrLostMemory)
		wg.Wait()
		require.Equal(t, tandem.ErrLostMemory, (<-answers).Err)
	})
}

// pair brings two servers with incarnations into an active view, each with a
// client of its own, and returns how each pings on.
func pair(t *testing.T, m *MonitorServer, opts ...ClientOption) (a, b *Client, pingAs func(c *Client, viewnum uint)) {
	return pairAt(t, m, "a", "b", opts...)
}

// pairAt is pair for servers at these addresses.
func pairAt(t *testing.T, m *MonitorServer, addrA, addrB string, opts ...ClientOption) (a, b *Client, pingAs func(c *Client, viewnum uint)) {
	a, b = clientOf(t, m, addrA, opts...), clientOf(t, m, addrB, opts...)
	seq := map[*Client]uint64{}
	pingAs = func(c *Client, viewnum uint) {
		seq[c]++
		_, err := c.PingServer(t.Context(), PingArgs{Me: c.me, Incarnation: 5, Seq: seq[c], Viewnum: viewnum})
		require.NoError(t, err)
	}
	pingAs(a, 0)
	pingAs(b, 0)
	pingAs(a, 1)
	pingAs(b, 2)
	pingAs(a, 2)
	require.EqualValues(t, 2, m.Status().Active)
	return a, b, pingAs
}

// TestInvariantStopsThisServerOnly: what breaks in the core ends this server,
// loudly, and nothing else.
func TestInvariantStopsThisServerOnly(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	m := startTest(t, WithLogger(slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))))
	c := clientOf(t, m, "a")
	ping(t, c, PingArgs{Me: "a"})
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Wait(context.Background(), GetArgs{Wait: time.Hour, Viewnum: 1})
		waiting <- err
	}()
	poll(t, func() bool { return m.Status().Waiting == 1 }, "the Get to wait")
	m.owner.post(event{broken: &tandem.InvariantError{Invariant: "I2 ViewChain", Detail: "for a test"}}, nil)
	<-m.owner.done
	var broken *tandem.InvariantError
	require.True(t, errors.As(m.Err(), &broken))
	require.Error(t, <-waiting)
	st := m.Status()
	require.True(t, st.Down)
	require.Contains(t, st.Why, "I2 ViewChain")
	require.Equal(t, "a", st.View.Primary)
	m.Kill()
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, log.String(), "level=ERROR")
	require.Contains(t, log.String(), "I2 ViewChain")
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

// TestStatusOverTheWire: all of it arrives.
func TestStatusOverTheWire(t *testing.T) {
	m := startTest(t, WithPingInterval(time.Minute))
	_, b, _ := pair(t, m)
	st, err := b.Status(t.Context())
	require.NoError(t, err)
	later := m.Status()
	require.Len(t, st.History, 4)
	require.Len(t, later.History, 4)
	before := time.Minute
	for i := range st.History {
		ago := &st.History[i].Ago
		require.Positive(t, *ago)
		require.LessOrEqual(t, *ago, before, "the oldest comes first")
		require.Less(t, *ago, later.History[i].Ago, "time passes")
		before, *ago = *ago, later.History[i].Ago
	}
	require.Equal(t, later, *st)
	require.Len(t, st.Servers, 2)
	require.Equal(t, []Server{{Addr: "a", Incarnation: 5}, {Addr: "b", Incarnation: 5}}, st.InSync)
	require.LessOrEqual(t, len(st.History), view.HistoryMax)
}

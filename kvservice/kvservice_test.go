package kvservice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/sysmonitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socketDir returns a folder with a short path, since those of sockets are
// limited.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kv")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func startMonitor(t *testing.T, dir string) *sysmonitor.MonitorServer {
	t.Helper()
	m, err := sysmonitor.Start(filepath.Join(dir, "monitor"))
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	return m
}

func startServer(t *testing.T, m *sysmonitor.MonitorServer, addr string, opts ...Option) *KVServer {
	t.Helper()
	s, err := Start(m.Addr(), addr, opts...)
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

func TestStartNamesTheAddressThatIsWrong(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	taken := startServer(t, m, filepath.Join(dir, "taken"))
	long := filepath.Join(dir, strings.Repeat("x", 200))
	for name, c := range map[string]struct{ monitor, addr, want string }{
		"in use":         {m.Addr(), taken.Addr(), "address already in use"},
		"path too long":  {m.Addr(), long, "long"},
		"no such host":   {m.Addr(), "256.0.0.1:1", "256.0.0.1"},
		"no view server": {"", filepath.Join(dir, "a"), "view service"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(c.monitor, c.addr)
			require.ErrorContains(t, err, c.want)
			if c.monitor != "" {
				require.ErrorContains(t, err, c.addr)
			}
			require.PanicsWithError(t, err.Error(), func() { StartKVServer(c.monitor, c.addr) })
		})
	}
}

func TestAdvertisedAddressIsTheOneInTheView(t *testing.T) {
	m := startMonitor(t, socketDir(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	s := startServer(t, m, "ignored", WithListener(l), WithAdvertise("localhost:"+port))
	require.Equal(t, "localhost:"+port, s.Addr())
	c := MakeKVClient(m.Addr())
	defer c.Close()
	c.Put("k", "v")
	require.Equal(t, s.Addr(), m.Status().View.Primary)
}

func TestOperationErrorsSayWhatIsKnown(t *testing.T) {
	put := clerk.Request{Put: &tandem.PutArgs{Op: tandem.OpAppend, Key: "k"}}
	get := clerk.Request{Get: &tandem.GetArgs{Key: strings.Repeat("k", 100)}}
	for name, tc := range map[string]struct {
		req     clerk.Request
		done    clerk.Done
		unknown bool
		text    string
	}{
		"definite": {put, clerk.Done{Err: tandem.ErrTooLarge, Outcome: tandem.DidNotRun}, false, `Append "k": key or value too large`},
		"unknown":  {put, clerk.Done{Err: context.Canceled}, true, `Append "k": context canceled; outcome unknown`},
		"absent":   {put, clerk.Done{Err: tandem.ErrNoKey, Outcome: tandem.DidRun}, false, `Append "k": no such key`},
		"a read is never in doubt": {get, clerk.Done{Err: context.Canceled}, false,
			`Get "` + strings.Repeat("k", 64) + `...": context canceled`},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&operation{request: tc.req, done: tc.done}).err(nil)
			require.EqualError(t, err, tc.text)
			require.ErrorIs(t, err, tc.done.Err)
			require.Equal(t, tc.unknown, errors.Is(err, ErrOutcomeUnknown))
		})
	}
	require.NoError(t, (&operation{request: put}).err(nil))
}

func TestLabFormsPanicWhereTryingAgainCannotHelp(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	startServer(t, m, filepath.Join(dir, "a"))
	c := MakeKVClient(m.Addr(), WithLimits(Limits{MaxValue: 3}))
	c.Put("k", "abc")
	require.PanicsWithError(t, `Put "k": key or value too large: value of 4 bytes, the limit is 3`, func() { c.Put("k", "abcd") })
	require.Equal(t, "abc", c.Get("k"))
	c.Close()
	require.PanicsWithError(t, `Get "k": client closed`, func() { c.Get("k") })
	c.Close() // twice is fine
}

func TestContextErrorNamesTheViewServiceThatIsNotThere(t *testing.T) {
	addr := filepath.Join(socketDir(t), "nobody")
	c := MakeKVClient(addr)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := c.PutContext(ctx, "k", "v")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, addr)
	require.NotErrorIs(t, err, ErrOutcomeUnknown, "it was never sent")
}

// S5: a request that its caller gives up while the client is being closed is
// answered by one of the two, and the other leaves the caller's error alone. (It is
// the race detector that would tell.)
func TestCancelDuringCloseLeavesTheAnswerAlone(t *testing.T) {
	addr := filepath.Join(socketDir(t), "nobody")
	for round := range 100 {
		c := MakeKVClient(addr)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				err := c.PutContext(ctx, "k", "v")
				if !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
					t.Errorf("neither cancelled nor closed: %v", err)
				}
			})
		}
		time.Sleep(time.Millisecond) // until the view service was found missing
		wg.Go(func() {
			time.Sleep(time.Duration(round%8) * 4 * time.Microsecond)
			cancel()
		})
		c.Close()
		wg.Wait()
	}
}

func TestBrokenInvariantStopsThatServerOnly(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	var said strings.Builder
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(p)
	}), nil))
	s := startServer(t, m, filepath.Join(dir, "a"), WithLogger(logger))
	other := startServer(t, m, filepath.Join(dir, "b"))
	s.post(func(*loop) { panic(&tandem.InvariantError{Invariant: "I6", Detail: "seen by a test"}) })
	<-s.gone
	var broken *tandem.InvariantError
	require.ErrorAs(t, s.Err(), &broken)
	require.Equal(t, "I6", broken.Invariant)
	mu.Lock()
	require.Contains(t, said.String(), "seen by a test")
	mu.Unlock()
	require.Equal(t, Status{Server: s.self}, s.Status())
	require.NoError(t, other.Err())
	s.Kill()
	require.NoError(t, s.Close())
}

func TestBrokenInvariantInAClientClosesIt(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	startServer(t, m, filepath.Join(dir, "a"))
	c := MakeKVClient(m.Addr(), WithLogger(slog.New(slog.DiscardHandler)))
	c.Put("k", "v")
	c.post(func(*clientLoop) { panic(&tandem.InvariantError{Invariant: "S1", Detail: "seen by a test"}) })
	<-c.gone
	_, err := c.GetContext(context.Background(), "k")
	require.ErrorIs(t, err, ErrClosed)
	c.Close()
}

// Whoever waits when a client breaks is answered: operations that have been started, and
// those that came just before or after what broke it.
func TestBrokenClientLeavesNobodyWaiting(t *testing.T) {
	c := MakeKVClient(filepath.Join(socketDir(t), "nobody"), WithLogger(slog.New(slog.DiscardHandler)))
	failed := make(chan error, 3)
	put := func() {
		go func() { failed <- c.PutContext(context.Background(), "k", "v") }()
	}
	waits := func(n int) {
		require.Eventually(t, func() bool {
			c.inbox.mu.Lock()
			defer c.inbox.mu.Unlock()
			return len(slices.DeleteFunc(slices.Clone(c.inbox.items), func(e clientEvent) bool { return e.start == nil })) == n
		}, soon, time.Millisecond)
	}
	put()
	require.Eventually(t, func() bool {
		c.turn.Lock()
		defer c.turn.pass()
		return c.loop.waiting.Len() == 1
	}, soon, time.Millisecond)
	c.turn.Lock()
	put()
	waits(1)
	c.inbox.post(clientEvent{do: func(*clientLoop) { panic(&tandem.InvariantError{Invariant: "S1", Detail: "seen by a test"}) }})
	put()
	waits(2)
	c.turn.pass()
	for range cap(failed) {
		require.ErrorIs(t, <-failed, ErrClosed)
	}
	c.Close()
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A peer that takes nothing in must not make a server's memory grow: what a link
// cannot hold is lost, as on a network.
func TestLinkHoldsABoundedNumberOfBytes(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	s := startServer(t, m, filepath.Join(dir, "a"))
	deaf, err := net.Listen("unix", filepath.Join(dir, "deaf"))
	require.NoError(t, err)
	defer deaf.Close()
	held := make(chan int, 1)
	s.post(func(l *loop) {
		l.resetLinks()
		to := tandem.Server{Addr: filepath.Join(dir, "deaf"), Incarnation: 1}
		chunk := make([]byte, 8<<20)
		for range 100 {
			l.send(replica.Message{Kind: replica.Chunk, From: s.self, To: to, Data: chunk})
		}
		held <- l.links[linkName{to.Addr, transferLane}].queueBytes
		l.resetLinks()
	})
	n := <-held
	require.LessOrEqual(t, n, maxLinkBytes)
	require.Greater(t, n, maxLinkBytes/2)
}

func TestShutdownOfALonePrimarySaysWhatItWaitsForAndGoesOnServing(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	s := startServer(t, m, filepath.Join(dir, "a"))
	c := MakeKVClient(m.Addr())
	defer c.Close()
	c.Put("k", "v")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := s.Shutdown(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no backup")
	require.ErrorContains(t, err, s.Addr())
	c.Put("k", "w")
	require.Equal(t, "w", c.Get("k"))
	require.False(t, s.Status().Leaving)

	// With somebody to hand over to, it leaves, and nothing is lost (rule V11).
	startServer(t, m, filepath.Join(dir, "b"))
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Shutdown(ctx))
	require.Equal(t, "w", c.Get("k"))
}

func TestTicksThatATickerDropsAreMadeGood(t *testing.T) {
	start := time.Now()
	last := start
	at := func(ms int) int {
		return ticksUntil(start.Add(time.Duration(ms)*time.Millisecond), &last, 10*time.Millisecond, ticksPerPing)
	}
	require.Equal(t, 1, at(10))
	require.Equal(t, 0, at(19), "a tick that comes early is not counted twice")
	require.Equal(t, 1, at(21))
	require.Equal(t, 4, at(65))
	require.Equal(t, ticksPerPing, at(60_000), "not all of a long stop")
	require.Equal(t, 1, at(60_010))
}

func TestLimitsDecideTheFrame(t *testing.T) {
	require.GreaterOrEqual(t, Limits{}.frame(), 64<<20)
	big := Limits{MaxValue: 100 << 20}
	require.Greater(t, big.frame(), 3*big.MaxValue)
}

func ExampleOpError() {
	err := error(&OpError{Op: "Put", Key: "k", Err: context.DeadlineExceeded})
	fmt.Println(err)
	fmt.Println(errors.Is(err, ErrOutcomeUnknown))
	// Output:
	// Put "k": context deadline exceeded; outcome unknown
	// true
}

// slowConn is a link of so many bytes a second.
type slowConn struct {
	net.Conn
	rate int
}

func (c slowConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		piece := b[:min(len(b), c.rate/100)]
		time.Sleep(time.Second * time.Duration(len(piece)) / time.Duration(c.rate))
		k, err := c.Conn.Write(piece)
		n += k
		if err != nil {
			return n, err
		}
		b = b[len(piece):]
	}
	return n, nil
}

// V2, V8: a primary that has much to do is not a dead one, nor is its backup.
func TestSlowRequestsDoNotHoldUpPingsOrAnswers(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	a := startServer(t, m, filepath.Join(dir, "a"))
	require.Eventually(t, func() bool { return a.Status().Authority == "solo" }, 20*time.Second, time.Millisecond)
	startServer(t, m, filepath.Join(dir, "b"))
	require.Eventually(t, func() bool { return a.Status().BackupInSync && a.Status().Active }, 20*time.Second, time.Millisecond)
	before := m.Status().View
	for range 400 { // in one batch they would take three times as long as a server may be silent
		a.post(func(*loop) { time.Sleep(4 * time.Millisecond) })
	}
	a.Status() // comes after them
	require.Equal(t, before, m.Status().View, "history: %+v", m.Status().History)
}

// A large value takes longer to reach the backup than a backup may be silent.
// What moves is not silent (rule V8).
func TestLargeValueOnASlowLinkIsNoReasonToDropTheBackup(t *testing.T) {
	dir := socketDir(t)
	// Long intervals, for a backup that a busy machine keeps from running for as
	// long as it may be silent is rightly dropped.
	m, err := sysmonitor.Start(filepath.Join(dir, "monitor"), sysmonitor.WithPingInterval(250*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	slow := WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil || addr == m.Addr() {
			return c, err
		}
		return slowConn{c, 2 << 20}, nil
	})
	a := startServer(t, m, filepath.Join(dir, "a"), slow)
	require.Eventually(t, func() bool { return a.Status().Authority == "solo" }, 20*time.Second, time.Millisecond)
	startServer(t, m, filepath.Join(dir, "b"), slow)
	require.Eventually(t, func() bool { return a.Status().BackupInSync }, 20*time.Second, time.Millisecond)
	before := a.Status()

	c := MakeKVClient(m.Addr())
	defer c.Close()
	began := time.Now()
	c.Put("large", strings.Repeat("x", 7<<20))
	require.Greater(t, time.Since(began), 2500*time.Millisecond, "the link was not slow, so nothing was shown")
	after := a.Status()
	require.Equal(t, before.View, after.View, "history: %+v", m.Status().History)
	require.Equal(t, before.Resends, after.Resends)
}

package rpcnet

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mute accepts connections and never reads or writes: a frozen process, whose
// kernel goes on accepting.
func mute(t testing.TB) (addr string) {
	addr = sockPath(t)
	l, err := Listen(addr)
	require.NoError(t, err)
	var wg sync.WaitGroup
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
		for _, c := range conns {
			c.Close()
		}
	})
	return addr
}

func TestCallsWorkAgainstAPlainServer(t *testing.T) {
	const stall = 200 * time.Millisecond
	w := newWorld()
	srv := rpc.NewServer()
	require.NoError(t, srv.RegisterName("Probe", &probe{w: w, conn: &Conn{done: make(chan struct{})}}))
	addr := sockPath(t)
	l, err := Listen(addr)
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { srv.ServeConn(c) })
		}
	})
	defer wg.Wait()
	defer l.Close()
	tr := NewTransport(proposing(TransportConfig{StallTimeout: stall}))
	defer tr.Close()

	begun := time.Now()
	_, long := begin(t, tr, addr, "Probe.Wait", &Msg{N: 5})
	same(t, tr, addr, 1)
	_, err = Call[Msg](bg(t), tr, addr, "Probe.Fail", &Msg{Text: "on purpose"})
	var se rpc.ServerError
	require.ErrorAs(t, err, &se)
	require.EqualValues(t, "on purpose", se)
	require.NotErrorIs(t, err, ErrNotSent)
	// It has no Echo, but saying so is a sign of life.
	eventually(t, "well beyond the stall", func() bool { return time.Since(begun) > 3*stall })
	close(w.gate)
	r := await(t, long)
	require.NoError(t, r.err)
	require.Equal(t, 5, r.reply.N)
}

func TestErrorsSayWhetherTheRequestWasSent(t *testing.T) {
	deadTCP, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	deadTCP.Close()
	for name, c := range map[string]struct {
		addr string
		is   error
	}{
		"no socket":     {sockPath(t), syscall.ENOENT},
		"refused":       {deadTCP.Addr().String(), syscall.ECONNREFUSED},
		"path too long": {"/" + strings.Repeat("x", 200), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var downs atomic.Int32
			tr := client(t, TransportConfig{OnDown: func(addr string, err error) {
				if addr == c.addr && err != nil {
					downs.Add(1)
				}
			}})
			reply, err := Call[Msg](bg(t), tr, c.addr, "Probe.Same", &Msg{})
			require.Nil(t, reply)
			require.ErrorIs(t, err, ErrNotSent)
			require.NotErrorIs(t, err, ErrConnLost)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.ErrorContains(t, err, c.addr)
			require.ErrorContains(t, err, "Probe.Same")
			require.EqualValues(t, 1, downs.Load())
		})
	}

	t.Run("server dies", func(t *testing.T) {
		addr, w := sockPath(t), newWorld()
		s := startAt(t, addr, w, ServerConfig{})
		down := make(chan error, 10)
		tr := client(t, TransportConfig{OnDown: func(_ string, err error) { down <- err }})
		_, ch := begin(t, tr, addr, "Probe.Wait", &Msg{})
		eventually(t, "it waits", func() bool { return w.arrivedCount() == 1 })
		s.Close()
		r := await(t, ch)
		require.ErrorIs(t, r.err, ErrConnLost)
		require.NotErrorIs(t, r.err, ErrNotSent)
		require.ErrorContains(t, r.err, addr)
		require.ErrorIs(t, <-down, ErrConnLost)

		startAt(t, addr, newWorld(), ServerConfig{}) // and is dialled again
		same(t, tr, addr, 1)
	})

	t.Run("context over before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := Call[Msg](ctx, client(t, TransportConfig{}), "/x", "Probe.Same", &Msg{})
		require.ErrorIs(t, err, ErrNotSent)
		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("context over while dialling", func(t *testing.T) {
		dialling := make(chan struct{})
		tr := client(t, TransportConfig{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-dialling; cancel() }()
		_, err := Call[Msg](ctx, tr, "/x", "Probe.Same", &Msg{})
		require.ErrorIs(t, err, ErrNotSent)
		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("dial without an answer", func(t *testing.T) {
		tr := client(t, TransportConfig{DialTimeout: 10 * time.Millisecond, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		_, err := Call[Msg](bg(t), tr, "/x", "Probe.Same", &Msg{})
		require.ErrorIs(t, err, ErrNotSent)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "that would be the caller's own")
	})

	t.Run("connection that takes nothing", func(t *testing.T) {
		tr := client(t, TransportConfig{Dial: func(context.Context, string, string) (net.Conn, error) {
			c, peer := net.Pipe()
			peer.Close()
			return c, nil
		}})
		_, err := Call[Msg](bg(t), tr, "/x", "Probe.Same", &Msg{})
		require.ErrorIs(t, err, ErrNotSent)
	})
}

func TestAbandoningACallLeavesItsNeighboursAlone(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	abandoned := make(chan error, 1)
	go func() {
		_, err := Call[Msg](ctx, tr, addr, "Probe.Wait", &Msg{N: -1})
		abandoned <- err
	}()
	eventually(t, "it waits", func() bool { return w.arrivedCount() == 1 })
	var before, after []<-chan result
	for i := range 100 {
		_, ch := begin(t, tr, addr, "Probe.Wait", &Msg{N: i})
		before = append(before, ch)
	}
	given, never := begin(t, tr, addr, "Probe.Wait", &Msg{N: -2})
	cancel()
	err := <-abandoned
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrNotSent)
	require.True(t, given.Abandon())
	require.False(t, given.Abandon())
	for i := range 100 {
		_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: i})
		after = append(after, ch)
	}
	for i, ch := range after {
		r := await(t, ch)
		require.NoError(t, r.err)
		require.Equal(t, i, r.reply.N)
	}
	close(w.gate)
	for i, ch := range before {
		r := await(t, ch)
		require.NoError(t, r.err)
		require.Equal(t, i, r.reply.N)
	}
	same(t, tr, addr, 1)
	require.Empty(t, never)
	w.locked(func() { require.Len(t, w.conns, 1) })
}

func TestLargeValuesBesideSmallOnes(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{})
	text := strings.Repeat("0123456789abcdef", 1<<20)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			m, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{Text: text})
			if err != nil || m.Text != text {
				t.Errorf("large: %v", err)
			}
		})
		wg.Go(func() {
			for i := range 200 {
				m, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{N: i})
				if err != nil || m.N != i {
					t.Errorf("small: %v", err)
				}
			}
		})
	}
	wg.Wait()
	w.locked(func() { require.Len(t, w.conns, 1) })
}

// slowly passes a connection on at a bounded pace in both directions.
func slowly(t testing.TB, to string, chunk int, pause time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		far, err := net.Dial(network, to)
		if err != nil {
			return nil, err
		}
		near, inner := net.Pipe() // has no buffer that could hide the pace
		var wg sync.WaitGroup
		pass := func(dst, src net.Conn) {
			defer dst.Close()
			buf := make([]byte, chunk)
			for {
				n, err := src.Read(buf)
				if err != nil {
					return
				}
				if _, err := dst.Write(buf[:n]); err != nil {
					return
				}
				time.Sleep(pause)
			}
		}
		wg.Go(func() { pass(far, inner) })
		wg.Go(func() { pass(inner, far) })
		t.Cleanup(func() { near.Close(); far.Close(); wg.Wait() })
		return near, nil
	}
}

func TestSlowLinkIsNoStall(t *testing.T) {
	const stall = 400 * time.Millisecond
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{StallTimeout: stall, Dial: slowly(t, addr, 16<<10, 10*time.Millisecond)})
	begun := time.Now()
	text := strings.Repeat("x", 1<<20)
	m, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{Text: text})
	require.NoError(t, err)
	require.Len(t, m.Text, len(text))
	require.Greater(t, time.Since(begun), 2*stall, "the link was too fast to show anything")
	w.locked(func() { require.Len(t, w.conns, 1) })
}

func TestLongPollIsKeptAliveByEcho(t *testing.T) {
	const stall = 200 * time.Millisecond
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{StallTimeout: stall})
	begun := time.Now()
	_, ch := begin(t, tr, addr, "Probe.Wait", &Msg{N: 3})
	eventually(t, "well beyond the stall", func() bool { return time.Since(begun) > 3*stall })
	close(w.gate)
	r := await(t, ch)
	require.NoError(t, r.err)
	require.Equal(t, 3, r.reply.N)
	w.locked(func() { require.Len(t, w.conns, 1) })
}

func TestFrozenPeerIsFound(t *testing.T) {
	const stall = 100 * time.Millisecond
	down := make(chan error, 10)
	tr := client(t, TransportConfig{StallTimeout: stall, OnDown: func(_ string, err error) { down <- err }})
	addr := mute(t)
	begun := time.Now()
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{})
	// Callers that come and give up do not hide it.
	for len(ch) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), stall/10)
		_, err := Call[Msg](ctx, tr, addr, "Probe.Same", &Msg{})
		cancel()
		require.Error(t, err)
		require.Less(t, time.Since(begun), patience)
	}
	requireUnanswered(t, await(t, ch).err)
	require.GreaterOrEqual(t, time.Since(begun), stall*9/10)
	require.ErrorIs(t, <-down, ErrConnLost)
}

func TestPeerThatNeverReadsBlocksNobodyForEver(t *testing.T) {
	const stall = 200 * time.Millisecond
	tr := client(t, TransportConfig{StallTimeout: stall, MaxQueue: 8})
	addr := mute(t)
	text := strings.Repeat("x", 1<<20)
	begun := time.Now()
	_, first := begin(t, tr, addr, "Probe.Same", &Msg{Text: text})
	var full error
	for full == nil && time.Since(begun) < patience {
		_, full = Start(tr, addr, "Probe.Same", &Msg{Text: text}, func(*Msg, error) {})
	}
	require.ErrorIs(t, full, ErrQueueFull)
	require.ErrorIs(t, full, ErrNotSent)
	ctx, cancel := context.WithTimeout(context.Background(), stall/10)
	defer cancel()
	_, err := Call[Msg](ctx, tr, addr, "Probe.Same", &Msg{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, ErrNotSent)
	requireUnanswered(t, await(t, first).err)
	require.Less(t, time.Since(begun), patience)
}

func TestCallWaitsForRoomInTheQueue(t *testing.T) {
	addr, _ := start(t, ServerConfig{})
	tr := client(t, TransportConfig{MaxQueue: 2})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			m, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{N: i})
			if err != nil || m.N != i {
				t.Errorf("%v %v", m, err)
			}
		})
	}
	wg.Wait()
}

type Stubborn struct{ X chan int }

func (Stubborn) GobEncode() ([]byte, error) { return nil, errors.New("will not") }
func (*Stubborn) GobDecode([]byte) error    { return nil }

type Panics struct{ X int }

func (Panics) GobEncode() ([]byte, error) { panic("ouch") }
func (*Panics) GobDecode([]byte) error    { return nil }

func TestRequestThatCannotBeEncodedHarmsNobody(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{MaxFrame: 1 << 20})
	_, neighbour := begin(t, tr, addr, "Probe.Wait", &Msg{N: 9})
	for name, c := range map[string]struct {
		args any
		is   error
	}{
		"too large":   {&Msg{Text: strings.Repeat("x", 2<<20)}, ErrFrameTooLarge},
		"nil":         {nil, nil},
		"nil pointer": {(*Msg)(nil), nil},
		"channel":     {make(chan int), nil},
		"refuses":     {Stubborn{}, nil},
		"panics":      {Panics{}, nil},
		"new types":   {&struct{ A []struct{ B Stubborn } }{[]struct{ B Stubborn }{{Stubborn{make(chan int)}}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Call[Msg](bg(t), tr, addr, "Probe.Same", c.args)
			require.ErrorIs(t, err, ErrNotSent)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			same(t, tr, addr, 1)
		})
	}
	close(w.gate)
	require.NoError(t, await(t, neighbour).err)
	w.locked(func() { require.Len(t, w.conns, 1) })
}

// Nobody else would ever end a connection whose one call is over.
func TestRequestThatCannotBeEncodedEndsItsOwnConnection(t *testing.T) {
	addr, w := start(t, ServerConfig{StallTimeout: 10 * patience}) // it would end it, too
	tr := client(t, TransportConfig{DialPerCall: true, MaxFrame: 1 << 10})
	for range 3 {
		_, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{Text: strings.Repeat("x", 4<<10)})
		require.ErrorIs(t, err, ErrFrameTooLarge)
		require.ErrorIs(t, err, ErrNotSent)
	}
	eventually(t, "no connection is left", func() bool {
		tr.hub.mu.Lock()
		defer tr.hub.mu.Unlock()
		return len(tr.hub.links) == 0
	})
	w.locked(func() { require.Zero(t, len(w.ran)) })
}

// Whoever has mistyped an address should learn that somebody else lives there.
func TestErrorsSayThatAnotherServerAnswers(t *testing.T) {
	t.Run("a web server", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		defer s.Close()
		_, err := Call[Msg](bg(t), client(t, TransportConfig{}), s.Listener.Addr().String(), "Probe.Same", &Msg{})
		require.ErrorContains(t, err, "the peer speaks another protocol")
		requireUnanswered(t, err)
	})
	t.Run("another service", func(t *testing.T) {
		addr, _ := start(t, ServerConfig{})
		_, err := Call[Msg](bg(t), client(t, TransportConfig{}), addr, "Nobody.Nothing", &Msg{})
		require.ErrorContains(t, err, "another kind of server answers there")
		require.ErrorAs(t, err, new(rpc.ServerError))
	})
}

func TestReplyOfAnotherTypeHarmsNobody(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{})
	_, err := Call[struct{ N string }](bg(t), tr, addr, "Probe.Same", &Msg{N: 1})
	require.ErrorContains(t, err, "cannot understand the reply")
	require.NotErrorIs(t, err, ErrNotSent)
	same(t, tr, addr, 1)
	w.locked(func() { require.Len(t, w.conns, 1) })
}

func TestLanesHaveConnectionsOfTheirOwn(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{})
	for _, lane := range []*Transport{tr, tr.Lane("bulk"), tr.Lane("bulk"), tr.Lane(""), tr.Lane("other")} {
		same(t, lane, addr, 1)
	}
	w.locked(func() { require.Len(t, w.conns, 3) })
	tr.Lane("bulk").Close()
	_, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{})
	require.ErrorIs(t, err, ErrClosed)
}

func TestDialPerCall(t *testing.T) {
	const stall = 50 * time.Millisecond
	addr, w := start(t, ServerConfig{})
	var downs atomic.Int32
	tr := client(t, TransportConfig{DialPerCall: true, StallTimeout: stall, OnDown: func(string, error) { downs.Add(1) }})
	for i := range 3 {
		same(t, tr, addr, i)
	}
	w.locked(func() {
		require.Len(t, w.conns, 3)
		for _, c := range w.conns {
			<-c.Done() // closed after its call
		}
	})
	_, err := Call[Msg](bg(t), tr, addr, "Probe.Fail", &Msg{Text: "no"})
	require.ErrorContains(t, err, "no")
	require.Zero(t, downs.Load())

	// No deadline but the context's.
	frozen := mute(t)
	ctx, cancel := context.WithTimeout(context.Background(), 6*stall)
	defer cancel()
	_, err = Call[Msg](ctx, tr, frozen, "Probe.Same", &Msg{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, ErrConnLost)

	_, err = Call[Msg](bg(t), tr, sockPath(t), "Probe.Same", &Msg{})
	require.ErrorIs(t, err, ErrNotSent)
	require.EqualValues(t, 1, downs.Load())

	_, ch := begin(t, tr, addr, "Probe.Wait", &Msg{})
	eventually(t, "it waits", func() bool { return w.arrivedCount() == 5 })
	tr.Close()
	require.ErrorIs(t, await(t, ch).err, ErrClosed)
}

func TestCloseDuringEverythingLeavesNothing(t *testing.T) {
	live, w := start(t, ServerConfig{})
	defer close(w.gate)
	frozen, missing := mute(t), sockPath(t)
	for round := range 20 {
		var f *Faults
		if round%2 == 1 {
			f = NewFaults(uint64(round))
			f.Unreliable(0.2, 0.2)
			f.Delay(0, time.Millisecond)
			if round%4 == 3 {
				f.Freeze(live)
				f.Hold(func(_, _, method string) bool { return method == "Probe.Long" })
			}
		}
		tr := NewTransport(proposing(TransportConfig{Name: "me", DialPerCall: round%3 == 2, MaxQueue: 100, Faults: f}))
		var settled, accepted atomic.Int32
		var wg sync.WaitGroup
		for _, addr := range []string{live, frozen, missing} {
			for _, method := range []string{"Probe.Wait", "Probe.Long", "Probe.Same"} {
				wg.Go(func() {
					for i := range 30 {
						_, err := Start(tr, addr, method, &Msg{N: i << 10}, func(*Msg, error) { settled.Add(1) })
						if err == nil {
							accepted.Add(1)
						} else {
							require.ErrorIs(t, err, ErrNotSent)
						}
					}
				})
				wg.Go(func() {
					_, err := Call[Msg](context.Background(), tr, addr, method, &Msg{N: 1})
					if method == "Probe.Wait" && err == nil {
						t.Error("it should wait")
					}
				})
			}
		}
		wg.Go(tr.Close)
		tr.Close()
		wg.Wait()
		tr.Close()
		require.Equal(t, accepted.Load(), settled.Load(), "each done function was called once")
		_, err := Start(tr, live, "Probe.Same", &Msg{}, func(*Msg, error) {})
		require.ErrorIs(t, err, ErrClosed)
	}
}

func TestDoneFunctionsMayStartCalls(t *testing.T) {
	for name, f := range map[string]*Faults{"plain": nil, "faults": NewFaults(1)} {
		t.Run(name, func(t *testing.T) {
			addr, _ := start(t, ServerConfig{})
			tr := client(t, TransportConfig{Faults: f})
			finished := make(chan struct{})
			var next func(n int)
			next = func(n int) {
				_, err := Start(tr, addr, "Probe.Same", &Msg{N: n}, func(m *Msg, err error) {
					if err != nil || n == 100 {
						close(finished)
						return
					}
					next(n + 1)
				})
				require.NoError(t, err)
			}
			next(0)
			<-finished
		})
	}
}

func TestSlowDoneFunctionIsNoStall(t *testing.T) {
	const stall = 150 * time.Millisecond
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{StallTimeout: stall})
	release := make(chan struct{})
	held := make(chan struct{})
	_, long := begin(t, tr, addr, "Probe.Wait", &Msg{})
	_, err := Start(tr, addr, "Probe.Same", &Msg{}, func(*Msg, error) { close(held); <-release })
	require.NoError(t, err)
	<-held
	begun := time.Now()
	eventually(t, "well beyond the stall", func() bool { return time.Since(begun) > 4*stall })
	close(release)
	same(t, tr, addr, 1)
	close(w.gate)
	require.NoError(t, await(t, long).err)
}

func BenchmarkPipelined(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = sockPath(b)
			}
			l, err := Listen(addr)
			require.NoError(b, err)
			s := NewServer(ServerConfig{Service: func(c *Conn) (string, any) { return "Quiet", Quiet{} }})
			go s.Serve(l)
			defer s.Close()
			tr := NewTransport(TransportConfig{})
			defer tr.Close()
			var wg sync.WaitGroup
			window := make(chan struct{}, 256)
			args := &Msg{N: 1, Text: strings.Repeat("x", 100)}
			for b.Loop() {
				window <- struct{}{}
				wg.Add(1)
				if _, err := Start(tr, l.Addr().String(), "Quiet.Same", args, func(*Msg, error) { <-window; wg.Done() }); err != nil {
					b.Fatal(err)
				}
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func BenchmarkOneAtATime(b *testing.B) {
	addr := sockPath(b)
	l, err := Listen(addr)
	require.NoError(b, err)
	s := NewServer(ServerConfig{Service: func(c *Conn) (string, any) { return "Quiet", Quiet{} }})
	go s.Serve(l)
	defer s.Close()
	b.Run("rpcnet", func(b *testing.B) {
		tr := NewTransport(TransportConfig{})
		defer tr.Close()
		for b.Loop() {
			if _, err := Call[Msg](context.Background(), tr, addr, "Quiet.Same", &Msg{N: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net/rpc client", func(b *testing.B) {
		c, err := rpc.Dial("unix", addr)
		require.NoError(b, err)
		defer c.Close()
		for b.Loop() {
			if err := c.Call("Quiet.Same", &Msg{N: 1}, new(Msg)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRegister shows what a net/rpc server of its own costs a connection.
func BenchmarkRegister(b *testing.B) {
	w := newWorld()
	for b.Loop() {
		if err := rpc.NewServer().RegisterName("Probe", &probe{w: w}); err != nil {
			b.Fatal(err)
		}
	}
}

type Quiet struct{}

func (Quiet) Same(args *Msg, reply *Msg) error { *reply = *args; return nil }

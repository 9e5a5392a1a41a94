package rpcnet

import (
	"bytes"
	"encoding/gob"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/rpc"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestArrivedSeesPipelinedCallsInOrder(t *testing.T) {
	const calls = 20_000
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{})
	var wg sync.WaitGroup
	for i := range calls {
		wg.Add(1)
		_, err := Start(tr, addr, "Probe.Same", &Msg{N: i}, func(m *Msg, err error) {
			defer wg.Done()
			if err != nil || m.N != i {
				t.Errorf("call %d: %v %v", i, m, err)
			}
		})
		require.NoError(t, err)
	}
	wg.Wait()
	w.locked(func() {
		require.Len(t, w.arrived, calls)
		for i, n := range w.arrived {
			require.Equal(t, i, n)
		}
		require.Len(t, w.conns, 1)
	})
}

func TestPlainClientIsServed(t *testing.T) {
	for _, addr := range []string{sockPath(t), "127.0.0.1:0"} {
		l, err := Listen(addr)
		require.NoError(t, err)
		addr = l.Addr().String()
		w := newWorld()
		s := NewServer(ServerConfig{Service: w.service})
		go s.Serve(l)
		defer s.Close()

		c, err := rpc.Dial(Network(addr), addr)
		require.NoError(t, err)
		defer c.Close()
		var reply Msg
		require.NoError(t, c.Call("Probe.Same", &Msg{N: 7}, &reply))
		require.Equal(t, 7, reply.N)
		require.NoError(t, c.Call("Conn.Echo", struct{}{}, &struct{}{}))
		require.ErrorContains(t, c.Call("Probe.Nothing", &Msg{}, &reply), "can't find method")
		require.ErrorContains(t, c.Call("Nobody.Nothing", &Msg{}, &reply), "can't find service")
		require.ErrorContains(t, c.Call("Probe.Same", 5, &reply), "gob")
		require.EqualError(t, c.Call("Probe.Fail", &Msg{Text: "on purpose"}, &reply), "on purpose")
		require.NoError(t, c.Call("Probe.Same", &Msg{N: 8}, &reply))
		require.Equal(t, 8, reply.N)
		w.locked(func() { require.Equal(t, []int{7, 0, 8}, w.arrived) })
	}
}

func TestGarbageClosesThatConnectionOnlyAndQuietly(t *testing.T) {
	var said bytes.Buffer
	log.SetOutput(&said)
	defer log.SetOutput(log.Default().Writer())

	addr, _ := start(t, ServerConfig{MaxFrame: 1 << 20, StallTimeout: 200 * time.Millisecond})
	tr := client(t, TransportConfig{})
	same(t, tr, addr, 1)
	manyTypes := append([]byte{0xfd, 0x0f, 0xff, 0xff, 0x01}, make([]byte, 1<<20-2)...) // one definition, of a mebibyte
	for name, garbage := range map[string][]byte{
		"http":         []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"zeros":        make([]byte, 100),
		"ones":         bytes.Repeat([]byte{0xff}, 100),
		"gigabytes":    {0xfc, 0x7f, 0xff, 0xff, 0xff, 0x01},
		"exabytes":     {0xf8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"long length":  {0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		"wrong value":  gobOf(t, "a string is no request"),
		"wrong struct": gobOf(t, struct{ X, Y int }{1, 2}),
		"definition":   manyTypes,
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			go c.Write(garbage)
			closedByPeer(t, c)
			same(t, tr, addr, 2)
		})
	}
	require.Empty(t, said.String())
}

func gobOf(t testing.TB, vs ...any) []byte {
	var b bytes.Buffer
	enc := gob.NewEncoder(&b)
	for _, v := range vs {
		require.NoError(t, enc.Encode(v))
	}
	return b.Bytes()
}

func TestHalfSentMessageIsClosedAfterStall(t *testing.T) {
	header := gobOf(t, &rpc.Request{ServiceMethod: "Probe.Same", Seq: 1})
	whole := gobOf(t, &rpc.Request{ServiceMethod: "Probe.Same", Seq: 1}, &Msg{Text: strings.Repeat("x", 100_000)})
	for name, part := range map[string][]byte{
		"length":      whole[:1],
		"definitions": whole[:20],
		"header":      header,
		"body":        whole[:len(whole)-1],
	} {
		t.Run(name, func(t *testing.T) {
			const stall = 200 * time.Millisecond
			addr, w := start(t, ServerConfig{StallTimeout: stall})
			idle := dial(t, addr) // owes nothing
			c := dial(t, addr)
			begun := time.Now()
			_, err := c.Write(part)
			require.NoError(t, err)
			closedByPeer(t, c)
			require.Greater(t, time.Since(begun), stall/2)
			require.Zero(t, w.arrivedCount())

			plain := rpc.NewClient(idle)
			require.NoError(t, plain.Call("Probe.Same", &Msg{}, &Msg{}))
			plain.Close()
		})
	}
}

func TestTricklingPeerIsClosed(t *testing.T) {
	addr, _ := start(t, ServerConfig{StallTimeout: 100 * time.Millisecond})
	c := dial(t, addr)
	whole := gobOf(t, &rpc.Request{ServiceMethod: "Probe.Same", Seq: 1}, &Msg{Text: strings.Repeat("x", 100_000)})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for i := range whole { // a byte now and then is no progress
			if _, err := c.Write(whole[i : i+1]); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	closedByPeer(t, c)
	<-gone
}

func TestFrameThatClaimsGigabytesAllocatesNothing(t *testing.T) {
	addr, _ := start(t, ServerConfig{})
	for _, claim := range [][]byte{
		{0xfc, 0x7f, 0xff, 0xff, 0xff, 0x01},                         // two GiB, beyond the limit
		{0xf8, 0, 0, 0, 1, 0, 0, 0, 0, 0x01},                         // four
		{0xfc, 0x03, 0xff, 0xff, 0xff, 0x01, 0xff, 0x82, 0x00, 0x00}, // just within the limit, but nothing comes
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := dial(t, addr)
		_, err := c.Write(claim)
		require.NoError(t, err)
		if claim[1] != 0x03 {
			closedByPeer(t, c)
		}
		c.Close()
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(24<<20))
	}
}

func TestPeerThatNeverReadsIsClosed(t *testing.T) {
	addr, w := start(t, ServerConfig{StallTimeout: 200 * time.Millisecond, MaxInFlight: 4})
	c := dial(t, addr)
	enc := gob.NewEncoder(c)
	for i := range 20 {
		err := enc.Encode(&rpc.Request{ServiceMethod: "Probe.Long", Seq: uint64(i)})
		if err == nil {
			err = enc.Encode(&Msg{N: 1 << 20})
		}
		if err != nil {
			break
		}
	}
	var conn *Conn
	eventually(t, "connected", func() bool {
		w.locked(func() {
			if len(w.conns) == 1 {
				conn = w.conns[0]
			}
		})
		return conn != nil
	})
	select {
	case <-conn.Done():
	case <-time.After(patience):
		require.Fail(t, "still open")
	}
	same(t, client(t, TransportConfig{}), addr, 1)
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	addr, w := start(t, ServerConfig{MaxConns: 2})
	a, b := dial(t, addr), dial(t, addr)
	eventually(t, "both served", func() (ok bool) { w.locked(func() { ok = len(w.conns) == 2 }); return ok })
	closedByPeer(t, dial(t, addr))
	pa := rpc.NewClient(a)
	require.NoError(t, pa.Call("Probe.Same", &Msg{}, &Msg{}))
	pa.Close()
	b.Close()
	tr := client(t, TransportConfig{})
	eventually(t, "room again", func() bool {
		_, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{})
		return err == nil
	})
}

func TestReadingStopsAtMaxInFlightButSignsOfLifeDoNot(t *testing.T) {
	const stall = 300 * time.Millisecond
	addr, w := start(t, ServerConfig{MaxInFlight: 3, StallTimeout: stall})
	tr := client(t, TransportConfig{StallTimeout: stall})
	var results []<-chan result
	begun := time.Now()
	for i := range 10 {
		_, ch := begin(t, tr, addr, "Probe.Wait", &Msg{N: i})
		results = append(results, ch)
	}
	eventually(t, "three were read", func() bool { return w.arrivedCount() == 3 })
	eventually(t, "well beyond the stall", func() bool { return time.Since(begun) > 3*stall })
	require.Equal(t, 3, w.arrivedCount())
	close(w.gate)
	for i, ch := range results {
		r := await(t, ch)
		require.NoError(t, r.err)
		require.Equal(t, i, r.reply.N)
	}
}

func TestLargeFramesWaitForTheirShareOfTheBudget(t *testing.T) {
	const stall = 2 * time.Second // of the hog, not of a busy machine
	addr, w := start(t, ServerConfig{MaxFrame: 1 << 20, MaxBuffered: 1 << 20, StallTimeout: stall})
	text := strings.Repeat("x", 900<<10)
	whole := gobOf(t, &rpc.Request{ServiceMethod: "Probe.Same", Seq: 1}, &Msg{N: 1, Text: text})
	hog := dial(t, addr)
	_, err := hog.Write(whole[:len(whole)/2])
	require.NoError(t, err)

	tr := client(t, TransportConfig{StallTimeout: stall})
	small := client(t, TransportConfig{})
	same(t, small, addr, 2)
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 3, Text: text})
	same(t, small, addr, 4) // small frames need no share
	r := await(t, ch)       // when the hog has stalled
	require.NoError(t, r.err)
	require.Len(t, r.reply.Text, len(text))
	closedByPeer(t, hog)
	require.Zero(t, w.ranCount(1))
}

func TestBudgetIsFirstComeFirstServed(t *testing.T) {
	granted := func(s *share) bool {
		select {
		case <-s.ready:
			return true
		default:
			return false
		}
	}
	b := newBudget(10)
	first, large, small := b.ask(6), b.ask(8), b.ask(1)
	require.True(t, granted(first))
	require.False(t, granted(large))
	require.False(t, granted(small), "must not overtake")
	b.giveBack(large) // gives up waiting
	require.True(t, granted(small))
	b.giveBack(first)
	b.giveBack(small)
	require.Equal(t, 10, b.free)
}

func TestReplyBeyondTheLimitBecomesAnError(t *testing.T) {
	addr, w := start(t, ServerConfig{MaxFrame: 1 << 20})
	tr := client(t, TransportConfig{})
	for range 2 { // the stream stays in step
		_, err := Call[Msg](bg(t), tr, addr, "Probe.Long", &Msg{N: 2 << 20})
		var se rpc.ServerError
		require.ErrorAs(t, err, &se)
		require.ErrorContains(t, err, "frame too large")
		same(t, tr, addr, 1)
	}
	w.locked(func() { require.Len(t, w.conns, 1) })
}

func TestHandlersKnowThatTheirClientLeft(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	c := dial(t, addr)
	plain := rpc.NewClient(c)
	call := plain.Go("Probe.Wait", &Msg{}, &Msg{}, nil)
	eventually(t, "it waits", func() bool { return w.arrivedCount() == 1 })
	plain.Close()
	<-call.Done
	w.mu.Lock()
	conn := w.conns[0]
	w.mu.Unlock()
	<-conn.Done()
	require.NotNil(t, conn.RemoteAddr())
}

func TestCloseCutsEverythingAndWaits(t *testing.T) {
	addr, w := sockPath(t), newWorld()
	l, err := Listen(addr)
	require.NoError(t, err)
	s := NewServer(ServerConfig{Service: w.service, Logger: slog.New(slog.DiscardHandler)})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	tr := client(t, TransportConfig{})
	var results []<-chan result
	for i := range 50 {
		method := "Probe.Wait"
		if i%2 == 0 {
			method = "Probe.Long"
		}
		_, ch := begin(t, tr, addr, method, &Msg{N: 1 << 20})
		results = append(results, ch)
	}
	half := dial(t, addr)
	half.Write([]byte{0x7f, 1})
	eventually(t, "busy", func() bool { return w.arrivedCount() > 30 })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(s.Close)
	}
	wg.Wait()
	require.NoError(t, <-served)
	require.NoFileExists(t, addr)
	for _, ch := range results {
		if r := await(t, ch); r.err != nil {
			// Those that had not arrived may not have left, either.
			require.True(t, errors.Is(r.err, ErrConnLost) || errors.Is(r.err, ErrNotSent), "%v", r.err)
			require.NotErrorIs(t, r.err, ErrClosed)
		}
	}
	closedByPeer(t, half)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, s.Serve(other), ErrClosed)
}

func TestServeReturnsTheErrorOfABrokenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := NewServer(ServerConfig{Service: newWorld().service})
	defer s.Close()
	l.Close()
	require.ErrorContains(t, s.Serve(l), l.Addr().String())
}

func TestMemoryOfLargeMessagesIsNotKept(t *testing.T) {
	addr, _ := start(t, ServerConfig{})
	tr := client(t, TransportConfig{})
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // frees what sync.Pool held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 8 { // eight idle connections that each carried 4 MiB in both directions
		lane := tr.Lane(string(rune('a' + i)))
		_, err := Call[Msg](bg(t), lane, addr, "Probe.Same", &Msg{Text: strings.Repeat("x", 4<<20)})
		require.NoError(t, err)
		same(t, lane, addr, i)
		_, err = Call[Msg](bg(t), lane, addr, "Probe.Same", &Msg{Text: strings.Repeat("x", 4<<20)})
		require.NoError(t, err)
	}
	eventually(t, "memory is given back", func() bool { return int64(heap())-int64(before) < 8<<20 })
}

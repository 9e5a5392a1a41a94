package rpcnet

import (
	"bytes"
	"encoding/gob"
	"io"
	"net"
	"net/rpc"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// agree makes a compact client of a connection.
func agree(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := c.Write(gobOf(t, &rpc.Request{ServiceMethod: compactMethod, Seq: 1}, &CompactArgs{Version: compactVersion, Methods: probeMethods}))
	require.NoError(t, err)
	var resp rpc.Response
	dec := gob.NewDecoder(&oneByteReader{c})
	require.NoError(t, dec.Decode(&resp))
	require.Empty(t, resp.Error)
	require.NoError(t, dec.Decode(new(CompactReply)))
}

// Places of the methods in the agreement.
const (
	atSame = requestCompact + iota
	atFail
	atLong
	atWait
)

func callOf(seq uint64, kind byte, m *Msg) []byte {
	return frameOf(seq, kind, string(m.AppendCompact(nil)))
}

func TestCompactGarbageClosesThatConnectionOnly(t *testing.T) {
	addr, w := start(t, ServerConfig{MaxFrame: 1 << 20, StallTimeout: 200 * time.Millisecond})
	tr := client(t, TransportConfig{Compact: probeMethods})
	same(t, tr, addr, 1)
	whole := callOf(2, atSame, &Msg{N: 5, Text: strings.Repeat("x", 100_000)})
	for name, garbage := range map[string][]byte{
		"empty frame":         {0, 0, 0, 0},
		"no kind":             {1, 0, 0, 0, 2},
		"endless number":      append([]byte{11, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 11)...),
		"gigabytes":           {0xff, 0xff, 0xff, 0xff, 2, atSame},
		"beyond the limit":    {1, 0, 0x10, 0, 2, atSame},
		"no such method":      frameOf(2, requestCompact+byte(len(probeMethods)), ""),
		"the last kind":       frameOf(2, 255, ""),
		"name without an end": frameOf(2, requestNamed, "\xff\xff\xff\xff\xff\xff\xff\xff\x7fProbe.Same"),
		"gob":                 gobOf(t, &rpc.Request{ServiceMethod: "Probe.Same", Seq: 1}, &Msg{}),
		"after good ones":     append(callOf(2, atSame, &Msg{N: -1}), 0, 0, 0, 0),
		"half a length":       whole[:2],
		"half a header":       whole[:5],
		"half a body":         whole[:len(whole)-1],
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			agree(t, c)
			go c.Write(garbage)
			closedByPeer(t, c)
			same(t, tr, addr, 2)
			require.Zero(t, w.ranCount(5))
		})
	}
	eventually(t, "every receiver hears once that its connection is gone", func() (ok bool) {
		w.locked(func() { ok = w.gone == len(w.conns)-1 })
		return ok
	})
}

func TestCompactTricklingPeerIsClosed(t *testing.T) {
	addr, _ := start(t, ServerConfig{StallTimeout: 100 * time.Millisecond})
	c := dial(t, addr)
	agree(t, c)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for _, b := range callOf(2, atSame, &Msg{Text: strings.Repeat("x", 100_000)}) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	closedByPeer(t, c)
	<-gone
}

// A client may do as it likes with its numbers: it harms itself alone.
func TestCompactCallsAreAnsweredAsOftenAsTheyCame(t *testing.T) {
	addr, w := start(t, ServerConfig{MaxInFlight: 4})
	c := dial(t, addr)
	agree(t, c)
	var in, want []byte
	expect := func(request, reply []byte) { in, want = append(in, request...), append(want, reply...) }
	msg := &Msg{N: 3, Text: "text"}
	for _, seq := range []uint64{2, 2, 0, 1 << 63} {
		expect(callOf(seq, atSame, msg), callOf(seq, replyCompact, msg))
	}
	expect(frameOf(3, requestEcho, ""), frameOf(3, replyGob, string(gobOf(t, &CompactReply{}))))
	expect(frameOf(4, atSame, ""), frameOf(4, replyError, "no number"))
	expect(callOf(5, atFail, &Msg{Text: "on purpose"}), frameOf(5, replyError, "on purpose"))
	for range 10 { // more than may be under way
		expect(callOf(6, atSame, msg), callOf(6, replyCompact, msg))
	}
	go c.Write(in)
	got := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(patience))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, got)

	// Those that net/rpc carries out come in any order, so one by one.
	for _, step := range []struct{ in, want []byte }{
		{frameOf(7, requestNamed, "\x0aProbe.Same"+string(gobOf(t, msg))), callOf(7, replyCompact, msg)},
		{frameOf(8, requestNamed, "\x0aProbe.Same"), frameOf(8, replyError, "EOF")},
		{frameOf(9, requestNamed, "\x09Conn.Echo"), frameOf(9, replyError, "rpc: can't find service Conn.Echo")},
		{frameOf(10, atLong, ""), frameOf(10, replyError, "no number")},
	} {
		_, err := c.Write(step.in)
		require.NoError(t, err)
		got := make([]byte, len(step.want))
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, string(step.want), string(got))
	}
	w.locked(func() { require.Len(t, w.conns, 1) })
	eventually(t, "no slot is lost", func() bool { return w.conns[0].inFlight.Load() == 0 })
}

// giver answers each call with as many bytes as it asks for, and counts what of it is
// still on its way.
type giver struct {
	conn        *Conn
	under, peak *atomic.Int64
}

func (g *giver) Same(args *Msg, reply *Msg) error { *reply = *args; return nil }

func (g *giver) CompactMethods() []string { return probeMethods }

func (g *giver) Serve(_ string, seq uint64, args []byte) bool {
	var m Msg
	if m.DecodeCompact(args) != nil {
		return false
	}
	if n := g.under.Add(1); n > g.peak.Load() {
		g.peak.Store(n)
	}
	var once sync.Once
	g.conn.Answer(seq, &Msg{Text: strings.Repeat("x", m.N)}, func() {
		again := true
		once.Do(func() { again = false; g.under.Add(-1) })
		if again {
			g.under.Add(1 << 30)
		}
	})
	return true
}

func (g *giver) Served() { g.conn.Flush() }
func (g *giver) Gone()   {}

// TestCompactPeerThatNeverReads: what it asked for is bounded by MaxInFlight, is held until
// the connection has stalled, and each answer is accounted for once.
func TestCompactPeerThatNeverReads(t *testing.T) {
	const inFlight = 8
	for name, limit := range map[string]struct{ size, maxFrame int }{
		"small":            {100, 4 << 20},
		"middling":         {40 << 10, 4 << 20},
		"large":            {1 << 20, 4 << 20},
		"beyond the limit": {40 << 10, 32 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			var under, peak atomic.Int64
			conns := make(chan *Conn, 1)
			addr := sockPath(t)
			startAt(t, addr, nil, ServerConfig{
				MaxFrame: limit.maxFrame, MaxInFlight: inFlight, StallTimeout: 200 * time.Millisecond,
				Service: func(c *Conn) (string, any) {
					conns <- c
					return "Probe", &giver{c, &under, &peak}
				},
			})
			c := dial(t, addr)
			agree(t, c)
			conn := <-conns
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range uint64(1 << 20) { // until the server has had enough
					if _, err := c.Write(callOf(i+2, atSame, &Msg{N: limit.size})); err != nil {
						return
					}
				}
			}()
			select {
			case <-conn.Done():
			case <-time.After(patience):
				require.Fail(t, "still open")
			}
			<-sent
			eventually(t, "all is accounted for", func() bool {
				return under.Load() == 0 && conn.inFlight.Load() == 0
			})
			require.NotZero(t, peak.Load())
			require.LessOrEqual(t, peak.Load(), int64(inFlight))
		})
	}
}

// waiting is a giver that takes a call when the test allows it.
type waiting struct {
	giver
	turn chan struct{}
}

func (w *waiting) Serve(method string, seq uint64, args []byte) bool {
	<-w.turn
	return w.giver.Serve(method, seq, args)
}

// pause lets time pass.
func pause(t testing.TB, d time.Duration) {
	begun := time.Now()
	eventually(t, "time passes", func() bool { return time.Since(begun) >= d })
}

// TestTimeOfAReceiverIsNoStallOfThePeer: a request of which only a part had been read when
// the receiver began to wait has all its time when the receiver has done.
func TestTimeOfAReceiverIsNoStallOfThePeer(t *testing.T) {
	const stall = 100 * time.Millisecond
	var under, peak atomic.Int64
	turn := make(chan struct{})
	addr := sockPath(t)
	startAt(t, addr, nil, ServerConfig{
		StallTimeout: stall,
		Service: func(c *Conn) (string, any) {
			return "Probe", &waiting{giver{c, &under, &peak}, turn}
		},
	})
	c := dial(t, addr)
	agree(t, c)
	first, second := callOf(2, atSame, &Msg{N: 1}), callOf(3, atSame, &Msg{N: 1})
	// A part of the first comes alone, so that the server waits for its rest.
	_, err := c.Write(first[:3])
	require.NoError(t, err)
	pause(t, stall/4) // or it might come together: then this shows nothing, and passes
	_, err = c.Write(append(first[3:], second[:5]...))
	require.NoError(t, err)
	pause(t, 2*stall) // the receiver's time
	turn <- struct{}{}
	go c.Write(second[5:])
	select {
	case turn <- struct{}{}:
	case <-time.After(patience):
		require.Fail(t, "the second call never came")
	}
	c.SetReadDeadline(time.Now().Add(patience))
	want := append(callOf(2, replyCompact, &Msg{Text: "x"}), callOf(3, replyCompact, &Msg{Text: "x"})...)
	got := make([]byte, len(want))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestGobInAFrameAllocatesNoMoreThanCame(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		for _, b := range [][]byte{
			{0xfd, 0x7f, 0xff, 0xff, 1, 2, 3}, // eight megabytes
			{0xfc, 0x3f, 0xff, 0xff, 0xff, 1}, // a gigabyte
			{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
			{0x80}, {0xff}, {0xf0, 1, 2}, {5, 1},
		} {
			require.ErrorIs(t, decodeGob(b, new(Msg)), errBadFrame)
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
	require.ErrorIs(t, decodeGob(nil, new(Msg)), io.EOF)
	m := &Msg{N: 4, Text: strings.Repeat("x", 1000)}
	b, err := appendGob(nil, m)
	require.NoError(t, err)
	got := new(Msg)
	require.NoError(t, decodeGob(b, got))
	require.Equal(t, m, got)
}

package rpcnet

import (
	"encoding/gob"
	"errors"
	"net"
	"net/rpc"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// agreed returns whether the connection of a transport to an address is compact.
func agreed(t testing.TB, tr *Transport, addr string) bool {
	t.Helper()
	tr.hub.mu.Lock()
	defer tr.hub.mu.Unlock()
	l := tr.hub.shared[laneKey{addr, tr.lane}]
	require.NotNil(t, l, "no connection")
	l.mu.Lock()
	defer l.mu.Unlock()
	require.True(t, l.ready)
	return l.compact
}

func TestEndsAgreeOnCompactFramesIfBothKnowHow(t *testing.T) {
	for name, c := range map[string]struct {
		service func(*world) func(*Conn) (string, any)
		propose []string
		agree   bool
	}{
		"both":         {propose: probeMethods, agree: true},
		"some methods": {propose: []string{"Probe.Wait"}, agree: true},
		"no proposal":  {},
		"a method that the server does not know so": {propose: []string{"Probe.Same", "Probe.Other"}},
		"more methods than a frame can tell apart":  {propose: make([]string, maxCompactMethods+1)},
		"a server that cannot": {
			service: func(w *world) func(*Conn) (string, any) {
				return func(c *Conn) (string, any) { w.service(c); return "Probe", Quiet{} }
			},
			propose: probeMethods,
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, w := sockPath(t), newWorld()
			cfg := ServerConfig{}
			if c.service != nil {
				cfg.Service = c.service(w)
			}
			startAt(t, addr, w, cfg)
			tr := client(t, TransportConfig{Compact: c.propose})
			for i := range 3 { // what was agreed or not, everything works
				same(t, tr, addr, i)
			}
			require.Equal(t, c.agree, agreed(t, tr, addr))
			w.locked(func() { require.Len(t, w.conns, 1) })
		})
	}
}

func TestProposalOfAnotherVersionIsDeclined(t *testing.T) {
	addr, _ := start(t, ServerConfig{})
	c := rpc.NewClient(dial(t, addr))
	defer c.Close()
	err := c.Call(compactMethod, &CompactArgs{Version: compactVersion + 1, Methods: probeMethods}, new(CompactReply))
	require.ErrorContains(t, err, "no agreement")
	var reply Msg
	require.NoError(t, c.Call("Probe.Same", &Msg{N: 7}, &reply), "and gob goes on")
	require.Equal(t, 7, reply.N)
}

func TestMethodsOutsideTheAgreementAreCalledInGob(t *testing.T) {
	addr, _ := start(t, ServerConfig{})
	tr := client(t, TransportConfig{Compact: []string{"Probe.Wait"}})
	same(t, tr, addr, 1)
	require.True(t, agreed(t, tr, addr))
	_, err := Call[struct{}](bg(t), tr, addr, "Conn.Compact", &CompactArgs{})
	require.ErrorContains(t, err, "can't find service Conn")
	_, err = Call[Msg](bg(t), tr, addr, "Probe.Same", 5)
	require.ErrorContains(t, err, "gob")
	require.NotErrorIs(t, err, ErrConnLost)
	same(t, tr, addr, 2)
}

// TestDoneIsNeverRunByFlush: it may need what whoever calls Flush holds.
func TestDoneIsNeverRunByFlush(t *testing.T) {
	for _, propose := range [][]string{nil, probeMethods} {
		addr, _ := start(t, ServerConfig{})
		tr := client(t, TransportConfig{Compact: propose, MaxFrame: 1 << 10})
		same(t, tr, addr, 1)
		held := make(chan struct{})
		results := make(chan error, 100)
		for i := range cap(results) {
			args := &Msg{N: i}
			if i%2 == 1 {
				args.Text = string(make([]byte, 2<<10))
			}
			_, err := Queue(tr, addr, "Probe.Same", args, func(_ *Msg, err error) {
				<-held
				results <- err
			})
			require.NoError(t, err)
		}
		tr.Flush()
		close(held)
		refused := 0
		for range cap(results) {
			select {
			case err := <-results:
				if err != nil {
					require.ErrorIs(t, err, ErrFrameTooLarge)
					require.ErrorIs(t, err, ErrNotSent)
					refused++
				}
			case <-time.After(patience):
				require.Fail(t, "no result")
			}
		}
		require.Equal(t, cap(results)/2, refused)
		same(t, tr, addr, 2)
	}
}

func TestCallsOfOneFlushKeepTheirOrder(t *testing.T) {
	const calls = 5000
	addr, w := start(t, ServerConfig{})
	tr := client(t, TransportConfig{Compact: probeMethods})
	results := make(chan error, calls)
	for i := range calls {
		text := ""
		if i%100 == 0 {
			text = string(make([]byte, 20<<10)) // more than goes out at once
		}
		_, err := Queue(tr, addr, "Probe.Same", &Msg{N: i, Text: text}, func(_ *Msg, err error) { results <- err })
		require.NoError(t, err)
		if i%50 == 49 {
			tr.Flush()
		}
	}
	for range calls {
		select {
		case err := <-results:
			require.NoError(t, err)
		case <-time.After(patience):
			require.Fail(t, "no result")
		}
	}
	w.locked(func() {
		for i, n := range w.arrived {
			require.Equal(t, i, n)
		}
		require.Len(t, w.conns, 1)
	})
}

// agreeing accepts connections at the address that it returns, agrees on compact
// frames, and leaves each to then, which ends it by returning.
func agreeing(t testing.TB, then func(c net.Conn)) (addr string) {
	addr = sockPath(t)
	l, err := Listen(addr)
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var req rpc.Request
			dec := gob.NewDecoder(&oneByteReader{c})
			if dec.Decode(&req) == nil && dec.Decode(new(CompactArgs)) == nil {
				enc := gob.NewEncoder(c)
				enc.Encode(&rpc.Response{ServiceMethod: req.ServiceMethod, Seq: req.Seq})
				enc.Encode(&CompactReply{Version: compactVersion})
				then(c)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-served
	})
	return addr
}

// oneByteReader keeps a gob decoder from reading ahead.
type oneByteReader struct{ net.Conn }

func (r *oneByteReader) ReadByte() (byte, error) {
	var b [1]byte
	_, err := r.Conn.Read(b[:])
	return b[0], err
}

// frameOf returns a frame with that content.
func frameOf(seq uint64, kind byte, payload string) []byte {
	b, _ := closeFrame(append(openFrame(nil, seq, kind), payload...), 0, 1<<30)
	return b
}

// sink reads and forgets.
func sink(c net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

func TestPeerThatFreezesAfterTheAgreementIsFound(t *testing.T) {
	const stall = 100 * time.Millisecond
	done := make(chan struct{})
	addr := agreeing(t, func(net.Conn) { <-done })
	defer close(done)
	down := make(chan error, 10)
	tr := client(t, TransportConfig{Compact: probeMethods, StallTimeout: stall, OnDown: func(_ string, err error) { down <- err }})
	begun := time.Now()
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{})
	err := await(t, ch).err
	require.ErrorIs(t, err, ErrConnLost)
	require.NotErrorIs(t, err, ErrNotSent)
	require.ErrorContains(t, err, "nothing moved")
	require.NotContains(t, err.Error(), "another protocol")
	require.GreaterOrEqual(t, time.Since(begun), stall*9/10)
	require.ErrorIs(t, <-down, ErrConnLost)
}

func TestPeerThatStopsReadingAfterTheAgreementBlocksNobody(t *testing.T) {
	const stall = 200 * time.Millisecond
	done := make(chan struct{})
	addr := agreeing(t, func(net.Conn) { <-done })
	defer close(done)
	tr := client(t, TransportConfig{Compact: probeMethods, StallTimeout: stall})
	var results []<-chan result
	for range 40 { // more than the sockets hold
		ch := make(chan result, 2)
		_, err := Queue(tr, addr, "Probe.Same", &Msg{Text: string(make([]byte, 60<<10))}, func(m *Msg, err error) { ch <- result{m, err} })
		require.NoError(t, err)
		tr.Flush() // never waits
		results = append(results, ch)
	}
	lost, unsent := 0, 0
	for _, ch := range results {
		r := await(t, ch)
		switch require.Error(t, r.err); {
		case errors.Is(r.err, ErrNotSent):
			unsent++
		default:
			require.ErrorIs(t, r.err, ErrConnLost)
			require.Zero(t, unsent, "what is sent is sent in order")
			lost++
		}
	}
	require.NotZero(t, lost)
	require.NotZero(t, unsent, "the last were certainly never handed over")
}

func TestStrangeRepliesHarmNobodyElse(t *testing.T) {
	ok := string((&Msg{N: 1, Text: "1"}).AppendCompact(nil))
	// The agreement was number 1.
	for name, c := range map[string]struct {
		say  []byte
		want string // in the error, empty if there is none
		ends bool   // the connection
	}{
		"what was asked for":    {say: frameOf(2, replyCompact, ok)},
		"in gob":                {say: frameOf(2, replyGob, string(gobOf(t, &Msg{N: 1, Text: "1"})))},
		"beats, and nonsense":   {say: append(append(compactBeat(nil), frameOf(99, replyCompact, ok)...), frameOf(2, replyCompact, ok)...)},
		"twice":                 {say: append(frameOf(2, replyCompact, ok), frameOf(2, replyError, "no")...)},
		"an error":              {say: frameOf(2, replyError, "on purpose"), want: "on purpose"},
		"unknown kind":          {say: frameOf(2, 77, ok), want: "cannot understand the reply"},
		"does not decode":       {say: frameOf(2, replyCompact, ""), want: "cannot understand the reply"},
		"gob that does not fit": {say: frameOf(2, replyGob, "\xfc\x7f\xff\xff\xff"), want: "cannot understand the reply"},
		"empty frame":           {say: []byte{0, 0, 0, 0}, want: "malformed", ends: true},
		"no kind":               {say: []byte{1, 0, 0, 0, 2}, want: "malformed", ends: true},
		"endless number":        {say: append([]byte{11, 0, 0, 0}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"...), want: "malformed", ends: true},
		"large":                 {say: []byte{0, 0, 0, 0x7f}, want: "frame too large", ends: true},
		"half a frame":          {say: []byte{9, 0, 0, 0, 2}, want: "unexpected EOF", ends: true},
		"nothing":               {want: "closed by the peer", ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := agreeing(t, func(nc net.Conn) {
				nc.Read(make([]byte, 1<<10)) // the request
				nc.Write(c.say)
				if !c.ends {
					nc.Read(make([]byte, 1<<10)) // the second request
					nc.Write(frameOf(3, replyCompact, ok))
					sink(nc)
				}
			})
			tr := NewTransport(TransportConfig{Compact: probeMethods, MaxFrame: 1 << 20})
			defer tr.Close()
			reply, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{N: 1, Text: "1"})
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, &Msg{N: 1, Text: "1"}, reply)
			} else {
				require.ErrorContains(t, err, c.want)
				require.NotErrorIs(t, err, ErrNotSent)
				require.NotContains(t, err.Error(), "another protocol")
			}
			if c.ends {
				require.ErrorIs(t, err, ErrConnLost)
				return
			}
			same(t, tr, addr, 1)
		})
	}
}

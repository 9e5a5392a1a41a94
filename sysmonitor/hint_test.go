package sysmonitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/rpcnet"
)

// TestClosedConnectionIsAHint: V7. The end of a persistent connection brings
// suspicion forward, far ahead of the countdown.
func TestClosedConnectionIsAHint(t *testing.T) {
	m := startTest(t, WithDeadPings(1<<30))
	a, b, pingAs := pair(t, m)
	a.Close()
	poll(t, func() bool {
		pingAs(b, 2)
		return m.Status().View.Primary == "b"
	}, "b to take over")
}

// TestHintsAreHarmless: V7. No hint makes a healthy pair change its view:
// servers that reconnect, that dial for each call, or whose hints are off.
func TestHintsAreHarmless(t *testing.T) {
	for name, test := range map[string]struct {
		server []Option
		client []ClientOption
		hints  bool // whether connections are watched at all
	}{
		"reconnecting":      {hints: true},
		"dialling per call": {client: []ClientOption{WithDialPerCall()}},
		"without hints":     {server: []Option{WithoutHints()}},
	} {
		t.Run(name, func(t *testing.T) {
			// So long an interval that the test, not the machine's load, decides.
			m := startTest(t, append(test.server, WithPingInterval(2*time.Second))...)
			_, b, pingAs := pair(t, m, test.client...)
			for seq := uint64(100); seq < 110; seq++ {
				c := MakeClient("a", m.Addr(), test.client...)
				for i := range uint64(persistentAfter) {
					ping(t, c, PingArgs{Me: "a", Incarnation: 5, Seq: 2*seq + i, Viewnum: 2})
				}
				c.Close()
				pingAs(b, 2)
			}
			poll(t, func() bool { m.listener.mu.Lock(); defer m.listener.mu.Unlock(); return len(m.listener.conns) <= 2 }, "the connections to end")
			require.EqualValues(t, 2, m.Status().View.Viewnum)
		})
	}
}

// TestHintsComeFromPersistentConnectionsOnly: V7. One ping on a connection, or a
// lab server's pings, say nothing about a server when the connection ends.
func TestHintsComeFromPersistentConnectionsOnly(t *testing.T) {
	m := startTest(t)
	for _, test := range []struct {
		pings []PingArgs
		want  bool
	}{
		{[]PingArgs{{Me: "a", Incarnation: 1, Seq: 1}}, false},
		{[]PingArgs{{Me: "a"}, {Me: "a"}, {Me: "a"}}, false},
		{[]PingArgs{{Me: "a", Incarnation: 1, Seq: 1}, {Me: "b", Incarnation: 1, Seq: 2}}, false},
		{[]PingArgs{{Me: "a", Incarnation: 1, Seq: 1}, {Me: "a", Incarnation: 1, Seq: 2}}, true},
	} {
		v := &service{server: m}
		for i := range test.pings {
			v.count(&test.pings[i])
		}
		require.Equal(t, test.want, v.pings == persistentAfter, "%+v", test.pings)
	}
}

// listenAsServer listens where a server is known, and returns what ends its process
// as far as others can see, and the number of connections that it has accepted.
func listenAsServer(t *testing.T, addr string) (at string, end func(), accepted *atomic.Int32) {
	t.Helper()
	l, err := rpcnet.Listen(addr)
	require.NoError(t, err)
	accepted = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			accepted.Add(1)
			conns = append(conns, conn) // a server says nothing unless it is asked
		}
		for _, conn := range conns {
			conn.Close()
		}
	}()
	end = func() {
		l.Close()
		<-done
	}
	t.Cleanup(end)
	return l.Addr().String(), end, accepted
}

// TestRefusedDialSuspectsAtOnce: V7. A connection that closed and an address that
// refuses to be dialled are a process that is gone, and no time has to pass. (Here
// none does: pings are an hour apart.)
func TestRefusedDialSuspectsAtOnce(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			at := "127.0.0.1:0"
			if network == "unix" {
				at = filepath.Join(socketDir(t), "a")
			}
			at, end, accepted := listenAsServer(t, at)
			m := startTest(t, WithPingInterval(time.Hour))
			a, _, _ := pairAt(t, m, at, "b")
			poll(t, func() bool { return accepted.Load() > 0 }, "the server to be dialled while it is well")
			end()
			a.Close()
			poll(t, func() bool { return m.Status().View.Primary == "b" }, "b to take over")
		})
	}
}

// TestSocketWithARelativePath: V7. A Unix socket is found where the view service finds
// it, and not where its server, which runs in another directory, says that it is.
func TestSocketWithARelativePath(t *testing.T) {
	dir := socketDir(t)
	t.Chdir(dir)
	_, end, accepted := listenAsServer(t, "./a")
	t.Chdir(t.TempDir())
	at := filepath.Join(dir, "a")
	m := startTest(t, WithPingInterval(time.Hour))
	a, _, _ := pairAt(t, m, at, "b")
	poll(t, func() bool { return accepted.Load() == 1 }, "the server to be dialled while it is well")
	a.Close()
	poll(t, func() bool { return accepted.Load() == 2 || m.Status().View.Primary == "b" }, "the server to be dialled because of the hint")
	require.Equal(t, at, m.Status().View.Primary)
	end()
	poll(t, func() bool { return m.Status().View.Primary == "b" }, "b to take over")
}

// TestProcessThatEndsBitByBit: V7. One that still accepts a connection after that to
// the view service has closed is found to be gone when the rest of it is.
func TestProcessThatEndsBitByBit(t *testing.T) {
	at, end, accepted := listenAsServer(t, filepath.Join(socketDir(t), "a"))
	m := startTest(t, WithPingInterval(time.Hour))
	a, _, _ := pairAt(t, m, at, "b")
	poll(t, func() bool { return accepted.Load() > 0 }, "the server to be dialled while it is well")
	a.Close()
	poll(t, func() bool { return accepted.Load() > 1 }, "the server to be dialled because of the hint")
	require.Equal(t, at, m.Status().View.Primary)
	end()
	poll(t, func() bool { return m.Status().View.Primary == "b" }, "b to take over")
}

// TestHintsAreHarmlessToOneThatListens: V7. A server that is well may lose its
// connection any number of times.
func TestHintsAreHarmlessToOneThatListens(t *testing.T) {
	at, _, accepted := listenAsServer(t, filepath.Join(socketDir(t), "a"))
	// So long an interval that the test, not the machine's load, decides.
	m := startTest(t, WithPingInterval(10*time.Second))
	a, b, pingAs := pairAt(t, m, at, "b")
	poll(t, func() bool { return accepted.Load() > 0 }, "the server to be dialled while it is well")
	a.Close()
	for seq := uint64(100); seq < 110; seq++ {
		dials := 2 * int32(seq-99) // each connection has two: while it is open, and when it has closed
		poll(t, func() bool { return accepted.Load() == dials }, "the server to be dialled because of the hint")
		c := MakeClient(at, m.Addr())
		for i := range uint64(persistentAfter) {
			ping(t, c, PingArgs{Me: at, Incarnation: 5, Seq: 2*seq + i, Viewnum: 2})
		}
		pingAs(b, 2)
		poll(t, func() bool { return accepted.Load() == dials+1 }, "the server to be dialled while it is well")
		c.Close()
	}
	require.EqualValues(t, 2, m.Status().View.Viewnum)
}

// TestWallSaysNothing: V7. Where the address refused to be dialled when the server
// was well, too, that it refuses is no sign that it is gone.
func TestWallSaysNothing(t *testing.T) {
	var dials atomic.Int32
	m := startTest(t, WithPingInterval(10*time.Second), func(o *options) {
		o.dial = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, syscall.ECONNREFUSED
		}
	})
	a, _, _ := pair(t, m)
	poll(t, func() bool { return dials.Load() == 2 }, "both servers to be dialled while they are well")
	a.Close()
	poll(t, func() bool { m.listener.mu.Lock(); defer m.listener.mu.Unlock(); return len(m.listener.conns) <= 1 }, "the connection to end")
	m.Kill()
	require.EqualValues(t, 2, dials.Load(), "what it would say counts for nothing")
	require.EqualValues(t, 2, m.Status().View.Viewnum)
}

// TestNameWithSeveralAddresses: V7. It is where the server was reached that a refusal
// counts: a dial by name is said to be refused if one address refuses and another,
// which may be the server's, does not answer.
func TestNameWithSeveralAddresses(t *testing.T) {
	at, end, accepted := listenAsServer(t, "127.0.0.1:0")
	var byName atomic.Int32
	m := startTest(t, WithPingInterval(time.Hour), func(o *options) {
		o.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "a:1" {
				if byName.Add(1) > 1 {
					return nil, syscall.ECONNREFUSED
				}
				addr = at
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	a, _, _ := pairAt(t, m, "a:1", "b")
	poll(t, func() bool { return accepted.Load() == 1 }, "the server to be dialled while it is well")
	a.Close()
	poll(t, func() bool { return accepted.Load() == 2 || byName.Load() == 2 }, "the server to be dialled because of the hint")
	require.EqualValues(t, 1, byName.Load())
	require.Equal(t, "a:1", m.Status().View.Primary)
	end()
	poll(t, func() bool { return m.Status().View.Primary == "b" }, "b to take over")
}

// TestOnlyRefusalsCount: V7. What a dial after a hint says about the server.
func TestOnlyRefusalsCount(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}
	for name, test := range map[string]struct {
		dials []error // nil: accepted, and closed at once
		gone  bool
	}{
		"refused":                   {[]error{refused}, true},
		"the socket's file is gone": {[]error{fs.ErrNotExist}, true},
		"no answer":                 {[]error{context.DeadlineExceeded}, false},
		"no way there":              {[]error{syscall.EHOSTUNREACH}, false},
		"too many wait already":     {[]error{syscall.EAGAIN}, false},
		"no such name":              {[]error{errors.New("no such host")}, false},
		"accepted by the kernel":    {[]error{nil, refused}, true},
		"reset while it is dialled": {[]error{syscall.ECONNRESET, refused}, true},
		"resets whoever comes":      {[]error{syscall.ECONNRESET, nil, syscall.ECONNRESET}, false},
		"accepts no more":           {[]error{nil, nil, nil}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dials := 0
			m := startTest(t, WithPingInterval(time.Hour), func(o *options) {
				o.dial = func(context.Context, string, string) (net.Conn, error) {
					err := test.dials[dials] // it panics if it is dialled too often
					dials++
					if err != nil {
						return nil, err
					}
					near, far := net.Pipe()
					far.Close()
					return near, nil
				}
			})
			require.Equal(t, test.gone, m.isGone(t.Context(), "a"))
			require.Len(t, test.dials, dials)
		})
	}
}

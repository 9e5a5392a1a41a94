package tandem_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// dial opens a bare connection that the test closes.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial(rpcnet.Network(addr), addr)
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close() })
	return nc
}

// dialPlain returns a client as net/rpc makes it.
func dialPlain(t testing.TB, addr string) *rpc.Client {
	t.Helper()
	k := rpc.NewClient(dial(t, addr))
	t.Cleanup(func() { k.Close() })
	return k
}

// endsSoon reports whether the other end closes a connection, within patience.
func endsSoon(nc net.Conn) bool {
	nc.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, nc)
	var timeout net.Error
	return !(errors.As(err, &timeout) && timeout.Timeout())
}

// gobRequest encodes a request as net/rpc's client does.
func gobRequest(method string, seq uint64, args any) []byte {
	var b bytes.Buffer
	enc := gob.NewEncoder(&b)
	for _, v := range []any{&rpc.Request{ServiceMethod: method, Seq: seq}, args} {
		if err := enc.Encode(v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// gobLength is the beginning of a gob message of n bytes.
func gobLength(n uint64) []byte {
	b := []byte{0xf8, 0, 0, 0, 0, 0, 0, 0, 0}
	for i := range 8 {
		b[8-i] = byte(n >> (8 * i))
	}
	return b
}

// TestNonsenseOnThePort sends to a server and to a view service what nobody
// should. Such a connection is closed, and everybody else is served meanwhile.
func TestNonsenseOnThePort(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	w := new(witness)
	clients := newLoad(t, w)
	clients.chains(c, 2)
	clients.more(c, 10)

	noise := make([]byte, 64<<10)
	rand.NewChaCha8([32]byte{7}).Read(noise)
	var wg sync.WaitGroup
	defer wg.Wait()
	request := gobRequest("KVServer.Put", 0, &tandem.PutArgs{Key: "half", Value: strings.Repeat("v", 1000)})
	for what, bytes := range map[string][]byte{
		"noise":                    noise,
		"zeros":                    make([]byte, 1000),
		"ones":                     []byte(strings.Repeat("\xff", 1000)),
		"the web":                  []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a length of 8 GiB":        gobLength(8 << 30),
		"a length of 2^64-1":       gobLength(1<<64 - 1),
		"a length below zero":      gobLength(1 << 63),
		"half a length":            gobLength(100)[:5],
		"half a request":           request[:len(request)-500],
		"a request in a bad frame": append([]byte{5}, request...),
	} {
		for _, name := range []string{"a", "b", monitorName} {
			nc := dial(t, c.addr(name))
			wg.Go(func() {
				nc.Write(bytes)
				if !endsSoon(nc) {
					t.Errorf("%s at %s: the connection is not closed", what, name)
				}
			})
		}
		clients.more(c, 5)
	}
	wg.Wait()

	// These are understood, and refused, on a connection that goes on.
	for _, name := range []string{"a", monitorName} {
		k := dialPlain(t, c.addr(name))
		var none struct{}
		require.Error(t, k.Call("Nobody.Nothing", &none, &none))
		require.Error(t, k.Call("KVServer.Explode", &none, &none))
		require.Error(t, k.Call("KVServer.Put", "a text is no request", &none))
	}
	k := dialPlain(t, c.addr("a"))
	for what, args := range map[string]tandem.PutArgs{
		"an unknown operation":     {Key: "key", Op: 99},
		"two operations":           {Key: "key", Op: tandem.OpAppend, DoHash: true},
		"a session without number": {Key: "key", Session: 1},
	} {
		var reply tandem.PutReply
		require.NoError(t, k.Call("KVServer.Put", &args, &reply), what)
		require.Equal(t, tandem.ErrBadRequest, reply.Err, what)
		require.Equal(t, tandem.DidNotRun, reply.Outcome, what)
	}
	// Between servers everything names its sender and receiver (N1).
	var batch kvservice.Batch
	require.NoError(t, k.Call("KVServer.Replicate", &kvservice.Batch{}, &batch))
	require.Empty(t, batch.Messages)

	clients.more(c, 10)
	require.EqualValues(t, 2, c.server("a").Status().Keys, "the clients' own, and nothing else")
	clients.stop()
	w.clean(t)
}

// measured starts a view service and a server in a process of their own, so that
// nothing else counts, and stores 8 MiB under the key "large". It returns the
// server's address, a client, and how many bytes of heap were in use at most so
// far, beyond those that were then.
func measured(t *testing.T) (addr string, k *kvservice.KVClient, heap func() int64) {
	dir, err := os.MkdirTemp("", "tdm")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	var most atomic.Int64
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait) // after the child has been killed
	_, out := child(t, "servers", dir)
	wg.Go(func() {
		for out.Scan() {
			var n int64
			if _, err := fmt.Sscanf(out.Text(), "heap %d", &n); err == nil {
				most.Store(n)
			}
		}
	})
	k = kvservice.MakeKVClient(filepath.Join(dir, "m"))
	t.Cleanup(k.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, k.PutContext(ctx, "large", strings.Repeat("0123456789abcdef", 8<<20/16)))
	require.True(t, poll(ctx, func() bool { return most.Load() > 0 }))
	before := most.Load()
	return filepath.Join(dir, "a"), k, func() int64 { return most.Load() - before }
}

// heapLimit is what a server may take beyond what it holds. Its limits on what
// is buffered add up to less than half; the rest is for the collector.
const heapLimit = 900 << 20

// TestHalfFramesTakeBoundedMemory: peers that send much and never end get no more
// of a server's memory than its limits say.
func TestHalfFramesTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	addr, k, heap := measured(t)
	// Frames of 60 MiB are begun, sent as far as anybody reads, and never end.
	// (A value of a known type: type definitions have a narrow limit.)
	ended := make(chan bool)
	const announcers = 12
	for range announcers {
		nc := dial(t, addr)
		go func() {
			nc.SetWriteDeadline(time.Now().Add(patience))
			_, err := nc.Write(append(gobLength(60<<20), 4, 0))
			for piece, sent := make([]byte, 1<<20), 0; err == nil && sent < 55; sent++ {
				_, err = nc.Write(piece)
			}
			ended <- endsSoon(nc)
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, k.PutContext(ctx, "small", "is served meanwhile"))
	for range announcers {
		require.True(t, <-ended, "a connection with half a frame is closed")
	}
	t.Logf("at most %d MiB more", heap()>>20)
	require.Less(t, heap(), int64(heapLimit), "bytes of heap in use beyond those at rest")
}

// TestUnreadAnswersTakeBoundedMemory: a peer that asks for much on one connection
// and reads nothing gets no more of a server's memory than its limits say.
func TestUnreadAnswersTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	addr, k, heap := measured(t)
	// 300 times 8 MiB are asked for on one connection, and nothing is read.
	nc := dial(t, addr)
	enc := gob.NewEncoder(nc)
	for i := range 300 {
		nc.SetWriteDeadline(time.Now().Add(patience))
		if enc.Encode(&rpc.Request{ServiceMethod: "KVServer.Get", Seq: uint64(i)}) != nil || enc.Encode(&tandem.GetArgs{Key: "large"}) != nil {
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, k.PutContext(ctx, "small", "is served meanwhile"))
	_, err := k.GetContext(ctx, "large")
	require.NoError(t, err)
	require.True(t, poll(ctx, func() bool { _, err := nc.Write([]byte{0}); return err != nil }), "who does not read is closed")

	t.Logf("at most %d MiB more", heap()>>20)
	require.Less(t, heap(), int64(heapLimit), "bytes of heap in use beyond those at rest")
}

// TestPeersThatNeverRead: a peer that asks and does not read is closed, and all
// that it holds up is itself.
func TestPeersThatNeverRead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("client")
	c.put(k, "large", strings.Repeat("v", 1<<20))
	for _, peer := range []struct{ name, method string }{{"a", "KVServer.Get"}, {monitorName, "MonitorServer.Status"}} {
		nc := dial(t, c.addr(peer.name))
		enc := gob.NewEncoder(nc)
		var err error
		for seq := uint64(0); err == nil; seq++ {
			// It ends when the other end has had enough.
			nc.SetWriteDeadline(time.Now().Add(patience))
			if err = enc.Encode(&rpc.Request{ServiceMethod: peer.method, Seq: seq}); err == nil {
				if peer.name == monitorName {
					err = enc.Encode(&sysmonitor.StatusArgs{})
				} else {
					err = enc.Encode(&tandem.GetArgs{Key: "large"})
				}
			}
		}
		var timeout net.Error
		require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "%s puts up with it: %v", peer.name, err)
		c.put(k, "small", peer.name)
	}
}

// TestTooManyConnections: beyond the limit connections are closed as they come;
// those that were there go on, and when one leaves there is room for another.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	const limit = 8
	c := newCluster(t, steady())
	c.start("a", kvservice.WithLimits(kvservice.Limits{MaxConns: limit}))
	c.waitRoles("a", "")
	k := c.client("client")
	c.put(k, "key", "value")
	open := func() (*rpc.Client, bool) {
		p := dialPlain(t, c.addr("a"))
		var reply tandem.GetReply
		err := p.Call("KVServer.Get", &tandem.GetArgs{Key: "key"}, &reply)
		return p, err == nil && reply.Value == "value"
	}
	var held []*rpc.Client
	for range limit - 1 { // one is the client's
		p, ok := open()
		require.True(t, ok)
		held = append(held, p)
	}
	for range 20 {
		_, ok := open()
		require.False(t, ok, "a connection beyond the limit")
	}
	require.Equal(t, "value", c.get(k, "key"))
	var reply tandem.GetReply
	require.NoError(t, held[0].Call("KVServer.Get", &tandem.GetArgs{Key: "key"}, &reply))
	held[0].Close()
	c.wait("room for another connection", func() bool { _, ok := open(); return ok })
}

// TestAddresses: what is wrong with an address is an error that names it.
func TestAddresses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	free := filepath.Join(c.dir, "free")
	long := filepath.Join(c.dir, strings.Repeat("long", 50))
	nowhere := filepath.Join(c.dir, "no", "such", "directory")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for what, addr := range map[string]string{
		"in use by a server":     c.addr("a"),
		"in use by the monitor":  c.addr(monitorName),
		"in use, TCP":            taken.Addr().String(),
		"too long for a socket":  long,
		"in no directory":        nowhere,
		"not an address":         "localhost",
		"not an address of ours": "192.0.2.1:0",
	} {
		s, err := kvservice.Start(c.addr(monitorName), addr)
		require.ErrorContains(t, err, addr, "a server, %s", what)
		require.Nil(t, s)
		m, err := sysmonitor.Start(addr)
		require.ErrorContains(t, err, addr, "a view service, %s", what)
		require.Nil(t, m)
		require.Panics(t, func() { kvservice.StartKVServer(c.addr(monitorName), addr) }, what)
		require.Panics(t, func() { sysmonitor.StartServer(addr) }, what)
	}

	// A view service that is not there may come later, so a server starts all the
	// same, and a client waits for it as long as its context does.
	s, err := kvservice.Start(nowhere, free)
	require.NoError(t, err)
	require.Zero(t, s.Status().View.Viewnum)
	s.Kill()
	_, err = kvservice.Start("", free)
	require.Error(t, err)
	for _, addr := range []string{nowhere, "127.0.0.1:1", ""} {
		k := kvservice.MakeKVClient(addr)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err = k.PutContext(ctx, "key", "value")
		cancel()
		k.Close()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, kvservice.ErrOutcomeUnknown, "nothing was sent")
		require.ErrorContains(t, err, addr)
		require.ErrorContains(t, err, "view service")
	}
	k := c.client("client")
	c.put(k, "key", "value")
}

// TestTwoServersWithOneAddress: the second cannot listen there. One that listens
// elsewhere and says that the address is its own brings trouble upon the
// address, but the data is safe.
func TestTwoServersWithOneAddress(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	w := new(witness)
	clients := newLoad(t, w)
	clients.chains(c, 2)
	clients.journals(c)
	before := c.server("b").Status().Server
	_, err := kvservice.Start(c.addr(monitorName), c.addr("b"))
	require.ErrorContains(t, err, c.addr("b"))
	clients.more(c, 20)
	require.Equal(t, before, c.server("b").Status().Server)
	require.Equal(t, c.addr("b"), c.monitorStatus().View.Backup)

	impostor := c.start("x", kvservice.WithAdvertise(c.addr("b")))
	require.Equal(t, c.addr("b"), impostor.Addr())
	c.wait("the view service to take it for b restarted", func() bool {
		for _, s := range c.monitorStatus().Servers {
			if s.Server == impostor.Status().Server {
				return true
			}
		}
		return false
	})
	clients.more(c, 20)
	impostor.Kill()
	c.waitInSync()
	clients.more(c, 20)
	require.Equal(t, before, c.server("b").Status().Server)
	c.kill("a")
	c.waitRoles("b", "")
	clients.more(c, 20)
	clients.stop()
	w.clean(t)
}

// TestMonitorThatLostItsMemory: a view service that restarts knows nothing. Once
// it hears of a view it announces none, old or new, and says why (V0); the
// servers go on in the view they have.
func TestMonitorThatLostItsMemory(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	v := c.pair()
	w := new(witness)
	clients := newLoad(t, w)
	clients.chains(c, 2)
	clients.more(c, 10)
	c.killMonitor()
	clients.more(c, 10)
	c.startMonitor()
	c.wait("the view service to hear what it has lost", func() bool { return c.monitorStatus().LostMemory })
	clients.more(c, 10)

	// Fresh servers come. They ping, and form nothing.
	for _, name := range []string{"c", "d"} {
		c.start(name)
		pings := func() int {
			return c.faults.CountsBy()[rpcnet.Route{From: c.addr(name), To: c.addr(monitorName), Method: "MonitorServer.Ping"}]
		}
		c.wait(name+" to ping a few times", func() bool { return pings() >= 5 })
		require.Zero(t, c.server(name).Status().View.Viewnum)
	}
	require.Zero(t, c.view().number)
	st := c.monitorStatus()
	require.True(t, st.Down)
	require.Contains(t, st.Why, "lost its memory")
	plain := dialPlain(t, c.addr(monitorName))
	var reply tandem.ViewReply
	require.NoError(t, plain.Call("MonitorServer.Get", &tandem.ViewArgs{}, &reply))
	require.Equal(t, tandem.ViewReply{Err: tandem.ErrLostMemory}, reply)
	var ping tandem.PingReply
	require.NoError(t, plain.Call("MonitorServer.Ping", &tandem.PingArgs{Me: "lab"}, &ping))
	require.Equal(t, tandem.ErrLostMemory, ping.Err)
	require.Zero(t, ping.View)

	// Who has no view gets none, and is told why.
	fresh := c.client("fresh")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := fresh.GetContext(ctx, "chain 0")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	clients.more(c, 10)
	require.Equal(t, v.number, c.server("a").Status().View.Viewnum)
	require.Equal(t, v.number, c.server("b").Status().View.Viewnum)
	clients.stop()
	w.clean(t)
}

// TestAnotherClusterIsRefused: with nobody left who knows better, a new cluster
// forms at the old one's addresses. It refuses a server of the old one that
// turns up, and every request that was meant for the old one (V0).
func TestAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.start("a")
	c.waitRoles("a", "")
	old := c.client("old")
	ctx, cancel := c.ctx()
	defer cancel()
	require.NoError(t, old.PutContext(ctx, "key", "old"))
	addrA := c.addr("a")
	gate := c.faults.Hold(func(from, to, method string) bool {
		return from == "old" && to == addrA && method == "KVServer.Put"
	})
	defer gate.Release()
	held := make(chan error, 1)
	go func() { held <- old.AppendContext(ctx, "key", " word") }()
	c.wait("a request to be held", func() bool { return gate.Held() > 0 })
	first := c.monitorStatus().View.Cluster
	require.NotZero(t, first)

	// A server of the old cluster will be cut off while everything changes.
	straggler := c.start("b")
	c.waitInSync()
	c.faults.Freeze(c.addr("b"))
	c.killMonitor()
	c.kill("a")
	c.startMonitor()
	c.start("a")
	c.waitRoles("a", "")
	second := c.monitorStatus().View.Cluster
	require.NotEqual(t, first, second)
	fresh := c.client("new")
	c.put(fresh, "key", "new")

	before := c.view()
	c.faults.Thaw(c.addr("b"))
	pings := func() int {
		return c.faults.CountsBy()[rpcnet.Route{From: c.addr("b"), To: c.addr(monitorName), Method: "MonitorServer.Ping"}]
	}
	from := pings()
	c.wait("the straggler to ping a few times", func() bool { return pings() >= from+5 })
	require.Equal(t, before, c.view())
	require.False(t, c.monitorStatus().LostMemory)
	require.Equal(t, first, straggler.Status().View.Cluster)
	plain := dialPlain(t, c.addr(monitorName))
	var ping tandem.PingReply
	require.NoError(t, plain.Call("MonitorServer.Ping", &tandem.PingArgs{Me: "b", Viewnum: 1, Incarnation: 1, Seq: 1, Cluster: first}, &ping))
	require.Equal(t, tandem.ErrWrongCluster, ping.Err)
	var got tandem.GetReply
	require.NoError(t, dialPlain(t, c.addr("a")).Call("KVServer.Get", &tandem.GetArgs{Key: "key", Target: tandem.Target{Cluster: first}}, &got))
	require.Equal(t, tandem.GetReply{Err: tandem.ErrWrongCluster}, got)

	// What was under way to the old cluster does not run in the new.
	gate.Release()
	err := <-held
	require.ErrorIs(t, err, kvservice.ErrOutcomeUnknown)
	require.ErrorIs(t, err, tandem.ErrWrongCluster)
	require.Equal(t, "new", c.get(fresh, "key"))
	// Nor does the old client read there, as if what it wrote had never been.
	_, err = old.GetContext(ctx, "key")
	require.ErrorIs(t, err, tandem.ErrWrongCluster)
	require.NotErrorIs(t, err, kvservice.ErrOutcomeUnknown)
}

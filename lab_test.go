package tandem_test

import (
	"net/rpc"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/rpcnet"
)

// The wire as a program knows it that has only read the lab's text: net/rpc,
// gob, and none of our types.
type (
	labErr string

	labPutArgs struct {
		Key, Value string
		DoHash     bool
	}
	labPutReply struct {
		Err           labErr
		PreviousValue string
	}
	labGetArgs  struct{ Key string }
	labGetReply struct {
		Err   labErr
		Value string
	}

	labView struct {
		Viewnum         uint
		Primary, Backup string
	}
	labPingArgs struct {
		Me      string
		Viewnum uint
	}
	labPingReply struct{ View labView }
	labViewArgs  struct{}
	labViewReply struct{ View labView }
)

// labCall makes a call as the lab does: a connection of its own, closed after it.
func labCall(t testing.TB, addr, method string, args, reply any) {
	t.Helper()
	k, err := rpc.Dial(rpcnet.Network(addr), addr)
	require.NoError(t, err)
	defer k.Close()
	require.NoError(t, k.Call(method, args, reply), method)
}

// S6: a client that knows nothing of sessions, clusters or views is served.
func TestLabClientIsServed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	c.pair()
	c.start("c")
	c.waitRole("c", "idle")
	a, b := c.addr("a"), c.addr("b")

	var monitor labViewReply
	labCall(t, c.addr(monitorName), "MonitorServer.Get", labViewArgs{}, &monitor)
	assert.Equal(t, labView{c.view().number, a, b}, monitor.View)

	put := func(addr string, args labPutArgs) (r labPutReply) {
		t.Helper()
		labCall(t, addr, "KVServer.Put", args, &r)
		return r
	}
	get := func(addr, key string) (r labGetReply) {
		t.Helper()
		labCall(t, addr, "KVServer.Get", labGetArgs{key}, &r)
		return r
	}
	assert.Equal(t, labGetReply{Err: "ErrNoKey"}, get(a, "key"))
	assert.Equal(t, labPutReply{Err: "OK"}, put(a, labPutArgs{Key: "key", Value: "v"}))
	assert.Equal(t, labGetReply{"OK", "v"}, get(a, "key"))
	assert.Equal(t, labPutReply{"OK", "v"}, put(a, labPutArgs{"key", "w", true}))
	assert.Equal(t, labGetReply{"OK", hashed("v", "w")}, get(a, "key"))
	assert.Equal(t, labPutReply{"OK", ""}, put(a, labPutArgs{"new", "x", true}))

	// S6: no request of this client is a repetition of another.
	for range 2 {
		put(a, labPutArgs{"counted", "again", true})
	}
	assert.Equal(t, hashed(hashed("", "again"), "again"), get(a, "counted").Value)

	for _, addr := range []string{b, c.addr("c")} {
		assert.Equal(t, labErr("ErrWrongServer"), put(addr, labPutArgs{Key: "key", Value: "z"}).Err)
		assert.Equal(t, labErr("ErrWrongServer"), get(addr, "key").Err)
	}

	// What a lab client wrote is replicated, and any client reads it.
	c.kill("a")
	c.waitRoles("b", "c")
	assert.Equal(t, hashed("v", "w"), get(b, "key").Value)
	assert.Equal(t, hashed("", "x"), c.get(c.client("k"), "new"))
}

// Many calls on one connection, as a program makes them that knows net/rpc and
// not the lab.
func TestPlainClientKeepsItsConnection(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	c.pair()
	k, err := rpc.Dial(rpcnet.Network(c.addr("a")), c.addr("a"))
	require.NoError(t, err)
	defer k.Close()
	const n = 200
	calls := make(chan *rpc.Call, n)
	for i := range n {
		k.Go("KVServer.Put", labPutArgs{Key: strconv.Itoa(i), Value: strconv.Itoa(2 * i)}, &labPutReply{}, calls)
	}
	for range n {
		call := <-calls
		require.NoError(t, call.Error)
		require.Equal(t, labErr("OK"), call.Reply.(*labPutReply).Err)
	}
	require.Error(t, k.Call("KVServer.Nothing", labGetArgs{}, &labGetReply{}))
	for i := range n {
		var r labGetReply
		require.NoError(t, k.Call("KVServer.Get", labGetArgs{strconv.Itoa(i)}, &r))
		require.Equal(t, labGetReply{"OK", strconv.Itoa(2 * i)}, r)
	}
}

// V2, V3, V6: servers that ping as the lab's do, with neither incarnation nor
// sequence, get their views.
func TestLabServersPing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	m := c.addr(monitorName)
	ping := func(me string, number uint) labView {
		t.Helper()
		var r labPingReply
		labCall(t, m, "MonitorServer.Ping", labPingArgs{me, number}, &r)
		return r.View
	}
	assert.Equal(t, labView{1, "p", ""}, ping("p", 0))
	assert.Equal(t, labView{1, "p", ""}, ping("b", 0), "not acknowledged: nobody is named")
	assert.Equal(t, labView{2, "p", "b"}, ping("p", 1), "acknowledged: the idle server is named")
	assert.Equal(t, labView{2, "p", "b"}, ping("b", 2))
	assert.Equal(t, labView{2, "p", "b"}, ping("p", 2))
	// The lab's way to say "I restarted": the primary is followed at once.
	assert.Equal(t, labView{3, "b", ""}, ping("p", 0))
	assert.Equal(t, labView{4, "b", "p"}, ping("b", 3))
	var r labViewReply
	labCall(t, m, "MonitorServer.Get", labViewArgs{}, &r)
	assert.Equal(t, labView{4, "b", "p"}, r.View)
}

package sysmonitor

import (
	"net/rpc"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/rpcnet"
)

// part A of the lab, in our own words: servers are Clients that ping.

// lab is a view service and some lab servers.
type lab struct {
	*require.Assertions
	t *testing.T
	m *MonitorServer
}

func newLab(t *testing.T) *lab {
	return &lab{require.New(t), t, startTest(t)}
}

// server returns a client that pings under a name.
func (l *lab) server(name string) *Client {
	c := MakeClient(name, l.m.Addr(), WithDialPerCall())
	l.t.Cleanup(c.Close)
	return c
}

func (l *lab) view() View {
	v, ok := l.server("observer").Get()
	l.True(ok)
	return v
}

// ping pings and returns the view.
func (l *lab) ping(c *Client, number uint) View {
	v, err := c.Ping(number)
	l.NoError(err)
	return v
}

// until has everybody ping, with the number that it would, until the roles are
// these, and returns the view.
func (l *lab) until(primary, backup string, ping func(View)) View {
	l.t.Helper()
	var v View
	poll(l.t, func() bool {
		v = l.view()
		if v.Primary == primary && v.Backup == backup {
			return true
		}
		ping(v)
		return false
	}, "%s and %q to be primary and backup", primary, backup)
	return v
}

// TestLabPartA walks through the lab's tests of the view service in one life.
func TestLabPartA(t *testing.T) {
	l := newLab(t)
	a, b, c := l.server("a"), l.server("b"), l.server("c")
	l.Empty(a.Primary())

	// First primary (V1).
	v := l.until("a", "", func(View) { l.ping(a, 0) })
	l.EqualValues(1, v.Viewnum)
	l.Equal("a", b.Primary())

	// First backup (V4), in the next view.
	v = l.until("a", "b", func(View) { l.ping(a, 1); l.ping(b, 0) })
	l.EqualValues(2, v.Viewnum)

	// Takeover (V4): the backup goes on, alone, in the next view.
	l.ping(a, 2)
	l.ping(b, 2)
	v = l.until("b", "", func(v View) { l.ping(b, v.Viewnum) })
	l.EqualValues(3, v.Viewnum)

	// A restarted server becomes the backup.
	v = l.until("b", "a", func(v View) { l.ping(b, v.Viewnum); l.ping(a, 0) })
	l.EqualValues(4, v.Viewnum)
	l.ping(b, 4)
	l.ping(a, 4)

	// An idle third server becomes the backup when the primary fails: two views.
	v = l.until("a", "c", func(v View) { l.ping(a, v.Viewnum); l.ping(c, 0) })
	l.EqualValues(6, v.Viewnum)
	l.ping(a, 6)
	l.ping(c, 6)

	// A restarted primary is treated as dead (V6), at once.
	l.ping(a, 0)
	v = l.view()
	l.Equal("c", v.Primary)
	l.EqualValues(7, v.Viewnum)

	// A dead backup is removed.
	v = l.until("c", "a", func(v View) { l.ping(c, v.Viewnum); l.ping(a, 0) })
	l.EqualValues(8, v.Viewnum)
	l.ping(c, 8)
	v = l.until("c", "", func(v View) { l.ping(c, v.Viewnum) })
	l.EqualValues(9, v.Viewnum)
}

// TestViewServiceWaitsForAcknowledgement: V3. A view whose primary does not
// acknowledge it stands, whatever its backup says, and that backup is never
// promoted: it is uninitialised.
func TestViewServiceWaitsForAcknowledgement(t *testing.T) {
	l := newLab(t)
	a, b, c := l.server("a"), l.server("b"), l.server("c")
	l.ping(a, 0)
	l.ping(a, 1)
	l.Equal("b", l.ping(b, 0).Backup)
	// b acknowledges what is not its to acknowledge, and a goes silent.
	poll(t, func() bool {
		l.ping(b, 2)
		l.ping(c, 0)
		return l.m.Status().Down
	}, "the group to be down")
	v := l.view()
	l.Equal(View{Viewnum: 2, Primary: "a", Backup: "b", Cluster: v.Cluster}, v)
	st := l.m.Status()
	l.EqualValues(1, st.Active)
	l.Contains(st.Why, "return of a")
	// a is back: nothing was lost.
	l.Equal(v, l.ping(a, 2))
	l.False(l.m.Status().Down)
}

// TestDeadIdleServerIsNotChosen: V4.
func TestDeadIdleServerIsNotChosen(t *testing.T) {
	l := newLab(t)
	a, b := l.server("a"), l.server("b")
	l.ping(a, 0)
	l.ping(b, 0)
	poll(t, func() bool {
		l.ping(a, 0)
		for _, s := range l.m.Status().Servers {
			if s.Addr == "b" {
				return s.Suspected
			}
		}
		return false
	}, "b to be suspected")
	l.Equal("", l.ping(a, 1).Backup)
}

// TestUninitialisedServerCannotTakeOver: V9. When all who held the data are gone
// for good, nobody else becomes primary.
func TestUninitialisedServerCannotTakeOver(t *testing.T) {
	l := newLab(t)
	a, b := l.server("a"), l.server("b")
	l.ping(a, 0)
	l.ping(a, 1)
	l.ping(a, 0) // restarted: its data is gone
	before := l.view()
	ticks := 0
	poll(t, func() bool {
		l.ping(b, 0)
		ticks++
		return ticks > 50
	}, "b to ping on")
	l.Equal(before, l.view())
	l.True(l.m.Status().Down)
}

// TestPlainClient: a net/rpc client written as the lab writes it, with types of
// its own that know nothing of ours.
func TestPlainClient(t *testing.T) {
	type PingArgs struct {
		Me      string
		Viewnum uint
	}
	type View struct {
		Viewnum uint
		Primary string
		Backup  string
	}
	type PingReply struct{ View View }
	type GetArgs struct{}
	type GetReply struct{ View View }

	m := startTest(t)
	call := func(method string, args, reply any) {
		c, err := rpc.Dial(rpcnet.Network(m.Addr()), m.Addr())
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.Call(method, args, reply))
	}
	var p PingReply
	call("MonitorServer.Ping", &PingArgs{"a", 0}, &p)
	require.Equal(t, View{1, "a", ""}, p.View)
	call("MonitorServer.Ping", PingArgs{"a", 1}, &p)
	call("MonitorServer.Ping", PingArgs{"b", 0}, &p)
	require.Equal(t, View{2, "a", "b"}, p.View)
	var g GetReply
	began := time.Now()
	call("MonitorServer.Get", &GetArgs{}, &g)
	require.Equal(t, View{2, "a", "b"}, g.View)
	require.Less(t, time.Since(began), patience, "a Get without a number waits for nothing")
}

package tandem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice"
)

// The whole system on each kind of connection that it can be built on.
func TestServesAndSurvivesOnEveryTransport(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]config{
		"unix sockets":                {monitor: patient},
		"TCP":                         {monitor: patient, tcp: true},
		"unix sockets, dial per call": {monitor: patient, dialPerCall: true},
		"TCP, dial per call":          {monitor: patient, tcp: true, dialPerCall: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, cfg)
			k := c.client("k")
			c.start("a")
			c.put(k, "alone", "1")
			assert.Equal(t, "1", c.get(k, "alone"))
			assert.Equal(t, "", c.get(k, "absent"))

			c.start("b")
			c.waitRoles("a", "b")
			c.put(k, "both", "2")
			assert.Equal(t, "2", c.putHash(k, "both", "x"))
			c.append(k, "alone", "+")

			c.kill("a")
			c.waitRoles("b", "")
			assert.Equal(t, hashed("2", "x"), c.get(k, "both"))
			assert.Equal(t, "1+", c.get(k, "alone"))
			c.put(k, "after", "3")

			c.start("a") // at the same address, which must be free again
			c.waitRoles("b", "a")
			c.kill("b")
			assert.Equal(t, map[string]string{"alone": "1+", "both": hashed("2", "x"), "after": "3"}, c.snapshot(k, ""))
		})
	}
}

// A2: a single primary, then a backup, then the primary fails, then the last one:
// what starts next never had the data, and must not serve.
func TestFreshServerDoesNotServeAfterTheLastDied(t *testing.T) {
	t.Parallel()
	t.Run("it starts when the death has been noticed", func(t *testing.T) { // V9
		t.Parallel()
		lastDies(t, true)
	})
	t.Run("it starts before, and may be named backup", func(t *testing.T) { // V5
		t.Parallel()
		lastDies(t, false)
	})
}

func lastDies(t *testing.T, noticed bool) {
	c := newCluster(t, config{monitor: patient})
	k := c.client("k")
	down := func() {
		c.wait("the view service to say that the group is down", func() bool { return c.monitorStatus().Down })
	}
	c.start("a")
	c.put(k, "1", "one")
	c.start("b")
	c.waitRoles("a", "b")
	c.put(k, "2", "two")
	c.kill("a")
	c.waitRoles("b", "")
	assert.Equal(t, "one", c.get(k, "1"))
	assert.Equal(t, "two", c.get(k, "2"))

	c.kill("b")
	if noticed {
		down()
	}
	fresh := c.start("a")
	down()
	c.waitHeard("a")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var waiting team
	for _, k := range []*kvservice.KVClient{k, c.client("fresh")} {
		waiting.add(func() error {
			if value, err := k.GetContext(ctx, "1"); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("a Get was answered %q, %w", value, err)
			}
			return nil
		})
	}
	waiting.wait(t)
	st := c.monitorStatus()
	assert.Equal(t, c.addr("b"), st.View.Primary, "the view stands (V9)")
	assert.Contains(t, st.Why, c.addr("b"), "the status says whose return is needed")
	assert.NotEqual(t, "primary", fresh.Status().Role)
	assert.Zero(t, fresh.Status().Keys)

	// The address comes back, but without the data: that is not who is waited for.
	c.start("b")
	c.waitHeard("b")
	st = c.monitorStatus()
	assert.True(t, st.Down, "a server that lost its memory brought the group up again (V6)")
	assert.NotEmpty(t, st.Why)
}

// V9: the same when both die at once, with an idle server looking on.
func TestIdleServerDoesNotServeAfterBothDied(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{})
	c.pair()
	k := c.client("k")
	c.put(k, "key", "value")
	c.start("c")
	c.waitHeard("c")
	c.faults.Freeze(c.addr("a")) // dead to all at the same moment
	c.faults.Freeze(c.addr("b"))
	c.wait("the view service to say that the group is down", func() bool { return c.monitorStatus().Down })
	c.refuses("c", "key", tandem.ErrWrongServer)
	v := c.view() // one of the two may have been found dead before the other
	assert.Contains(t, []string{"a", "b"}, v.primary)
	assert.NotEqual(t, "c", v.backup)
	assert.Contains(t, c.monitorStatus().Why, c.addr("b"))

	// They were not dead: with one of them back the group goes on.
	c.faults.Thaw(c.addr("b"))
	c.waitRoles("b", "c")
	assert.Equal(t, "value", c.get(k, "key"))
}

// I10, S3: an update runs once, however often it had to be sent.
func TestEachUpdateRunsOnceOnAnUnreliableNetwork(t *testing.T) {
	t.Parallel()
	const n = 100

	t.Run("PutHash returns exactly the value before", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, config{seed: 11, monitor: patient})
		c.pair()
		k := c.client("k")
		c.faults.Unreliable(rpcnet.LabDropRequest, rpcnet.LabDropReply)
		want := ""
		for i := range n {
			arg := strconv.Itoa(i)
			require.Equal(t, want, c.putHash(k, "chain", arg), "what PutHash %d replaced", i)
			want = hashed(want, arg)
		}
		assert.Equal(t, want, c.get(k, "chain"))
		assert.Greater(t, c.sent("k", "KVServer.Put"), n+n/10, "the network lost nothing: the test tested nothing")
	})
	t.Run("Append adds exactly once", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, config{seed: 12, monitor: patient})
		c.pair()
		k := c.client("k")
		c.faults.Unreliable(rpcnet.LabDropRequest, rpcnet.LabDropReply)
		want := ""
		for i := range n {
			arg := fmt.Sprintf("(%d)", i)
			c.append(k, "line", arg)
			want += arg
			require.Equal(t, want, c.get(k, "line"))
		}
		assert.Greater(t, c.sent("k", "KVServer.Put"), n+n/10, "the network lost nothing: the test tested nothing")
	})
	t.Run("across the death of the primary", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, config{seed: 13, monitor: patient})
		c.pair()
		k := c.client("k")
		c.faults.Unreliable(rpcnet.LabDropRequest, rpcnet.LabDropReply)
		want := ""
		for i := range n {
			if i == n/2 {
				go c.kill("a")
			}
			arg := strconv.Itoa(i)
			require.Equal(t, want, c.putHash(k, "chain", arg), "what PutHash %d replaced", i)
			want = hashed(want, arg)
		}
		assert.Equal(t, want, c.get(k, "chain"))
		c.waitRoles("b", "")
	})
}

// A5, V4: a Put that meets a dead backup waits for the view without it.
func TestPutRightAfterTheBackupDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	k := c.client("k")
	c.pair()
	for i := range 3 {
		value := strconv.Itoa(i)
		c.put(k, "before", value)
		c.kill("b")
		c.put(k, "after", value)
		assert.Equal(t, value, c.get(k, "before"))
		assert.Equal(t, value, c.get(k, "after"))
		c.waitRoles("a", "")
		c.start("b")
		c.waitRoles("a", "b")
	}
	// What was written while the backup was dead is at its next life.
	c.kill("a")
	assert.Equal(t, map[string]string{"before": "2", "after": "2"}, c.snapshot(k, ""))
}

// C2, I9: a Put that meets a dead primary is done by the backup.
func TestPutRightAfterThePrimaryDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	k := c.client("k")
	c.pair()
	primary, backup := "a", "b"
	for i := range 3 {
		value := strconv.Itoa(i)
		c.put(k, "before", value)
		c.kill(primary)
		c.put(k, "after", value)
		assert.Equal(t, value, c.get(k, "before"))
		assert.Equal(t, value, c.get(k, "after"))
		c.waitRoles(backup, "")
		c.start(primary)
		primary, backup = backup, primary
		c.waitRoles(primary, backup)
	}
}

// L3, L4, I5: clients write the same keys at the same time, and the backup has
// them as the primary had.
func TestBackupHoldsThePrimarysValues(t *testing.T) {
	t.Parallel()
	for name, unreliable := range map[string]bool{"reliable": false, "unreliable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, config{seed: 21, monitor: patient})
			c.pair()
			if unreliable {
				c.faults.Unreliable(rpcnet.LabDropRequest, rpcnet.LabDropReply)
			}
			const clients, writes, keys = 4, 60, 7
			var all team
			for i := range clients {
				k := c.client(fmt.Sprintf("k%d", i))
				all.add(func() error {
					for j := range writes {
						key := fmt.Sprintf("key%d", (i*3+j)%keys)
						value := fmt.Sprintf("%d.%d ", i, j)
						var err error
						switch (i + j) % 3 {
						case 0:
							err = k.PutContext(t.Context(), key, value)
						case 1:
							err = k.AppendContext(t.Context(), key, value)
						default:
							_, err = k.PutHashContext(t.Context(), key, value)
						}
						if err != nil {
							return err
						}
					}
					return nil
				})
			}
			all.wait(t)
			reader := c.client("reader")
			before := c.snapshot(reader, "key")
			require.Len(t, before, keys)
			c.waitRoles("a", "b")
			c.kill("a")
			for key, value := range before {
				require.Equal(t, value, c.get(reader, key), "%s, from the former backup", key)
			}
			c.waitRoles("b", "")
			assert.Equal(t, before, c.snapshot(reader, "key"))
		})
	}
}

// R2, A7, I11: a primary that is cut off from the view service believes in its
// role, and a Get sent to it long ago arrives. Its backup, which has moved on or
// is dead, does not confirm the read, so the old value is never given. Nor does it
// take a write.
func TestOldPrimaryServesNothingStale(t *testing.T) {
	t.Parallel()

	// setUp leaves a cut off and superseded by b, with a Get to a on its way.
	setUp := func(t *testing.T, third bool) (*cluster, *delayed) {
		c := newCluster(t, config{})
		c.pair()
		c.put(c.client("before"), "key", "old")
		get := c.delayedGet("a", "key")
		c.cutBoth("a", monitorName)
		c.waitRoles("b", "")
		if third {
			c.start("c")
			c.waitRoles("b", "c")
		}
		c.put(c.client("other"), "key", "new")
		return c, get
	}

	t.Run("when its backup has moved on", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, config{})
		c.pair()
		// This client knows a as the primary, and nobody tells it otherwise.
		k := c.client("k", kvservice.WithAttemptTimeout(200*time.Millisecond))
		c.put(k, "key", "old")
		get := c.delayedGet("a", "key")
		c.cutBoth("a", monitorName)
		c.waitRoles("b", "")
		c.put(c.client("other"), "key", "new")
		require.Equal(t, "primary", c.server("a").Status().Role, "a was to believe in its role")

		get.arrives()
		get.staysUnanswered()
		assert.Equal(t, "new", c.get(k, "key"))
		c.faults.HealAll()
		get.isRefused()
	})
	t.Run("a write", func(t *testing.T) { // A5, L3
		t.Parallel()
		c := newCluster(t, config{})
		c.pair()
		put := c.delayedPut("a", "key", "late")
		c.cutBoth("a", monitorName)
		c.waitRoles("b", "")
		k := c.client("k")
		c.put(k, "key", "new")
		put.arrives()
		put.staysUnanswered()
		c.faults.HealAll()
		put.isRefused()
		c.waitRoles("b", "a")
		c.kill("b")
		assert.Equal(t, "new", c.get(k, "key"))
	})
	t.Run("when its backup is dead as well", func(t *testing.T) {
		t.Parallel()
		c, get := setUp(t, true)
		c.kill("b")
		c.waitRoles("c", "")
		require.Equal(t, "primary", c.server("a").Status().Role, "a was to believe in its role")
		get.arrives()
		get.staysUnanswered()
		c.faults.HealAll()
		get.isRefused()
		assert.Equal(t, "new", c.get(c.client("k"), "key"))
	})
	t.Run("when nobody else is left", func(t *testing.T) {
		t.Parallel()
		c, get := setUp(t, false)
		c.kill("b")
		require.Equal(t, "primary", c.server("a").Status().Role, "a was to believe in its role")
		get.arrives()
		get.staysUnanswered()
		c.wait("the view service to say that the group is down", func() bool { return c.monitorStatus().Down })
		// a was superseded before "new" was written. It is heard again, and must
		// not be the primary again (V9).
		c.faults.HealAll()
		get.isRefused()
		c.waitHeard("a")
		c.refuses("a", "key", tandem.ErrWrongServer)
		assert.True(t, c.monitorStatus().Down)
		assert.Equal(t, "b", c.view().primary)
	})
}

// V8, A5: a primary that cannot reach its backup, while the view service hears
// both, stalls (it never goes on alone by itself) until it is given another
// backup, or none.
func TestWritesResumeWhenThePrimaryCannotReachItsBackup(t *testing.T) {
	t.Parallel()
	for name, spare := range map[string]bool{"alone": false, "with another backup": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, config{monitor: patient})
			c.pair()
			if spare {
				c.start("c")
				c.wait("c to be heard", func() bool { return len(c.monitorStatus().Servers) == 3 })
			}
			const writers = 3
			var acked [writers]atomic.Int64 // the last write that was answered
			stop := make(chan struct{})
			var all team
			for i := range writers {
				k := c.client(fmt.Sprintf("k%d", i))
				all.add(func() error {
					for n := 1; ; n++ {
						select {
						case <-stop:
							return nil
						default:
						}
						if err := k.AppendContext(t.Context(), fmt.Sprintf("line%d", i), fmt.Sprintf("(%d)", n)); err != nil {
							return err
						}
						acked[i].Store(int64(n))
					}
				})
			}
			progress := func() {
				t.Helper()
				var was [writers]int64
				for i := range acked {
					was[i] = acked[i].Load()
				}
				c.wait("every writer to go on", func() bool {
					for i := range acked {
						if acked[i].Load() < was[i]+5 {
							return false
						}
					}
					return true
				})
			}
			progress()
			before := c.view()
			c.cutBoth("a", "b")
			v := c.waitView("without b", func(v view) bool { return v.active && v.number > before.number && v.backup != "b" })
			assert.Equal(t, "a", v.primary)
			if spare {
				c.waitRoles("a", "c")
			}
			progress()
			assert.Contains(t, c.rules(), "V8")

			c.faults.HealAll()
			if spare {
				c.kill("c")
			}
			c.waitRoles("a", "b") // as soon as b has cooled down
			progress()
			close(stop)
			all.wait(t)
			c.waitInSync()
			c.kill("a")
			reader := c.client("reader")
			for i := range acked {
				var want strings.Builder
				for n := range acked[i].Load() {
					fmt.Fprintf(&want, "(%d)", n+1)
				}
				require.Equal(t, want.String(), c.get(reader, fmt.Sprintf("line%d", i)), "writer %d, each write once and in order", i)
			}
		})
	}
}

// With one connection per call a path is cut by moving the socket file away, as
// lab set-ups do.
func TestMovedSocketFileCutsAPath(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{dialPerCall: true, monitor: patient})
	c.pair()
	k := c.client("k")
	c.put(k, "key", "0")
	moveAway := func(name string) (back func()) {
		path := c.addr(name)
		require.NoError(t, os.Rename(path, path+"~"))
		return func() { require.NoError(t, os.Rename(path+"~", path)) }
	}

	// Nobody reaches the backup, but it pings: the primary reports it (V8).
	back := moveAway("b")
	c.put(k, "key", "1")
	c.waitView("without b", func(v view) bool { return v.backup == "" })
	assert.Equal(t, "1", c.get(k, "key"))
	back()
	c.waitRoles("a", "b")

	// Nobody reaches the primary, but it pings: it stays, and clients wait.
	before := c.view()
	back = moveAway("a")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, k.PutContext(ctx, "key", "2"), context.DeadlineExceeded)
	assert.Equal(t, before, c.view())
	back()
	c.put(k, "key", "3")

	c.kill("a")
	assert.Equal(t, "3", c.get(k, "key"))
}

// With one connection per call a server may lie behind a proxy that is slower
// than any deadline of ours: the call is not given up, and not made again.
func TestDialPerCallWaitsForASlowPath(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{dialPerCall: true, monitor: patient})
	k := c.client("k")

	// The server listens behind the proxy, and is known by the proxy's address.
	l, err := net.Listen("unix", c.addr("behind"))
	require.NoError(t, err)
	slow := proxy(t, c.addr("a"), c.addr("behind"))
	c.start("a", kvservice.WithListener(l), kvservice.WithAdvertise(c.addr("a")))
	c.put(k, "key", "0")

	calls := c.sent("k", "KVServer.Put")
	release := slow()
	began := time.Now()
	var all team
	all.add(func() error { return k.AppendContext(t.Context(), "key", "1") })
	c.wait("longer than a connection may stand still otherwise", func() bool {
		return time.Since(began) > 3500*time.Millisecond
	})
	release()
	all.wait(t)
	assert.Equal(t, calls+1, c.sent("k", "KVServer.Put"))
	assert.Equal(t, "01", c.get(k, "key"))
}

// proxy passes on what comes to one socket to another, until the test ends.
// After slow it holds new connections until they are released.
func proxy(t testing.TB, from, to string) (slow func() (release func())) {
	l, err := net.Listen("unix", from)
	require.NoError(t, err)
	var mu sync.Mutex
	held := make(chan struct{})
	close(held)
	ended := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { close(ended); l.Close(); wg.Wait() })
	pass := func(in net.Conn) {
		defer in.Close()
		mu.Lock()
		gate := held
		mu.Unlock()
		select {
		case <-gate:
		case <-ended:
			return
		}
		out, err := net.Dial("unix", to)
		if err != nil {
			return
		}
		defer out.Close()
		stop := context.AfterFunc(t.Context(), func() { in.Close(); out.Close() })
		defer stop()
		wg.Go(func() { io.Copy(in, out); in.Close() })
		io.Copy(out, in)
	}
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { pass(in) })
		}
	})
	return func() func() {
		gate := make(chan struct{})
		mu.Lock()
		held = gate
		mu.Unlock()
		return func() { close(gate) }
	}
}

// hashed is the value that PutHash makes.
func hashed(old, arg string) string { return strconv.Itoa(int(tandem.Hash(old + arg))) }

// cutBoth lets nothing pass between two parties, either way.
func (c *cluster) cutBoth(a, b string) {
	c.faults.Cut(c.addr(a), c.addr(b))
	c.faults.Cut(c.addr(b), c.addr(a))
}

// sent returns how many requests of a method a party has made.
func (c *cluster) sent(from, method string) int {
	if c.server(from) != nil {
		from = c.addr(from)
	}
	n := 0
	for r, count := range c.faults.CountsBy() {
		if r.From == from && r.Method == method {
			n += count
		}
	}
	return n
}

// rules returns the rules that made the views of the cluster's life, or of as
// much of it as the view service remembers.
func (c *cluster) rules() []string {
	var rules []string
	for _, h := range c.monitorStatus().History {
		rules = append(rules, h.Rule)
	}
	return rules
}

// delayed is a request on its way to a server that it may find changed.
type delayed struct {
	t     testing.TB
	gate  *rpcnet.Gate
	reply chan delayedReply // room for one
}

type delayedReply struct {
	err   tandem.Err
	value string
}

// delayedGet sends a Get to a server as a client would that holds it for the
// primary, and stops it on the way.
func (c *cluster) delayedGet(name, key string) *delayed {
	c.t.Helper()
	return delay(c, name, "KVServer.Get", &tandem.GetArgs{Key: key}, func(r *tandem.GetReply) delayedReply {
		return delayedReply{r.Err, r.Value}
	})
}

// delayedPut is delayedGet for a Put.
func (c *cluster) delayedPut(name, key, value string) *delayed {
	c.t.Helper()
	return delay(c, name, "KVServer.Put", &tandem.PutArgs{Key: key, Value: value}, func(r *tandem.PutReply) delayedReply {
		return delayedReply{err: r.Err}
	})
}

func delay[R any](c *cluster, name, method string, args any, says func(*R) delayedReply) *delayed {
	c.t.Helper()
	d := &delayed{t: c.t, reply: make(chan delayedReply, 1)}
	d.gate = c.faults.Hold(func(from, _, m string) bool { return from == "traveller" && m == method })
	transport := rpcnet.NewTransport(rpcnet.TransportConfig{Name: "traveller", Faults: c.faults})
	c.t.Cleanup(transport.Close)
	_, err := rpcnet.Start(transport, c.addr(name), method, args, func(r *R, err error) {
		if err == nil {
			d.reply <- says(r)
		}
	})
	require.NoError(c.t, err)
	c.wait("the request to be on its way", func() bool { return d.gate.Held() == 1 })
	return d
}

func (d *delayed) arrives() { d.gate.Release() }

// staysUnanswered requires that for a while nothing is answered, or at most that
// the server is the wrong one.
func (d *delayed) staysUnanswered() {
	d.t.Helper()
	select {
	case r := <-d.reply:
		require.Equal(d.t, delayedReply{err: tandem.ErrWrongServer}, r)
		d.reply <- r
	case <-time.After(time.Second):
	}
}

// isRefused requires that the server answers that it is the wrong one.
func (d *delayed) isRefused() {
	d.t.Helper()
	select {
	case r := <-d.reply:
		require.Equal(d.t, delayedReply{err: tandem.ErrWrongServer}, r)
	case <-time.After(patience):
		d.t.Fatal("it was not answered")
	}
}

// refuses requires that a server answers a Get, and with that error.
func (c *cluster) refuses(name, key string, want tandem.Err) {
	c.t.Helper()
	k, err := rpc.Dial(rpcnet.Network(c.addr(name)), c.addr(name))
	require.NoError(c.t, err)
	defer k.Close()
	call := k.Go("KVServer.Get", &tandem.GetArgs{Key: key}, new(tandem.GetReply), nil)
	select {
	case <-call.Done:
	case <-time.After(patience):
		c.t.Fatalf("%s did not answer", name)
	}
	require.NoError(c.t, call.Error)
	r := call.Reply.(*tandem.GetReply)
	require.Equal(c.t, want, r.Err, "%s answered %q", name, r.Value)
}

// team is goroutines that a test waits for. The zero team is ready.
type team struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *team) add(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			g.errs = append(g.errs, err)
			g.mu.Unlock()
		}
	})
}

// wait waits for all and fails the test if one of them failed.
func (g *team) wait(t testing.TB) {
	t.Helper()
	g.wg.Wait()
	require.NoError(t, errors.Join(g.errs...))
}

package tandem_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
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

// steady is the configuration of a cluster in which nobody is suspected for being
// slow, as servers are on a busy machine. One that dies is noticed all the same,
// and soon, by the end of its connections (V7). The longer interval gives a slow
// backup more time, too, before it is reported (V8).
func steady(server ...kvservice.Option) config {
	return config{server: server, monitor: []sysmonitor.Option{
		sysmonitor.WithPingInterval(3 * sysmonitor.PingInterval), sysmonitor.WithDeadPings(50),
	}}
}

// TestManyKeysWhileTheBackupComesAndGoes: 100,000 keys are written while a
// backup is added, crashes and is added again. What was acknowledged is there
// afterwards at the one server that has learnt everything second-hand.
//
// It would catch a breach of A3, A4, L1 to L3 and T1 to T3.
func TestManyKeysWhileTheBackupComesAndGoes(t *testing.T) {
	t.Parallel()
	keys := 100_000
	if testing.Short() {
		keys = 10_000
	}
	const writers = 64
	key := func(i int) string { return fmt.Sprintf("key %06d", i) }
	value := func(i int) string { return strconv.Itoa(int(tandem.Hash(strconv.Itoa(i)))) }

	c := newCluster(t, steady())
	c.start("a")
	c.waitRoles("a", "")
	k := c.client("writer")
	var next, acknowledged atomic.Int64
	var failure atomic.Value
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= keys {
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				err := k.PutContext(ctx, key(i), value(i))
				cancel()
				if err != nil {
					failure.CompareAndSwap(nil, err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	defer wg.Wait()
	done := 0
	written := func(share int) {
		for ; done < share; done++ {
			c.wait(fmt.Sprintf("%d %% of the keys", done+1), func() bool {
				return failure.Load() != nil || acknowledged.Load() >= int64(keys*(done+1)/100)
			})
			require.Nil(t, failure.Load())
		}
	}

	written(20)
	c.start("b")
	c.waitInSync()
	written(45)
	c.kill("b")
	written(65)
	c.start("b")
	c.waitInSync()
	written(100)
	wg.Wait()
	require.EqualValues(t, keys, acknowledged.Load())

	c.waitInSync()
	c.kill("a")
	c.waitRoles("b", "")
	got := c.snapshot(k, "key ")
	missing, wrong := 0, 0
	for i := range keys {
		switch v, ok := got[key(i)]; {
		case !ok:
			missing++
		case v != value(i):
			wrong++
		}
	}
	require.Zero(t, missing, "acknowledged writes that are missing")
	require.Zero(t, wrong, "keys with another value than was written")
	require.Len(t, got, keys)
}

// TestWritesGoOnDuringATransfer holds a transfer half-way and sees writes
// complete meanwhile (A3). A transfer that makes no progress for about a second
// is given up by V8, so what counts is seen within one view.
func TestWritesGoOnDuringATransfer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	a := c.start("a")
	c.waitRoles("a", "")
	k := c.client("writer")
	for i := range 64 {
		c.put(k, fmt.Sprintf("load %d", i), strings.Repeat(string(rune('0'+i)), 256<<10))
	}

	gate := holdTransfer(c, "a", "b")
	defer gate.Release()
	c.start("b")

	n := 0
	c.wait("writes that complete within one held transfer", func() bool {
		before := a.Status()
		if !before.TransferRunning || before.TransferChunks == 0 {
			return false
		}
		for range 5 {
			c.put(k, fmt.Sprintf("new %d", n), strconv.Itoa(n))
			n++
		}
		after := a.Status()
		return gate.Held() > 0 && after.TransferRunning && after.View.Viewnum == before.View.Viewnum &&
			after.TransferChunks == before.TransferChunks && after.Authority == "solo" &&
			after.Commit >= before.Commit+5
	})

	gate.Release()
	c.waitInSync()
	c.kill("a")
	c.waitRoles("b", "")
	for i := range n {
		require.Equal(t, strconv.Itoa(i), c.get(k, fmt.Sprintf("new %d", i)))
	}
	for i := range 64 {
		require.True(t, c.get(k, fmt.Sprintf("load %d", i)) == strings.Repeat(string(rune('0'+i)), 256<<10), "load %d", i)
	}
}

// holdTransfer holds each transfer from one server to the other half-way, until
// the gate is released: its first two calls come through. Until it has
// installed a transfer, a backup is sent nothing but chunks.
func holdTransfer(c *cluster, from, to string) *rpcnet.Gate {
	sender, receiver := c.addr(from), c.addr(to)
	var view atomic.Uint64
	var calls atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	c.t.Cleanup(func() { close(done); wg.Wait() })
	wg.Go(func() { // a new view begins a new transfer
		poll(context.Background(), func() bool {
			if v := uint64(c.view().number); view.Swap(v) != v {
				calls.Store(0)
			}
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
	})
	return c.faults.Hold(func(from, to, method string) bool {
		return from == sender && to == receiver && method == "KVServer.Replicate" && calls.Add(1) > 2
	})
}

// TestPipelinedForwardsCauseNoRewind: on a network without faults forwards
// arrive in the order in which they were sent, however many are under way (L1).
func TestPipelinedForwardsCauseNoRewind(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	before := c.server("a").Status()
	var wg sync.WaitGroup
	var failures atomic.Int64
	for i := range 4 {
		k := c.client(fmt.Sprintf("writer-%d", i))
		for j := range 16 {
			wg.Go(func() {
				for n := range 100 {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					if k.PutContext(ctx, fmt.Sprintf("%d/%d", i, j), strconv.Itoa(n)) != nil {
						failures.Add(1)
					}
					cancel()
				}
			})
		}
	}
	wg.Wait()
	require.Zero(t, failures.Load())
	after := c.server("a").Status()
	require.Equal(t, before.View, after.View, "no server was suspected")
	require.GreaterOrEqual(t, after.Commit, before.Commit+4*16*100)
	require.Greater(t, after.Forwards, before.Forwards)
	require.Zero(t, after.Rewinds)
}

// TestAbandonedCallsLeaveTheirNeighboursAlone cancels half of many requests
// that wait on one connection; the others succeed, on that connection.
func TestAbandonedCallsLeaveTheirNeighboursAlone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	var dials atomic.Int64
	addrA, addrB := c.addr("a"), c.addr("b")
	k := c.client("client", kvservice.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == addrA {
			dials.Add(1)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}))
	const requests = 40
	// One request each, so that sessions are open and what follows waits at the
	// primary and nowhere else.
	var ready sync.WaitGroup
	for i := range requests {
		ready.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			k.PutContext(ctx, fmt.Sprintf("key %d", i), "before")
		})
	}
	ready.Wait()
	require.EqualValues(t, 1, dials.Load())

	gate := c.faults.Hold(func(from, to, method string) bool {
		return from == addrA && to == addrB && method == "KVServer.Replicate"
	})
	defer gate.Release()
	index := c.server("a").Status().Index
	abandoned, abandon := context.WithTimeout(context.Background(), patience)
	kept, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer abandon()
	results := make([]error, requests)
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			ctx := kept
			if i%2 == 0 {
				ctx = abandoned
			}
			results[i] = k.PutContext(ctx, fmt.Sprintf("key %d", i), "after")
		})
	}
	c.wait("all requests to be ordered", func() bool {
		return c.server("a").Status().Index >= index+requests
	})
	abandon()
	gate.Release()
	wg.Wait()
	for i, err := range results {
		if i%2 == 1 {
			require.NoError(t, err, "request %d, which nobody cancelled", i)
		} else if err != nil { // it may have been answered before it was cancelled
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, kvservice.ErrOutcomeUnknown)
		}
	}
	for i := range requests {
		// What was abandoned was in the log, and a neighbour behind it is
		// answered: so it has run.
		require.Equal(t, "after", c.get(k, fmt.Sprintf("key %d", i)))
	}
	require.EqualValues(t, 1, dials.Load(), "connections that the client has opened to its server")
}

// TestLargeValuesBesideSmallOnes writes and reads values of the largest size
// allowed while others work with small ones; a backup that is added later takes
// all of them in, and over.
func TestLargeValuesBesideSmallOnes(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	// A message with one such value must get through before V8 reports the
	// backup, which counts in the view service's intervals.
	c := newCluster(t, config{monitor: []sysmonitor.Option{sysmonitor.WithPingInterval(time.Second)}})
	c.pair()
	w := new(witness)
	small := newLoad(t, w)
	small.chains(c, 2)

	large := func(i int) string {
		b := make([]byte, size)
		r := rand.NewChaCha8([32]byte{byte(i)})
		r.Read(b)
		return string(b)
	}
	k := c.client("large")
	for i := range 3 {
		from := small.done()
		c.put(k, fmt.Sprintf("large %d", i), large(i))
		require.True(t, c.get(k, fmt.Sprintf("large %d", i)) == large(i))
		small.more(c, 1)
		t.Logf("%d small operations beside large value %d", small.done()-from, i)
	}
	c.start("c")
	c.kill("b")
	c.waitRoles("a", "c")
	c.waitInSync()
	c.kill("a")
	c.waitRoles("c", "")
	for i := range 3 {
		require.True(t, c.get(k, fmt.Sprintf("large %d", i)) == large(i), "large value %d at its third server", i)
	}
	require.Positive(t, small.stop())
	w.clean(t)
}

// TestTooLargeIsDefinite: beyond the limits a request is refused with
// ErrTooLarge, it has not run, and nothing has changed, whoever sends it (S5).
func TestTooLargeIsDefinite(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("client")
	longKey := strings.Repeat("k", 64<<10)
	longValue := strings.Repeat("v", 16<<20)
	c.put(k, longKey, "exactly as long as allowed")
	require.Equal(t, "exactly as long as allowed", c.get(k, longKey))

	refused := func(what string, err error) {
		t.Helper()
		require.ErrorIs(t, err, tandem.ErrTooLarge, what)
		require.NotErrorIs(t, err, kvservice.ErrOutcomeUnknown, what)
	}
	ctx, cancel := c.ctx()
	defer cancel()
	c.put(k, "key", "value")
	refused("Put, key", k.PutContext(ctx, longKey+"k", "value"))
	refused("Put, value", k.PutContext(ctx, "key", longValue+"v"))
	_, err := k.GetContext(ctx, longKey+"k")
	refused("Get, key", err)
	_, err = k.PutHashContext(ctx, "key", longValue+"v")
	refused("PutHash, value", err)
	refused("Delete, key", k.DeleteContext(ctx, longKey+"k"))
	_, err = k.CompareAndSwapContext(ctx, "key", "value", longValue+"v")
	refused("CompareAndSwap, new value", err)
	_, err = k.CompareAndSwapContext(ctx, "key", longValue+"v", "value")
	refused("CompareAndSwap, old value", err)
	refused("Append, word", k.AppendContext(ctx, "key", longValue+"v"))
	// No request is too large here, but its result would be.
	c.put(k, "full", longValue)
	refused("Append, result", k.AppendContext(ctx, "full", "v"))

	// The server refuses, too, what a client let through.
	plain := dialPlain(t, c.addr("a"))
	for what, args := range map[string]tandem.PutArgs{
		"Put, key":                   {Key: longKey + "k", Value: "value"},
		"Put, value":                 {Key: "key", Value: longValue + "v"},
		"PutHash, value":             {Key: "key", Value: longValue + "v", DoHash: true},
		"Append, result":             {Key: "full", Value: "v", Op: tandem.OpAppend},
		"Delete, key":                {Key: longKey + "k", Op: tandem.OpDelete},
		"CompareAndSwap, new value":  {Key: "key", Value: longValue + "v", Expected: "value", Op: tandem.OpCompareAndSwap},
		"CompareAndSwap, both large": {Key: "key", Value: longValue, Expected: longValue + "v", Op: tandem.OpCompareAndSwap},
	} {
		var reply tandem.PutReply
		require.NoError(t, plain.Call("KVServer.Put", &args, &reply), what)
		require.Equal(t, tandem.ErrTooLarge, reply.Err, what)
		require.Equal(t, tandem.DidNotRun, reply.Outcome, what)
	}
	var reply tandem.GetReply
	require.NoError(t, plain.Call("KVServer.Get", &tandem.GetArgs{Key: longKey + "k"}, &reply))
	require.Equal(t, tandem.ErrTooLarge, reply.Err)

	require.Equal(t, "value", c.get(k, "key"))
	require.True(t, c.get(k, "full") == longValue, "the full value is as it was")
	require.EqualValues(t, 3, c.server("a").Status().Keys)
}

// TestEmptyAndBinaryStrings: keys and values are any bytes, the empty key too.
func TestEmptyAndBinaryStrings(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("client")
	ctx, cancel := c.ctx()
	defer cancel()
	_, err := k.GetContext(ctx, "")
	require.ErrorIs(t, err, tandem.ErrNoKey)
	odd := string([]byte{0, 0xff, '\n', 0x80})
	c.put(k, "", "of the empty key")
	c.put(k, odd, "")
	c.append(k, odd, odd)
	c.kill("a")
	c.waitRoles("b", "")
	require.Equal(t, "of the empty key", c.get(k, ""))
	require.Equal(t, odd, c.get(k, odd))
	require.Equal(t, map[string]string{"": "of the empty key", odd: odd}, c.snapshot(k, ""))
	require.NoError(t, k.DeleteContext(ctx, ""))
	require.ErrorIs(t, k.DeleteContext(ctx, ""), tandem.ErrNoKey)
}

// TestLabFormsPanicWhereRetryingCannotHelp, and say why.
func TestLabFormsPanicWhereRetryingCannotHelp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("client", kvservice.WithLimits(kvservice.Limits{MaxValue: 10}))
	says := func(target error, words string, f func()) {
		t.Helper()
		defer func() {
			t.Helper()
			err, ok := recover().(error)
			require.True(t, ok, "it panics with an error")
			require.ErrorIs(t, err, target)
			require.Contains(t, err.Error(), words)
		}()
		f()
	}
	k.Put("key", "value")
	says(tandem.ErrTooLarge, "too large", func() { k.Put("key", strings.Repeat("v", 11)) })
	says(tandem.ErrTooLarge, "too large", func() { k.PutHash("key", strings.Repeat("v", 11)) })
	says(tandem.ErrTooLarge, "too large", func() { k.Get(strings.Repeat("k", 1<<17)) })
	require.Equal(t, "value", k.Get("key"))
	k.Close()
	says(kvservice.ErrClosed, "closed", func() { k.Get("key") })
	says(kvservice.ErrClosed, "closed", func() { k.Put("key", "value") })
	says(kvservice.ErrClosed, "closed", func() { k.PutHash("key", "value") })
	k.Close()
}

// TestRequestsThatNeverBegan: a closed client, and a context that has ended,
// leave no doubt about the outcome.
func TestRequestsThatNeverBegan(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("client")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := k.AppendContext(ctx, "key", "x")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, kvservice.ErrOutcomeUnknown)
	k.Close()
	err = k.AppendContext(context.Background(), "key", "x")
	require.ErrorIs(t, err, kvservice.ErrClosed)
	require.NotErrorIs(t, err, kvservice.ErrOutcomeUnknown)
	require.Empty(t, c.get(c.client("other"), "key"))
}

// TestScanShowsOneMoment scans while a client moves a coin from key to key:
// every scan sees the whole sum.
func TestScanShowsOneMoment(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("client")
	// Each round writes one number to all keys in order, so at any one moment
	// the keys hold n...n, n-1...n-1: never falling back up.
	const keys = 40
	pad := bytes.Repeat([]byte{'.'}, 64<<10) // several pages
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var failure error
	wg.Go(func() {
		for n := 1; ; n++ {
			for i := range keys {
				if err := k.PutContext(ctx, fmt.Sprintf("scan %02d", i), strconv.Itoa(n)+string(pad)); err != nil {
					if !errors.Is(err, context.Canceled) {
						failure = err
					}
					return
				}
			}
		}
	})
	defer wg.Wait()
	defer cancel()
	reader := c.client("reader")
	seen := make(map[string]bool)
	c.wait("scans of three moments", func() bool {
		last := ""
		turns := 0
		for i, v := range ordered(c.snapshot(reader, "scan "), "scan %02d", keys) {
			v = strings.TrimRight(v, ".")
			if v != last && i > 0 {
				turns++
			}
			last = v
		}
		require.LessOrEqual(t, turns, 1, "a scan shows more than one moment")
		seen[last] = true
		return len(seen) >= 3
	})
	cancel()
	wg.Wait()
	require.NoError(t, failure)
}

func ordered(m map[string]string, format string, n int) []string {
	values := make([]string, n)
	for i := range n {
		values[i] = m[fmt.Sprintf(format, i)]
	}
	return values
}

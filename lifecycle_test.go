package tandem_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// labelled runs f so that every goroutine that comes of it, however indirectly,
// can be counted by goroutines(name), also while other tests run.
func labelled(name string, f func()) {
	pprof.Do(context.Background(), pprof.Labels("life", name), func(context.Context) { f() })
}

// goroutines returns the stacks of the goroutines that came of a labelled call. One that
// has returned from its function is none, though the runtime may not have put it away.
func goroutines(name string) string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		panic(err)
	}
	var found strings.Builder
	for record := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(record, strconv.Quote("life")+":"+strconv.Quote(name)) && !over(record) {
			found.WriteString(record + "\n\n")
		}
	}
	return found.String()
}

// over tells whether the only frame of a stack is that of a goroutine's end.
func over(record string) bool {
	return strings.Count(record, "\t0x") == 1 && strings.Contains(record, "\truntime.goexit1+")
}

// startLabelled is c.start, such that requireGone can tell what is left.
func startLabelled(c *cluster, name string, opts ...kvservice.Option) *kvservice.KVServer {
	c.t.Helper()
	var s *kvservice.KVServer
	labelled(c.dir+name, func() { s = c.start(name, opts...) })
	require.NotEmpty(c.t, goroutines(c.dir+name), "a running server has goroutines")
	return s
}

// requireGone asserts that nothing is left of a server that has stopped: no
// goroutine, nobody who answers, and an empty Status.
func requireGone(c *cluster, name string, s *kvservice.KVServer) {
	c.t.Helper()
	c.mu.Lock()
	if c.servers[name] == s {
		delete(c.servers, name)
	}
	c.mu.Unlock()
	require.Empty(c.t, goroutines(c.dir+name), "goroutines of server %s", name)
	require.Zero(c.t, s.Status().View.Viewnum)
	require.NoError(c.t, s.Err())
	_, err := os.Stat(c.addr(name))
	require.ErrorIs(c.t, err, os.ErrNotExist)
}

// TestShutdownUnderLoad: a server of any role leaves while clients work, and none
// of them sees an error or anything wrong (V11).
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	for role, after := range map[string][2]string{ // primary and backup afterwards
		"primary": {"b", "c"},
		"backup":  {"a", "c"},
		"idle":    {"a", "b"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, steady())
			servers := make(map[string]*kvservice.KVServer)
			for _, name := range []string{"a", "b", "c"} {
				servers[name] = startLabelled(c, name)
				if name != "c" {
					c.wait(name+" to have a role", func() bool {
						v := c.view()
						return v.active && (v.primary == name || v.backup == name)
					})
				}
			}
			v := c.waitInSync()
			c.wait("c to be idle", func() bool { return servers["c"].Status().View.Viewnum == v.number })
			leaver := map[string]string{"primary": "a", "backup": "b", "idle": "c"}[role]

			w := new(witness)
			clients := newLoad(t, w)
			clients.chains(c, 2)
			clients.journals(c)
			clients.more(c, 50)

			ctx, cancel := c.ctx()
			defer cancel()
			require.NoError(t, servers[leaver].Shutdown(ctx))
			requireGone(c, leaver, servers[leaver])
			clients.more(c, 50)
			if role == "idle" {
				require.Equal(t, v.number, c.view().number, "nobody minds when an idle server leaves")
			} else {
				c.waitRoles(after[0], after[1])
			}
			clients.more(c, 50)
			clients.stop()
			w.clean(t)
			for _, h := range c.monitorStatus().History {
				require.NotContains(t, h.Reason, "suspected", "it left, it was not missed")
			}
			require.NoError(t, servers[leaver].Shutdown(ctx), "once more")
		})
	}
}

// TestShutdownOfALonePrimary has nobody to hand the data to: it says so when its
// time is up, and goes on serving. With a backup it can go.
func TestShutdownOfALonePrimary(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	a := startLabelled(c, "a")
	c.waitRoles("a", "")
	w := new(witness)
	clients := newLoad(t, w)
	clients.chains(c, 2)
	clients.more(c, 20)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := a.Shutdown(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "backup")
	require.ErrorContains(t, err, a.Addr())
	clients.more(c, 20)
	require.False(t, a.Status().Leaving)

	// It waits for a backup to come.
	ctx, cancel = c.ctx()
	defer cancel()
	left := make(chan error, 1)
	go func() { left <- a.Shutdown(ctx) }()
	c.wait("a to want to leave", func() bool { return a.Status().Leaving })
	clients.more(c, 20)
	c.start("b")
	require.NoError(t, <-left)
	requireGone(c, "a", a)
	c.waitRoles("b", "")
	clients.more(c, 20)
	clients.stop()
	w.clean(t)
}

// TestClose is a Shutdown that ends in any case.
func TestClose(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	a := startLabelled(c, "a")
	c.waitRoles("a", "")
	b := startLabelled(c, "b", kvservice.WithCloseTimeout(50*time.Millisecond))
	c.waitInSync()
	k := c.client("client")
	c.put(k, "key", "value")
	require.NoError(t, a.Close())
	requireGone(c, "a", a)
	c.waitRoles("b", "")
	require.Equal(t, "value", c.get(k, "key"))
	err := b.Close()
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "backup")
	requireGone(c, "b", b)
	require.NoError(t, b.Close(), "once more")
}

// TestKillInTheMiddle kills servers in the middle of this and that, twice, and
// at the same time as Shutdown and Close; whatever is left stays whole.
func TestKillInTheMiddle(t *testing.T) {
	t.Parallel()
	t.Run("of a transfer, the receiver", func(t *testing.T) {
		t.Parallel()
		killDuringTransfer(t, "b")
	})
	t.Run("of a transfer, the sender", func(t *testing.T) {
		t.Parallel()
		killDuringTransfer(t, "a")
	})
	t.Run("of a batch", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady())
		a := startLabelled(c, "a")
		c.waitRoles("a", "")
		b := startLabelled(c, "b")
		c.waitInSync()
		w := new(witness)
		clients := newLoad(t, w)
		clients.chains(c, 8)
		clients.more(c, 100)
		// Batches of forwards are under way, unanswered, as the primary dies.
		addrA, addrB := c.addr("a"), c.addr("b")
		gate := c.faults.Hold(func(from, to, method string) bool {
			return from == addrB && to == addrA && method == "KVServer.Replicate"
		})
		defer gate.Release()
		c.wait("forwards under way", func() bool {
			st := a.Status()
			return gate.Held() > 0 && st.Commit < st.Index
		})
		c.kill("a")
		requireGone(c, "a", a)
		gate.Release()
		c.waitRoles("b", "")
		clients.more(c, 100)
		c.start("a")
		c.waitInSync()
		clients.more(c, 100)
		c.kill("b")
		requireGone(c, "b", b)
		c.waitRoles("a", "")
		clients.more(c, 100)
		clients.stop()
		w.clean(t)
	})
	t.Run("twice, of Shutdown and of Close", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady())
		c.start("a")
		c.waitRoles("a", "")
		w := new(witness)
		clients := newLoad(t, w)
		clients.chains(c, 2)
		for round := range 8 {
			b := startLabelled(c, "b")
			switch round % 3 {
			case 0:
				c.waitInSync()
			case 1:
				c.wait("b to know a view", func() bool { return b.Status().View.Viewnum > 0 })
			}
			// The server is a backup, or about to become one.
			ctx, cancel := c.ctx()
			var wg sync.WaitGroup
			wg.Go(b.Kill)
			wg.Go(b.Kill)
			wg.Go(func() {
				if err := b.Shutdown(ctx); err != nil && !errors.Is(err, kvservice.ErrStopped) {
					t.Errorf("Shutdown at the same time as Kill: %v", err)
				}
			})
			wg.Go(func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close at the same time as Kill: %v", err)
				}
			})
			wg.Wait()
			cancel()
			b.Kill()
			requireGone(c, "b", b)
			clients.more(c, 5)
		}
		clients.stop()
		w.clean(t)
	})
	t.Run("of a primary's Shutdown", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady())
		w := new(witness)
		c.start("a")
		c.waitRoles("a", "")
		clients := newLoad(t, w)
		clients.chains(c, 2)
		rng := rand.New(rand.NewPCG(1, 2))
		primary, backup := "a", "b"
		for range 4 {
			s := c.server(primary)
			c.start(backup)
			c.waitInSync()
			ctx, cancel := c.ctx()
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := s.Shutdown(ctx); err != nil && !errors.Is(err, kvservice.ErrStopped) {
					t.Errorf("Shutdown at the same time as Kill: %v", err)
				}
			})
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond) // not for anything
			c.kill(primary)
			wg.Wait()
			cancel()
			c.waitRoles(backup, "")
			clients.more(c, 5)
			primary, backup = backup, primary
		}
		clients.stop()
		w.clean(t)
	})
	t.Run("of the view service, twice", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady())
		var m *sysmonitor.MonitorServer
		addr := c.dir + "/second"
		name := c.dir + "second"
		labelled(name, func() {
			var err error
			m, err = sysmonitor.Start(addr)
			require.NoError(t, err)
		})
		a, err := kvservice.Start(addr, c.dir+"/a")
		require.NoError(t, err)
		defer a.Kill()
		c.wait("a view", func() bool { return a.Status().Active })
		require.NotEmpty(t, goroutines(name))
		var wg sync.WaitGroup
		wg.Go(m.Kill)
		wg.Go(m.Kill)
		wg.Wait()
		m.Kill()
		require.Empty(t, goroutines(name))
	})
}

func killDuringTransfer(t *testing.T, victim string) {
	c := newCluster(t, steady())
	servers := map[string]*kvservice.KVServer{"a": startLabelled(c, "a")}
	c.waitRoles("a", "")
	k := c.client("client")
	const loads = 32
	text := strings.Repeat("0123456789abcdef", 16<<10)
	for i := range loads {
		c.put(k, fmt.Sprintf("load %d", i), text)
	}
	gate := holdTransfer(c, "a", "b")
	defer gate.Release()
	servers["b"] = startLabelled(c, "b")
	c.wait("the middle of a transfer", func() bool {
		st := servers["a"].Status()
		return gate.Held() > 0 && st.TransferRunning && st.TransferChunks > 0
	})
	c.kill(victim)
	requireGone(c, victim, servers[victim])
	gate.Release()
	if victim == "b" {
		c.put(k, "after", "it")
		c.start("b")
		c.waitInSync()
		c.kill("a")
		c.waitRoles("b", "")
		for i := range loads {
			require.True(t, c.get(k, fmt.Sprintf("load %d", i)) == text, "load %d", i)
		}
		require.Equal(t, "it", c.get(k, "after"))
		return
	}
	// The only server that held all the data is gone. The half that b holds is
	// never shown to anybody (V5, V9).
	c.wait("the view service to say that the group is down", func() bool { return c.monitorStatus().Down })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := k.GetContext(ctx, "load 0")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotEqual(t, "b", c.view().primary)
}

// TestClientProcessThatDies kills a client's process in the middle of its work,
// several times. The next one goes on with the same key: what was acknowledged
// is there, and what the dead have left behind (a session, perhaps a request
// that is still on its way) comes to one word more at most, once.
func TestClientProcessThatDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	k := c.client("observer")
	var acknowledged []int // words by each life
	check := func() {
		t.Helper()
		diary := c.get(k, "diary")
		words := make([]int, len(acknowledged))
		for _, word := range strings.Fields(diary) {
			var life, n int
			_, err := fmt.Sscanf(word, "%d:%d", &life, &n)
			require.NoError(t, err)
			require.Equal(t, words[life], n, "the diary: %s", diary)
			words[life]++
		}
		for life, n := range words {
			require.GreaterOrEqual(t, n, acknowledged[life], "the diary: %s", diary)
			require.LessOrEqual(t, n, acknowledged[life]+1, "the diary: %s", diary)
		}
	}
	for life := range 3 {
		cmd, out := child(t, "client", c.addr(monitorName), strconv.Itoa(life))
		heard := 0
		for out.Scan() {
			require.Equal(t, fmt.Sprintf("wrote %d:%d", life, heard), out.Text())
			if heard++; heard == 20+7*life {
				cmd.Process.Kill() // and hear what it had still said
			}
		}
		require.GreaterOrEqual(t, heard, 20)
		acknowledged = append(acknowledged, heard)
		check()
	}
	c.kill("a")
	c.waitRoles("b", "")
	check()
}

// holdNth holds the nth message of a kind, counted from 1, and all that follow
// it up to and including the last; last zero means all.
func holdNth(n, last int64, match func(from, to, method string) bool) func(from, to, method string) bool {
	var seen atomic.Int64
	return func(from, to, method string) bool {
		if !match(from, to, method) {
			return false
		}
		i := seen.Add(1)
		return i >= n && (last == 0 || i <= last)
	}
}

// TestRetryAfterTheSessionExpired: when a request is repeated after its session
// has expired, the repetition is refused, never run a second time (S3), and the
// client says what it knows: nothing, if an earlier attempt may have run, and
// otherwise it runs the request under a new name.
func TestRetryAfterTheSessionExpired(t *testing.T) {
	t.Parallel()
	limits := kvservice.WithLimits(kvservice.Limits{SessionTTL: 3 * time.Second})
	isPut := func(method string) bool { return method == "KVServer.Put" }
	expired := func(c *cluster) {
		t.Helper()
		c.wait("the session to expire", func() bool { return c.server("a").Status().Sessions == 0 })
	}
	t.Run("the first attempt ran", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady(limits))
		c.pair()
		k := c.client("client", kvservice.WithAttemptTimeout(150*time.Millisecond))
		addrA := c.addr("a")
		c.append(k, "key", "opens a session, ")
		// The reply to the Append is lost; the repetitions are held until the
		// session is gone.
		replies := c.faults.Hold(func(from, to, method string) bool { return isPut(method) && from == addrA && to == "client" })
		defer replies.Release()
		requests := c.faults.Hold(holdNth(2, 0, func(from, to, method string) bool { return isPut(method) && from == "client" && to == addrA }))
		defer requests.Release()
		result := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			result <- k.AppendContext(ctx, "key", "once ")
		}()
		c.wait("a repetition", func() bool { return requests.Held() > 0 })
		other := c.client("other")
		c.wait("the first attempt to have run", func() bool { return c.get(other, "key") == "opens a session, once " })
		expired(c)
		requests.Release()
		replies.Release()
		err := <-result
		require.ErrorIs(t, err, kvservice.ErrOutcomeUnknown)
		require.ErrorIs(t, err, kvservice.ErrSessionLost)
		require.Equal(t, "opens a session, once ", c.get(k, "key"))
		c.append(k, "key", "more ")
		require.Equal(t, "opens a session, once more ", c.get(k, "key"))
	})
	t.Run("the first attempt is late", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady(limits))
		c.pair()
		k := c.client("client")
		addrA := c.addr("a")
		requests := c.faults.Hold(holdNth(2, 2, func(from, to, method string) bool { return isPut(method) && from == "client" && to == addrA }))
		defer requests.Release()
		result := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			result <- k.AppendContext(ctx, "key", "once ")
		}()
		c.wait("the request to be held", func() bool { return requests.Held() > 0 })
		expired(c)
		requests.Release()
		// Nothing else was sent, so it is known that it has not run, and it is
		// run under a new name.
		require.NoError(t, <-result)
		require.Equal(t, "once ", c.get(k, "key"))
	})
	t.Run("between requests", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady(limits))
		c.pair()
		k := c.client("client")
		c.append(k, "key", "one ")
		expired(c)
		c.append(k, "key", "two ")
		require.Equal(t, "one two ", c.get(k, "key"))
	})
	t.Run("as a plain client sees it", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, steady(limits))
		c.pair()
		plain := dialPlain(t, c.addr("a"))
		put := func(args tandem.PutArgs) (reply tandem.PutReply) {
			t.Helper()
			require.NoError(t, plain.Call("KVServer.Put", &args, &reply))
			return reply
		}
		session := put(tandem.PutArgs{Op: tandem.OpOpenSession}).Session
		require.NotZero(t, session)
		appending := func(number uint64, word string) tandem.PutArgs {
			return tandem.PutArgs{Op: tandem.OpAppend, Key: "key", Value: word, Session: session, Number: number}
		}
		for range 3 {
			require.Equal(t, tandem.PutReply{Err: tandem.OK, Outcome: tandem.DidRun}, put(appending(1, "one ")))
		}
		require.Equal(t, tandem.OK, put(appending(2, "two ")).Err)
		require.Equal(t, tandem.ErrStaleRequest, put(appending(1, "one ")).Err)
		expired(c)
		again := put(appending(2, "two "))
		require.Equal(t, tandem.ErrSessionExpired, again.Err)
		require.NotEqual(t, tandem.DidRun, again.Outcome)
		var got tandem.GetReply
		require.NoError(t, plain.Call("KVServer.Get", &tandem.GetArgs{Key: "key"}, &got))
		require.Equal(t, tandem.GetReply{Err: tandem.OK, Value: "one two "}, got)
	})
}

// TestRequestAfterACancelledOne: when a request is cancelled, its session goes on
// with the next number, and what was cancelled runs once or not at all (S1, S3).
func TestRequestAfterACancelledOne(t *testing.T) {
	t.Parallel()
	one := kvservice.WithLimits(kvservice.Limits{MaxSessions: 1})
	for what, hold := range map[string]func(primary, from, to string) bool{
		"its reply on the way":   func(primary, from, to string) bool { return from == primary && to == "client" },
		"its request on the way": func(primary, from, to string) bool { return from == "client" && to == primary },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, steady())
			c.pair()
			k := c.client("client", one)
			c.append(k, "key", "zero ")
			addrA := c.addr("a")
			gate := c.faults.Hold(holdNth(1, 1, func(from, to, method string) bool {
				return method == "KVServer.Put" && hold(addrA, from, to)
			}))
			defer gate.Release()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- k.AppendContext(ctx, "key", "one ") }()
			c.wait("the request to be held", func() bool { return gate.Held() > 0 })
			cancel()
			err := <-result
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, kvservice.ErrOutcomeUnknown)
			c.append(k, "key", "two ")
			gate.Release()
			c.append(k, "key", "three ")
			got := c.get(k, "key")
			if what == "its reply on the way" {
				require.Equal(t, "zero one two three ", got)
			} else {
				require.Contains(t, []string{"zero two three ", "zero one two three "}, got)
			}
			require.EqualValues(t, 1, c.server("a").Status().Sessions)
		})
	}
}

// TestClosedClientsLeaveNothing closes a client in the middle of its work.
func TestClosedClientsLeaveNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, steady())
	c.pair()
	name := c.dir + "client"
	var k *kvservice.KVClient
	labelled(name, func() { k = c.client("client") })
	addrA := c.addr("a")
	gate := c.faults.Hold(func(from, to, method string) bool { return from == addrA && to == "client" })
	defer gate.Release()
	results := make(chan error, 10)
	for i := range 10 {
		go func() { results <- k.AppendContext(context.Background(), strconv.Itoa(i), "x") }()
	}
	c.wait("requests under way", func() bool { return gate.Held() > 0 })
	var wg sync.WaitGroup
	wg.Go(k.Close)
	wg.Go(k.Close)
	wg.Wait()
	for range 10 {
		require.ErrorIs(t, <-results, kvservice.ErrClosed)
	}
	require.Empty(t, goroutines(name))
}

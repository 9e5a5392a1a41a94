package tandem_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

var crashFor = flag.Duration("crash.for", 20*time.Second, "how long the tests of repeated crashes go on")

// TestRepeatedCrash crashes and restarts three servers without end, while
// clients check all they are told. A server that restarts has lost its memory,
// so only one whose partner is in sync may be crashed: anything else would
// rightly be the end of the group (V9).
//
// It would catch a breach of A2 to A6, L1 to L4, S1 to S3, R1, R2, V4 and V5.
func TestRepeatedCrash(t *testing.T) {
	t.Parallel()
	for _, load := range []string{"PutHash", "Append"} {
		for _, net := range []string{"reliable", "unreliable"} {
			t.Run(load+"/"+net, func(t *testing.T) {
				t.Parallel()
				repeatedCrash(t, load, net == "unreliable")
			})
		}
	}
}

// repeatedCrash runs one variant. A machine so slow that the view service suspects
// a live server exactly while the test crashes its partner ends the group, and
// rightly (V9). Then the variant begins again; it must get through in the end.
func repeatedCrash(t *testing.T, load string, unreliable bool) {
	const attempts = 3
	for range attempts {
		if crashedThrough(t, load, unreliable) {
			return
		}
	}
	t.Errorf("the group died in each of %d attempts", attempts)
}

// crashedThrough makes one attempt, and reports whether the group lived to its end.
func crashedThrough(t *testing.T, load string, unreliable bool) bool {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := newCluster(t, config{seed: seed})
	names := []string{"a", "b", "c"}
	for _, name := range names {
		c.start(name)
	}
	c.waitInSync()
	if unreliable {
		c.faults.Unreliable(rpcnet.LabDropRequest, rpcnet.LabDropReply)
	}

	w := new(witness)
	clients := newLoad(t, w)
	if load == "PutHash" {
		clients.chains(c, 3)
	} else {
		clients.journals(c)
	}
	crashes, died := crash(c, rand.New(rand.NewPCG(seed, 0)), names, time.Now().Add(*crashFor))
	if died {
		// Whoever waits for the group waits in vain; what was seen still counts.
		clients.abandon(c)
		w.cleanButFailed(t)
		return false
	}
	c.faults.ReliableAgain()
	operations := clients.stop()
	t.Logf("%d crashes, %d operations", crashes, operations)

	w.clean(t)
	require.Positive(t, operations)
	// The lower bound is far below what is usual, and above a run that hung.
	require.Greater(t, crashes, int(*crashFor/(4*time.Second)), "too few crashes to mean anything")
	return true
}

// crash crashes and restarts servers until a time, then starts those that are
// down and waits until two are in sync. It returns the number of crashes. died says
// that a crash was the end of the group, because the view service had meanwhile
// suspected the only other member that held the data.
func crash(c *cluster, rng *rand.Rand, names []string, until time.Time) (crashes int, died bool) {
	c.t.Helper()
	backAt := make(map[string]time.Time) // those that are down
	restart := func(due func(time.Time) bool) {
		for _, name := range names {
			if at, down := backAt[name]; down && due(at) {
				c.start(name)
				delete(backAt, name)
			}
		}
	}
	for time.Now().Before(until) {
		var v view
		c.wait("two live servers in sync", func() bool {
			restart(func(at time.Time) bool { return time.Now().After(at) })
			st := c.monitorStatus()
			v = c.named(st.View, st.Active)
			return v.active && v.backup != "" && runs(c, st.View.PrimaryServer()) && runs(c, st.View.BackupServer())
		})
		victim := v.primary
		switch rng.IntN(5) {
		case 0, 1:
			victim = v.backup
		case 2:
			victim = names[rng.IntN(len(names))]
		}
		if c.server(victim) == nil {
			continue
		}
		c.kill(victim)
		crashes++
		// Down for less than the view service notices, or for longer.
		backAt[victim] = time.Now().Add(time.Duration(rng.IntN(1200)) * time.Millisecond)
		if now := c.view(); now.number != v.number && !survives(c) {
			// Between the look and the crash a slow machine made the view
			// service suspect the partner: nobody holds the data, rightly.
			c.t.Logf("the group died after %d crashes: %v became %v as %s was crashed", crashes, v, now, victim)
			return crashes, true
		}
		pause := time.Duration(rng.IntN(300)) * time.Millisecond
		time.Sleep(pause) // not for anything: so that crashes come at any moment
	}
	restart(func(time.Time) bool { return true })
	c.waitInSync()
	return crashes, false
}

// runs reports whether that life of a server has not been crashed.
func runs(c *cluster, who tandem.Server) bool {
	s := c.server(c.name(who.Addr))
	return s != nil && s.Status().Server == who
}

// survives reports whether a member of the in-sync set still runs.
func survives(c *cluster) bool {
	return slices.ContainsFunc(c.monitorStatus().InSync, func(m tandem.Server) bool { return runs(c, m) })
}

// load is a set of clients that work until they are stopped.
type load struct {
	t    testing.TB
	w    *witness
	gaps *gaps // if not nil, is told of each operation

	stopping   chan struct{}
	wg         sync.WaitGroup
	mu         sync.Mutex
	operations int
	last       []func() // the checks after the end
}

func newLoad(t testing.TB, w *witness) *load {
	l := &load{t: t, w: w, stopping: make(chan struct{})}
	t.Cleanup(func() { l.end() })
	return l
}

// run starts a client that repeats what it does until it is stopped or fails.
func (l *load) run(who int, do func(ctx context.Context, rng *rand.Rand) bool) {
	rng := rand.New(rand.NewPCG(uint64(who), 1))
	l.wg.Go(func() {
		for {
			select {
			case <-l.stopping:
				return
			default:
			}
			// Not the test's context: what has begun shall end.
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			ok := do(ctx, rng)
			cancel()
			if !ok {
				return // counted as failed
			}
			l.mu.Lock()
			l.operations++
			l.mu.Unlock()
			l.gaps.done(who)
			if l.gaps == nil {
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond) // leaves some of the machine to others
			}
		}
	})
}

// chains starts n clients that each extend a chain of their own and read all.
func (l *load) chains(c *cluster, n int) {
	all := make([]*hashChain, n)
	for i := range all {
		all[i] = newHashChain(l.w, fmt.Sprintf("chain %d", i))
	}
	for i, own := range all {
		k := c.client(fmt.Sprintf("chain-%d", i))
		l.run(i, func(ctx context.Context, rng *rand.Rand) bool {
			if rng.IntN(3) == 0 {
				return own.step(ctx, k) && own.read(ctx, k)
			}
			return own.step(ctx, k) && all[rng.IntN(n)].read(ctx, k)
		})
		l.last = append(l.last, func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			own.read(ctx, k)
		})
	}
}

// journals starts two clients that append to one key, and one that reads it. As
// a value grows with each word, a new key is begun now and then.
func (l *load) journals(c *cluster) {
	const wordsPerKey = 200
	var mu sync.Mutex
	all := []*journal{newJournal(l.w, "journal 0")}
	at := func(i int) *journal {
		mu.Lock()
		defer mu.Unlock()
		for len(all) <= i {
			all = append(all, newJournal(l.w, fmt.Sprintf("journal %d", len(all))))
		}
		return all[i]
	}
	for writer := range appendWriters {
		k := c.client(fmt.Sprintf("append-%d", writer))
		n := 0
		l.run(100+writer, func(ctx context.Context, rng *rand.Rand) bool {
			j := at(n / wordsPerKey)
			n++
			return j.append(ctx, k, writer) && (rng.IntN(2) == 0 || j.read(ctx, k))
		})
	}
	k := c.client("append-reader")
	l.run(100+appendWriters, func(ctx context.Context, rng *rand.Rand) bool {
		mu.Lock()
		j := all[len(all)-1-rng.IntN(min(2, len(all)))]
		mu.Unlock()
		return j.read(ctx, k)
	})
	l.last = append(l.last, func() {
		for _, j := range all {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			j.read(ctx, k)
			cancel()
		}
	})
}

// abandon ends the cluster's clients in the middle of what they do.
func (l *load) abandon(c *cluster) {
	c.mu.Lock()
	clients := slices.Clone(c.clients)
	c.mu.Unlock()
	for _, k := range clients {
		k.Close()
	}
	l.end()
}

// end stops the clients and waits for them.
func (l *load) end() {
	l.mu.Lock()
	select {
	case <-l.stopping:
	default:
		close(l.stopping)
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// stop stops the clients, waits for what they have begun, has every key read
// once more, and returns the number of operations.
func (l *load) stop() int {
	l.end()
	for _, check := range l.last {
		check()
	}
	return l.operations
}

// done returns how many operations have ended so far.
func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.operations
}

// more waits until n more operations have ended.
func (l *load) more(c *cluster, n int) {
	c.t.Helper()
	from := l.done()
	c.wait(fmt.Sprintf("%d more operations", n), func() bool { return l.done() >= from+n })
}

// gaps measures the longest time in which a client got nothing done.
type gaps struct {
	mu      sync.Mutex
	last    map[int]time.Time // a client's last success
	longest time.Duration
	heard   map[int]bool // clients with a success since
}

// done notes a client's success. A nil *gaps measures nothing.
func (g *gaps) done(who int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if last, ok := g.last[who]; ok && g.heard != nil {
		g.longest = max(g.longest, now.Sub(last))
	}
	g.last[who] = now
	if g.heard != nil {
		g.heard[who] = true
	}
}

// measure starts anew.
func (g *gaps) measure() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil {
		g.last = make(map[int]time.Time)
	}
	g.longest, g.heard = 0, make(map[int]bool)
}

// sinceMeasured returns the longest time since measure began in which a client
// got nothing done, that of the success which began before included.
func (g *gaps) sinceMeasured() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.longest
}

// all reports whether each client has had a success since measure began.
func (g *gaps) all() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.heard) > 0 && len(g.heard) == len(g.last)
}

func median[T ~int64 | ~float64](list []T) T {
	s := slices.Clone(list)
	slices.Sort(s)
	return s[len(s)/2]
}

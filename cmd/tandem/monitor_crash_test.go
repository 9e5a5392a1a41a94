//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

var monitorKills = flag.Int("monitor-kills", 12, "how often TestMonitorKilledUnderViewChanges kills the view service")

// TestMonitorKilledUnderViewChanges: V10, I1, I4. Servers come and go, so that views
// change all the time, and the view service is killed at random moments and started
// again on its directory. Whoever is asked, no number of a view falls or is used for
// two views; what was on disk when the view service died is not behind what anybody
// had heard; no two servers could commit at one moment; and a client that writes and
// reads all the while notices nothing but time.
func TestMonitorKilledUnderViewChanges(t *testing.T) {
	t.Parallel()
	c := newCrashed(t)
	ctx, cancel := context.WithCancel(context.Background())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	for _, what := range []func(context.Context) error{c.churn, c.watchViews, c.watchPings, c.watchServers, c.use} {
		others.Go(func() {
			if err := what(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
				cancel()
			}
		})
	}
	kills := 0
	for ; ctx.Err() == nil && (kills < *monitorKills || c.seen.number() < uint(*monitorKills)); kills++ {
		c.reached(ctx, time.Duration(rand.Int64N(int64(time.Second)))) // a random moment
		require.NoError(t, c.monitor.Kill())
		c.checkKept()
		c.startMonitor()
	}
	cancel()
	others.Wait()
	require.NotContains(t, logOf(t, c.monitorSpec), "rule=V0", "no memory was lost")
	t.Logf("%d kills of the view service, %d views, %d comings and goings of servers, %d looks at all servers, %d updates and reads",
		kills, c.seen.number(), c.moves, c.looks, c.uses)
}

// crashed is what the test and its goroutines share.
type crashed struct {
	t           *testing.T
	dir         string // the view service's data
	monitorSpec cluster.Spec
	monitor     *cluster.Process // the test's own goroutine's
	addr        string           // the view service's
	seen        sightings

	servers []*cluster.Process // the churn's
	specs   []cluster.Spec
	addrs   []string // the servers'; they never change

	moves, looks, uses int // each its goroutine's
}

func newCrashed(t *testing.T) *crashed {
	c := &crashed{t: t, dir: filepath.Join(t.TempDir(), "data"), seen: sightings{views: make(map[uint]sysmonitor.View)}}
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		// An address for this test alone: at the usual one, a port that is free
		// for a moment may come to be the near end of somebody's connection.
		host = fmt.Sprintf("127.%d.%d.77", 100+os.Getpid()%100, 1+os.Getpid()/100%250)
	}
	c.monitorSpec = daemonSpec(t, "monitor", "--listen", host+":0", "--data", c.dir, "--ping-interval", "40ms", "--dead-pings", "10")
	c.startMonitor()
	c.addr = c.monitor.Ready().Addr
	c.monitorSpec.Argv = append(c.monitorSpec.Argv, "--listen", c.addr)
	for range 4 {
		spec := daemonSpec(t, "server", "--listen", host+":0", "--monitor", c.addr)
		p := startDaemon(t, spec)
		spec.Argv = append(spec.Argv, "--listen", p.Ready().Addr)
		c.servers, c.specs, c.addrs = append(c.servers, p), append(c.specs, spec), append(c.addrs, p.Ready().Addr)
	}
	return c
}

func (c *crashed) startMonitor() {
	c.t.Helper()
	c.monitor = startDaemon(c.t, c.monitorSpec)
}

// reached waits until some time has passed, or the context has ended.
func (c *crashed) reached(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// checkKept looks at what is on disk while no view service runs.
func (c *crashed) checkKept() {
	c.t.Helper()
	heard := c.seen.floor()
	d, err := sysmonitor.OpenData(c.dir)
	if errors.Is(err, sysmonitor.ErrNoData) && heard.number == 0 {
		return
	}
	require.NoError(c.t, err)
	defer d.Close()
	v, active := d.View()
	require.NoError(c.t, c.seen.saw("the disk", heard, v, active))
}

// sightings is all that anybody heard of views.
type sightings struct {
	mu    sync.Mutex
	top   heard
	views map[uint]sysmonitor.View // by number
}

// heard is how far the views had come by a moment.
type heard struct{ number, active uint }

func (s *sightings) floor() heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.top
}

func (s *sightings) number() uint { return s.floor().number }

// saw notes a view that somebody named, who was asked when the views had come as
// far as floor (zero: whoever it is may be behind).
func (s *sightings) saw(who string, floor heard, v sysmonitor.View, active uint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.Viewnum < floor.number || active < floor.active {
		return fmt.Errorf("I1, V10: %s names view %d, active %d, after view %d, active %d, was heard of", who, v.Viewnum, active, floor.number, floor.active)
	}
	if v.Viewnum == 0 {
		return nil
	}
	if other, ok := s.views[v.Viewnum]; ok && other != v {
		return fmt.Errorf("V10: %s names %+v, and there was %+v", who, v, other)
	}
	s.views[v.Viewnum] = v
	s.top.number, s.top.active = max(s.top.number, v.Viewnum), max(s.top.active, active)
	return nil
}

// watchViews asks the view service for the view.
func (c *crashed) watchViews(ctx context.Context) error {
	m := sysmonitor.MakeClient("watcher", c.addr)
	defer m.Close()
	for ; ctx.Err() == nil; c.reached(ctx, time.Millisecond) {
		floor := c.seen.floor()
		reply, err := m.Wait(ctx, sysmonitor.GetArgs{})
		if err != nil {
			continue // it is dead just now
		}
		if reply.Err != "OK" {
			return fmt.Errorf("a Get was refused: %w", reply.Err)
		}
		if err := c.seen.saw("a Get", floor, reply.View, reply.Active); err != nil {
			return err
		}
	}
	return nil
}

// watchPings pings like a server that is leaving, which nobody would choose.
func (c *crashed) watchPings(ctx context.Context) error {
	m := sysmonitor.MakeClient("pinger", c.addr)
	defer m.Close()
	for seq := uint64(1); ctx.Err() == nil; seq++ {
		floor := c.seen.floor()
		brief, cancel := context.WithTimeout(ctx, time.Second)
		reply, err := m.PingServer(brief, sysmonitor.PingArgs{Me: "pinger", Incarnation: 1, Seq: seq, Leaving: true})
		cancel()
		if err == nil {
			err = c.seen.saw("a ping's reply", floor, reply.View, reply.Active)
			if err != nil {
				return err
			}
		}
		c.reached(ctx, 5*time.Millisecond)
	}
	return nil
}

// watchServers looks at all servers, again and again. What one is found to be twice
// it was in between as well, so that two rounds show one moment of all of them.
func (c *crashed) watchServers(ctx context.Context) error {
	before := make([]kvservice.Status, len(c.addrs))
	for ; ctx.Err() == nil; c.reached(ctx, 2*time.Millisecond) {
		now := make([]kvservice.Status, len(c.addrs))
		for i, addr := range c.addrs {
			brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			st, err := kvservice.ReadStatus(brief, addr)
			cancel()
			if err != nil {
				continue // it is away, or frozen
			}
			now[i] = st
			active := uint(0)
			if st.Active {
				active = st.View.Viewnum
			}
			if err := c.seen.saw(addr, heard{}, st.View, active); err != nil {
				return err
			}
			if st.Server == before[i].Server && st.View.Viewnum < before[i].View.Viewnum {
				return fmt.Errorf("I1: %s went from view %d to view %d", addr, before[i].View.Viewnum, st.View.Viewnum)
			}
		}
		if who := committers(before, now); len(who) > 1 {
			return fmt.Errorf("I4: at one moment, all of these could commit: %+v", who)
		}
		before = now
		c.looks++
	}
	return nil
}

// committers returns the servers that could commit at the moment between two
// rounds of looking (I4): those solo, and those joint whose backup was still in
// their view.
func committers(before, now []kvservice.Status) (who []kvservice.Status) {
	same := func(i int) bool {
		a, b := before[i], now[i]
		return a.View.Viewnum > 0 && a.Server == b.Server && a.View == b.View && a.Authority == b.Authority
	}
	for i, st := range now {
		if !same(i) {
			continue
		}
		switch st.Authority {
		case "solo":
			who = append(who, st)
		case "joint":
			for k, b := range now {
				if same(k) && b.Server == st.View.BackupServer() && b.View == st.View {
					who = append(who, st)
				}
			}
		}
	}
	return who
}

// use writes and reads one key, alone.
func (c *crashed) use(ctx context.Context) error {
	kv := kvservice.MakeKVClient(c.addr)
	defer kv.Close()
	for i := 1; ctx.Err() == nil; i++ {
		want := strconv.Itoa(i)
		if err := kv.PutContext(ctx, "key", want); err != nil {
			return fmt.Errorf("put %s: %w", want, err)
		}
		got, err := kv.GetContext(ctx, "key")
		if err != nil {
			return fmt.Errorf("get %s: %w", want, err)
		}
		if got != want {
			return fmt.Errorf("R1, R2: read %s after %s was acknowledged", got, want)
		}
		c.uses++
	}
	return nil
}

// churn has members of the view leave, die or freeze, and come back. It strikes only
// when two hold all the data, and one is left.
func (c *crashed) churn(ctx context.Context) error {
	m := sysmonitor.MakeClient("churn", c.addr)
	defer m.Close()
	why := "no status"
	for since := time.Now(); ctx.Err() == nil; c.reached(ctx, 5*time.Millisecond) {
		if time.Since(since) > patience {
			return fmt.Errorf("the group has not been well for %v: %s", patience, why)
		}
		brief, cancel := context.WithTimeout(ctx, time.Second)
		st, err := m.Status(brief)
		cancel()
		if err != nil {
			continue
		}
		if why = st.Why; !unhurt(st) {
			continue
		}
		since = time.Now()
		victim := st.View.Backup
		if rand.IntN(2) == 0 {
			victim = st.View.Primary
		}
		for i, addr := range c.addrs {
			if addr == victim {
				if err := c.strike(ctx, i, m, st.View.Viewnum); err != nil {
					return err
				}
				c.moves++
			}
		}
	}
	return nil
}

// unhurt reports whether two servers hold all the data, and a third is there. One
// that has started anew may still be of the view by its address, not by its life.
func unhurt(st *sysmonitor.Status) bool {
	inSync, others := 0, 0
	for _, s := range st.Servers {
		switch {
		case !s.Heard || s.Suspected || s.Leaving:
		case s.InSync:
			inSync++
		default:
			others++
		}
	}
	return st.Active == st.View.Viewnum && inSync == 2 && others > 0
}

// strike has a server go in one of three ways, and come back.
func (c *crashed) strike(ctx context.Context, i int, m *sysmonitor.Client, number uint) error {
	p := c.servers[i]
	switch rand.IntN(3) {
	case 0:
		if err := p.Kill(); err != nil {
			return err
		}
	case 1:
		if err := p.Leave(); err != nil {
			return err
		}
		select {
		case <-p.Done():
		case <-ctx.Done():
			return nil
		}
		if err := p.Err(); err != nil {
			return fmt.Errorf("it left, and not well: %w", err)
		}
	default:
		if err := p.Freeze(); err != nil {
			return err
		}
		for ctx.Err() == nil {
			if v, ok := m.Get(); ok && v.Viewnum > number {
				break
			}
			c.reached(ctx, 5*time.Millisecond)
		}
		return p.Thaw()
	}
	start, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again, err := cluster.Start(start, c.specs[i])
	if err != nil {
		return err
	}
	c.t.Cleanup(func() { again.Kill() })
	c.servers[i] = again
	return nil
}

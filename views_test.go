package tandem_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor"
)

// V1, V3: the first server is the primary of the first view, and serves.
func TestFirstServerBecomesPrimary(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	assert.Equal(t, view{}, c.view())
	c.start("a")
	v := c.waitRoles("a", "")
	assert.EqualValues(t, 1, v.number)
	c.waitRole("a", "primary")
}

// V4: the second becomes the backup, the third is idle.
func TestSecondServerBecomesBackup(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	c.start("a")
	first := c.waitRoles("a", "")
	c.start("b")
	v := c.waitRoles("a", "b")
	assert.Equal(t, first.number+1, v.number)
	c.start("c")
	c.waitRole("b", "backup")
	c.waitRole("c", "idle")
	c.waitHeard("c")
	assert.Equal(t, v, c.view(), "a third server changes nothing")
}

// V4, V7: the backup takes over, in the very next view, and alone.
func TestBackupTakesOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	before := c.pair()
	c.kill("a")
	v := c.waitRoles("b", "")
	assert.Equal(t, before.number+1, v.number)
	c.waitRole("b", "primary")

	// V4: the dead server returns, without its data, and becomes the backup.
	c.start("a")
	v = c.waitRoles("b", "a")
	assert.Equal(t, before.number+2, v.number)
	c.waitRole("a", "backup")
}

// V4: an idle server becomes the backup of the server that took over; never in
// the same step.
func TestIdleServerBecomesBackupWhenThePrimaryDies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	before := c.pair()
	c.start("c")
	c.waitHeard("c")
	c.kill("a")
	c.waitRoles("b", "c")
	// On a machine that is too busy the group may have gone on from there since.
	promotion, naming := c.made(before.number+1), c.made(before.number+2)
	assert.Equal(t, [2]string{"b", ""}, [2]string{promotion.primary, promotion.backup}, "promotion and naming are two views")
	assert.Equal(t, [2]string{"b", "c"}, [2]string{naming.primary, naming.backup})
	c.waitInSync()
}

// made returns the view of that number as the view service's history has it, the
// zero view if it has none.
func (c *cluster) made(number uint) view {
	for _, change := range c.monitorStatus().History {
		if change.View.Viewnum == number {
			return c.named(change.View, change.Active)
		}
	}
	return view{}
}

// V6: a primary that restarts at once, before its silence can be noticed, is as
// good as dead: it has lost what it held.
func TestRestartedPrimaryIsTreatedAsDead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	k := c.client("k")
	c.pair()
	c.put(k, "key", "value")
	c.kill("a")
	c.start("a")
	c.waitRoles("b", "a")
	assert.Equal(t, "value", c.get(k, "key"))
	c.kill("b") // a has been brought up to date by now, which is what active says (I8)
	c.waitRoles("a", "")
	assert.Equal(t, "value", c.get(k, "key"))
}

// V6: the same, alone: there is nobody to follow it, and it does not begin anew.
func TestRestartedPrimaryWithoutBackupDoesNotServe(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	k := c.client("k")
	c.start("a")
	c.put(k, "key", "value")
	c.kill("a")
	c.start("a")
	c.wait("the view service to say that the group is down", func() bool { return c.monitorStatus().Down })
	before := c.view()
	c.start("b")
	c.waitHeard("b")
	c.refuses("a", "key", tandem.ErrWrongServer)
	c.refuses("b", "key", tandem.ErrWrongServer)
	assert.Equal(t, before, c.view())
}

// V4: a dead backup is dropped, and the primary goes on alone.
func TestDeadBackupIsRemoved(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	before := c.pair()
	c.kill("b")
	v := c.waitRoles("a", "")
	assert.Equal(t, before.number+1, v.number)
}

// V3, V5, A4: the primary of a view does not acknowledge it while its backup is
// without the data; until then that backup is nobody's heir.
func TestUninitialisedBackupIsNotPromoted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	k := c.client("k")
	c.start("a")
	c.put(k, "key", "value")
	first := c.waitRoles("a", "")
	gate := c.faults.Hold(func(_, _, method string) bool { return method == "KVServer.Replicate" })
	c.start("b")
	v := c.waitView("b named", func(v view) bool { return v.backup == "b" })
	assert.Equal(t, first.number+1, v.number)
	c.wait("the transfer to be on its way", func() bool { return gate.Held() > 0 })
	c.start("c")
	c.waitHeard("c")
	assert.Equal(t, first.number, c.monitorStatus().Active, "acknowledged although the backup has nothing")
	c.put(k, "key", "value 2") // the primary goes on serving (A3)

	c.kill("a")
	gate.Release()
	c.wait("the view service to say that the group is down", func() bool { return c.monitorStatus().Down })
	st := c.monitorStatus()
	assert.Equal(t, c.addr("a"), st.View.Primary, "the view stands (V9)")
	assert.Equal(t, first.number, st.Active)
	assert.Contains(t, st.Why, c.addr("a"))
	c.refuses("b", "key", tandem.ErrWrongServer)
	c.refuses("c", "key", tandem.ErrWrongServer)
}

// V5: while the view is not acknowledged the view service waits, whatever the
// idle servers do; what it may do is drop a backup that died.
func TestViewServiceWaitsForTheAcknowledgement(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	c.start("a")
	first := c.waitRoles("a", "")
	gate := c.faults.Hold(func(_, to, method string) bool {
		return to == c.addr("b") && method == "KVServer.Replicate"
	})
	defer gate.Release()
	c.start("b")
	c.waitView("b named", func(v view) bool { return v.backup == "b" && !v.active })
	c.start("c")
	c.waitHeard("c")
	v := c.view()
	assert.Equal(t, view{first.number + 1, "a", "b", false}, v)
	c.kill("b")
	// From a view without a backup that is acknowledged, c is named.
	v = c.waitRoles("a", "c")
	assert.Equal(t, first.number+3, v.number)
}

// V4: an idle server that died is not chosen.
func TestDeadIdleServerIsNotChosen(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	c.pair()
	c.start("c")
	c.waitHeard("c")
	c.kill("c")
	c.wait("c to be suspected", func() bool {
		for _, s := range c.monitorStatus().Servers {
			if s.Addr == c.addr("c") {
				return s.Suspected
			}
		}
		return false
	})
	c.kill("a")
	c.waitRoles("b", "")
	c.start("d") // the next to be chosen, if c is not
	c.waitRoles("b", "d")
	for _, h := range c.monitorStatus().History {
		assert.NotEqual(t, c.addr("c"), h.View.Backup)
	}
}

// V3, V4, V5, V9, V10, I1, I2: whoever dies and returns, view numbers rise by the
// steps that the rules allow, as seen by one who asks the view service all the time.
func TestViewsFollowOneAnotherByTheRules(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{})
	r := record(c)
	names := []string{"a", "b", "c"}
	for _, n := range names {
		c.start(n)
	}
	c.waitInSync()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		v := c.waitInSync()
		victim := names[rng.IntN(len(names))]
		c.kill(victim)
		if rng.IntN(2) == 0 { // else it returns before anybody can notice
			c.waitView("without "+victim, func(v view) bool { return v.primary != victim && v.backup != victim })
		}
		c.start(victim)
		if victim == v.primary || victim == v.backup {
			c.waitView("a later one", func(now view) bool { return now.number > v.number })
		}
	}
	c.waitInSync()
	r.stop()
	assert.Greater(t, r.chain.steps, 5, "too few single steps were seen for a test")
	t.Logf("%d views, %d single steps seen", r.chain.last.Viewnum, r.chain.steps)
}

// waitRole waits until a server says that it has a role.
func (c *cluster) waitRole(name, role string) {
	c.t.Helper()
	c.wait(name+" to be "+role, func() bool { return c.server(name).Status().Role == role })
}

// waitHeard waits until the view service has heard a running server's present
// life.
func (c *cluster) waitHeard(name string) {
	c.t.Helper()
	c.wait("the view service to hear "+name, func() bool {
		for _, s := range c.monitorStatus().Servers {
			if s.Server == c.server(name).Status().Server {
				return s.Heard && !s.Suspected
			}
		}
		return false
	})
}

// recorder asks the view service for every new view, over the network.
type recorder struct {
	t      testing.TB
	client *sysmonitor.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup
	chain  chain
}

func record(c *cluster) *recorder {
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{
		t:      c.t,
		client: sysmonitor.MakeClient("recorder", c.addr(monitorName)),
		cancel: cancel,
	}
	c.t.Cleanup(r.stop)
	r.wg.Go(func() {
		for ctx.Err() == nil {
			reply, err := r.client.Wait(ctx, tandem.ViewArgs{Wait: time.Second, Viewnum: r.chain.last.Viewnum})
			if err != nil {
				continue
			}
			for {
				if err := r.chain.see(reply.View, reply.Active); err != nil {
					r.t.Error(err)
				}
				// An activation is no new view; ask on until the view is active.
				if reply.Active == reply.View.Viewnum {
					break
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Millisecond):
				}
				if reply, err = r.client.Wait(ctx, tandem.ViewArgs{}); err != nil {
					break
				}
			}
		}
	})
	return r
}

func (r *recorder) stop() {
	r.cancel()
	r.wg.Wait()
	r.client.Close()
}

// chain checks that views follow one another as V3, V4, V5, V9 and V10 say. The zero
// chain has seen nothing.
type chain struct {
	last   tandem.View
	active uint                 // the last activated number that was named
	seen   map[uint]tandem.View // by number
	steps  int                  // from a view to the very next
}

// see takes what the view service said and returns what is wrong with it.
func (c *chain) see(v tandem.View, active uint) error {
	bad := func(rule string) error {
		return fmt.Errorf("%s: %+v (active %d) was followed by %+v (active %d)", rule, c.last, c.active, v, active)
	}
	last, was := c.last, c.active
	first := c.seen == nil
	if first {
		c.seen = make(map[uint]tandem.View)
	}
	defer func() {
		c.last, c.active = v, active
		c.seen[v.Viewnum] = v
	}()
	switch {
	case active > v.Viewnum:
		return bad("V3: a view is active that is not there yet")
	case first:
		return nil
	case v.Viewnum < last.Viewnum || active < was:
		return bad("I1: a number fell")
	case v.Viewnum == last.Viewnum && v != last:
		return bad("V10: one number for two views")
	case v.Viewnum > 0 && v.Primary == "":
		return bad("V9: no primary")
	case v.Viewnum > 0 && v.Primary == v.Backup:
		return bad("V4: one server in both roles")
	case last.Viewnum > 0 && v.Cluster != last.Cluster:
		return bad("V0: the cluster's id changed")
	case v.Viewnum != last.Viewnum+1:
		return nil // the same view, or views between that were missed
	}
	c.steps++
	p, b := v.PrimaryServer(), v.BackupServer()
	if p == last.PrimaryServer() && b == last.BackupServer() {
		return bad("V10: consecutive views are equal")
	}
	if last.Viewnum == 0 {
		if v.Backup != "" {
			return bad("V1: the first view has a backup")
		}
		return nil
	}
	// Whether the former view was active when it was left. If the new one is
	// active already, the reply does not tell what was before it.
	switch {
	case was == last.Viewnum || active == last.Viewnum:
		return c.fromActive(v, bad)
	case active < last.Viewnum:
		return c.fromInactive(v, active, bad)
	default:
		if c.fromActive(v, bad) != nil {
			return c.fromInactive(v, was, bad)
		}
		return nil
	}
}

// fromActive is V4.
func (c *chain) fromActive(v tandem.View, bad func(string) error) error {
	p, b, old := v.PrimaryServer(), v.BackupServer(), c.last
	none := tandem.Server{}
	switch {
	case old.Backup == "" && p == old.PrimaryServer() && b != none:
	case old.Backup != "" && p == old.BackupServer() && b == none:
	case old.Backup != "" && p == old.PrimaryServer() && b == none:
	default:
		return bad("V4")
	}
	return nil
}

// fromInactive is V5, and V1 before any view was active.
func (c *chain) fromInactive(v tandem.View, active uint, bad func(string) error) error {
	p, old := v.PrimaryServer(), c.last
	if v.Backup != "" {
		return bad("V5: a backup was named from a view that is not active")
	}
	if active == 0 || p == old.PrimaryServer() {
		return nil
	}
	inSync, ok := c.seen[active]
	if ok && p != inSync.PrimaryServer() && p != inSync.BackupServer() {
		return bad("V5, I2: the new primary is not in the in-sync set")
	}
	return nil
}

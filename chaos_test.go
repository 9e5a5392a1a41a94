package tandem_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/internal/workload"
	"github.com/tandemkv/tandem/kvservice"
)

var (
	chaosFor  = flag.Duration("chaos.for", 3*time.Second, "how long each variant of TestChaos has faults; a quarter of it with -short")
	chaosSeed = flag.Uint64("chaos.seed", 0, "what TestChaos draws its faults and operations from, though nothing repeats their timing; zero: the time")
)

const (
	chaosWorkers = 5
	faultsAtOnce = 3
)

// TestChaos runs the real servers under faults, on real sockets, writes down what
// clients were told, and has it judged by the model that judges the simulation:
// each key's history must be linearizable. Once the faults stop, everything must be
// answered (P1). A fault never takes the memory of all that hold the data (V9); see
// crashOne.
//
// It would catch a breach of A5, L3, R2, S1 to S3 and S5.
func TestChaos(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{
		{name: "kill", faults: []fault{faultKill}, views: true},
		{name: "freeze", faults: []fault{faultFreeze}, views: true, tcp: true},
		{name: "cut", faults: []fault{faultCut}, views: true, tcp: true},
		{name: "unreliable", faults: []fault{faultLoss, faultDelay}},
		{name: "hold", faults: []fault{faultHold}, views: true},
		{name: "break", faults: []fault{faultBreak}, tcp: true},
		{name: "everything", faults: []fault{faultKill, faultFreeze, faultCut, faultLoss, faultDelay, faultHold, faultBreak}, views: true},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			seed := *chaosSeed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			t.Logf("seed %d; again: go test -run 'TestChaos/%s$' -chaos.for=%v -chaos.seed=%[1]d .", seed, v.name, *chaosFor)
			newChaos(t, v, seed).run()
		})
	}
}

// variant is a run of TestChaos.
type variant struct {
	name   string
	faults []fault // that it mixes
	views  bool    // they make view changes, sooner or later but soon
	// tcp: not Unix sockets. A port may be another's when a server is restarted, so
	// it is for faults without restarts.
	tcp bool
}

// chaos is one run. Its faults begin and end on the test's own goroutine.
type chaos struct {
	*cluster
	variant     variant
	seed        uint64
	rng         *rand.Rand
	serverNames []string
	clientNames []string
	conns       *connections
	history     *workload.History
	keys        *workload.Keys
	begun       map[string]int // faults, by name
	ends        []ending       // of the faults that last
}

// ending is what ends a fault, and when.
type ending struct {
	fault string
	at    time.Time
	do    func()
}

func newChaos(t *testing.T, v variant, seed uint64) *chaos {
	conns := new(connections)
	dialer := []kvservice.Option{kvservice.WithDialer(conns.dial)}
	x := &chaos{
		cluster: newCluster(t, config{seed: seed, tcp: v.tcp, server: dialer, client: dialer}),
		variant: v, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)),
		serverNames: []string{"a", "b", "c"}, conns: conns,
		history: workload.NewHistory(), keys: workload.NewKeys(4), begun: make(map[string]int),
	}
	for _, name := range x.serverNames {
		x.start(name)
	}
	x.waitInSync()
	return x
}

// run has faults for a time, and until there was enough to judge; then none, until
// all is answered; then has the history judged.
func (x *chaos) run() {
	length := *chaosFor
	if testing.Short() {
		length /= 4
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := x.startWorkers(ctx)
	defer w.Wait()
	defer cancel() // if this ends early

	before := x.view().number
	began := time.Now()
	for !x.t.Failed() && (time.Since(began) < length || x.lacks(before) != "" && time.Since(began) < length+patience) {
		x.step()
	}
	x.heal()
	w.Stop()
	if !poll(ctx, func() bool { return w.Running() == 0 }) {
		x.t.Errorf("P1: the faults have stopped, and %d clients wait in vain", w.Running())
	}
	cancel()
	w.Wait()
	ops := x.history.Counts()
	x.t.Logf("%d operations, %d unknown, %d failed; faults %v; %d views", ops.All(), ops.Unknown, ops.Failed, x.begun, x.view().number-before)
	assert.Empty(x.t, x.lacks(before), "too little happened for a test")
	defer x.judge() // also if the group does not get well
	x.lastReads()
}

// lacks says what has not happened yet and must, for the run to mean anything.
func (x *chaos) lacks(before uint) string {
	ops := x.history.Counts()
	switch {
	case ops.All() < 100:
		return fmt.Sprintf("only %d operations", ops.All())
	case ops.Unknown == 0:
		return "no operation of unknown outcome"
	case x.variant.views && x.view().number == before:
		return "no change of view"
	}
	for _, f := range x.variant.faults {
		if x.begun[f.name] == 0 {
			return "no fault: " + f.name
		}
	}
	return ""
}

// step ends the faults whose time has come, and begins another; now and then it
// ends all of them and waits until the group is well, so that what needs a group in
// sync can happen again.
func (x *chaos) step() {
	x.requireIntact()
	if x.rng.IntN(25) == 0 {
		x.heal()
		x.waitWell()
		return
	}
	due := time.Now()
	x.end(func(e ending) bool { return e.at.Before(due) })
	if f := x.variant.faults[x.rng.IntN(len(x.variant.faults))]; x.room(f) && f.begin(x) {
		x.begun[f.name]++
	}
	time.Sleep(x.upTo(100 * time.Millisecond)) // not for anything: so that faults come at any moment
}

// requireIntact ends the test if a server has stopped by itself, as one does that
// sees an invariant broken.
func (x *chaos) requireIntact() {
	x.t.Helper()
	for _, name := range x.serverNames {
		if s := x.server(name); s != nil {
			require.NoError(x.t, s.Err(), "server %s", name)
		}
	}
}

// waitWell is waitInSync, but does not wait for a server that has stopped.
func (x *chaos) waitWell() view {
	x.t.Helper()
	var v view
	x.wait("a backup in sync", func() (ok bool) {
		x.requireIntact()
		v, ok = x.inSync()
		return ok
	})
	return v
}

// room reports whether a fault may begin besides those that go on.
func (x *chaos) room(f fault) bool {
	same := func(e ending) bool { return e.fault == f.name }
	return len(x.ends) < faultsAtOnce && !(f.single && slices.ContainsFunc(x.ends, same))
}

// lasts arranges for the end of a fault that begins, within max.
func (x *chaos) lasts(fault string, max time.Duration, end func()) {
	x.ends = append(x.ends, ending{fault, time.Now().Add(x.upTo(max)), end})
}

// end ends the faults of which due is true.
func (x *chaos) end(due func(ending) bool) {
	x.ends = slices.DeleteFunc(x.ends, func(e ending) bool {
		if !due(e) {
			return false
		}
		e.do()
		return true
	})
}

// heal ends all faults.
func (x *chaos) heal() { x.end(func(ending) bool { return true }) }

func (x *chaos) upTo(d time.Duration) time.Duration { return time.Duration(x.rng.Int64N(int64(d))) }

func (x *chaos) oneOf(names []string) string { return names[x.rng.IntN(len(names))] }

// party returns the name by which the network knows somebody: a server mostly, or
// the view service, or a client.
func (x *chaos) party() string {
	switch x.rng.IntN(6) {
	case 0:
		return x.addr(monitorName)
	case 1:
		return x.oneOf(x.clientNames)
	}
	return x.addr(x.oneOf(x.serverNames))
}

// fault is a kind of fault. begin arranges for its end, and reports whether it could
// begin. The end of one that is single would end all others of its kind.
type fault struct {
	name   string
	single bool
	begin  func(*chaos) bool
}

var (
	// A crash, and a restart without memory: before anybody notices, or later.
	faultKill = fault{"kill", false, func(x *chaos) bool {
		name := x.oneOf(x.serverNames)
		if !x.crashOne(name) {
			return false
		}
		x.lasts("kill", 1200*time.Millisecond, func() { x.start(name) })
		return true
	}}

	// A process that stands still, for less than the view service notices or for
	// longer than it takes for a death, and goes on.
	faultFreeze = fault{"freeze", false, func(x *chaos) bool {
		who := x.party()
		x.faults.Freeze(who)
		x.lasts("freeze", 1500*time.Millisecond, func() { x.faults.Thaw(who) })
		return true
	}}

	// A path cut, in one direction or both: any, or one that matters most, as that
	// between a primary and the view service, which goes on without it.
	faultCut = fault{"cut", false, func(x *chaos) bool {
		a, b := x.party(), x.party()
		switch v := x.view(); x.rng.IntN(4) {
		case 0:
			a, b = x.addr(v.primary), x.addr(monitorName)
		case 1:
			a, b = x.addr(v.primary), x.addr(v.backup)
		}
		if a == b || b == "" {
			return false
		}
		x.faults.Cut(a, b)
		if x.rng.IntN(2) == 0 {
			x.faults.Cut(b, a)
		}
		x.lasts("cut", 3*time.Second, func() {
			x.faults.Heal(a, b)
			x.faults.Heal(b, a)
		})
		return true
	}}

	// The lab's losses everywhere, or nearly everything lost that is asked of one, or
	// nearly all its answers.
	faultLoss = fault{"loss", true, func(x *chaos) bool {
		v := x.view()
		to := x.oneOf([]string{monitorName, v.primary, v.backup})
		if to == "" {
			return false
		}
		switch x.rng.IntN(4) {
		case 0, 1:
			x.faults.Unreliable(rpcnet.LabDropRequest, rpcnet.LabDropReply)
		case 2:
			x.faults.UnreliableAt(x.addr(to), 0.98, 0.01)
		case 3:
			x.faults.UnreliableAt(x.addr(to), 0.01, 0.98)
		}
		x.lasts("loss", 3*time.Second, x.faults.ReliableAgain)
		return true
	}}

	// Messages that take a while, and overtake each other.
	faultDelay = fault{"delay", true, func(x *chaos) bool {
		x.faults.Delay(0, x.upTo(30*time.Millisecond))
		x.lasts("delay", 2*time.Second, func() { x.faults.Delay(0, 0) })
		return true
	}}

	// A few messages of one kind, to or from one party, that arrive when all after
	// them have long arrived: perhaps in another view.
	faultHold = fault{"hold", false, func(x *chaos) bool {
		who := x.party()
		methods := []string{"KVServer.Put", "KVServer.Get", "KVServer.Replicate", "MonitorServer.Ping"}
		what, left := x.oneOf(methods), 1+x.rng.IntN(20)
		gate := x.faults.Hold(func(from, to, method string) bool {
			if method != what || from != who && to != who || left == 0 {
				return false
			}
			left--
			return true
		})
		x.lasts("hold", 2*time.Second, gate.Release)
		return true
	}}

	// Connections that break in the middle of whatever passes over them.
	faultBreak = fault{"break", false, func(x *chaos) bool { return x.conns.breakSome(x.rng) > 0 }}
)

// crashOne crashes a server, unless that could be the end of the group: another
// member of the in-sync set has to live in the life in which it is a member (V9). It
// reports whether it did.
//
// The view service goes on while the test looks at it. So the victim is cut off from it
// first. If then the current view is active, the victim has heard of no later one,
// and can activate none, which is the only way in which it might become the last
// member (V3).
func (x *chaos) crashOne(name string) bool {
	s := x.server(name)
	if s == nil {
		return false
	}
	x.cutBoth(name, monitorName)
	defer func() {
		x.faults.Heal(x.addr(name), x.addr(monitorName))
		x.faults.Heal(x.addr(monitorName), x.addr(name))
	}()
	st := x.monitorStatus()
	if st.View.Viewnum != st.Active || !slices.ContainsFunc(st.InSync, func(m tandem.Server) bool {
		return m.Addr != x.addr(name) && runs(x.cluster, m)
	}) {
		return false
	}
	x.kill(name)
	assert.NoError(x.t, s.Err(), "server %s", name)
	return true
}

// connections is every connection that clients and servers have opened. The zero
// value is ready, and safe for concurrent use.
type connections struct {
	mu   sync.Mutex
	open []*connection
}

type connection struct {
	net.Conn
	all *connections
}

func (c *connections) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	one := &connection{nc, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, one)
	return one, nil
}

// Close closes the connection, and forgets it.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.open = slices.DeleteFunc(c.all.open, func(one *connection) bool { return one == c })
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// breakSome closes up to half of the connections under those who use them, and
// returns how many it closed.
func (c *connections) breakSome(rng *rand.Rand) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) == 0 {
		return 0
	}
	n := 1 + rng.IntN(len(c.open))/2
	for _, i := range rng.Perm(len(c.open))[:n] {
		c.open[i].Conn.Close()
	}
	return n
}

// startWorkers starts the workers, two of which share a client. They end when they
// are stopped and what they have begun is answered, or with the context.
func (x *chaos) startWorkers(ctx context.Context) *workload.Workers {
	var clients []*kvservice.KVClient
	for who := range chaosWorkers {
		if who == 1 {
			clients = append(clients, clients[0])
			continue
		}
		name := fmt.Sprintf("client-%d", who)
		clients = append(clients, x.client(name))
		x.clientNames = append(x.clientNames, name)
	}
	return workload.Start(ctx, workload.Load{History: x.history, Keys: x.keys, Seed: x.seed, Clients: clients})
}

// lastReads reads every key, then crashes the primary and reads every key again:
// what one member answers the other has, too (I3).
func (x *chaos) lastReads() {
	x.t.Helper()
	k := x.client("last")
	readAll := func() {
		require.NoError(x.t, x.history.ReadAll(x.t.Context(), k, chaosWorkers, 1, x.keys.Used(), patience), "P1: the last reads")
	}
	readAll()
	x.wait("a primary that may be crashed", func() bool {
		v := x.waitWell()
		return x.crashOne(v.primary)
	})
	readAll()
}

// judge has every key's history judged. If it is not found to be linearizable, it
// is kept, with a picture of the keys concerned.
func (x *chaos) judge() {
	x.t.Helper()
	j := x.history.Judge(context.Background(), 1, nil)
	if j.Verdict == workload.Valid {
		return
	}
	for _, b := range j.Bad {
		x.t.Error(b)
	}
	dir, err := x.keep(j.Bad)
	x.t.Errorf("%s; %+v; seed %d; history and picture are in %s (%v)", j.Verdict, j.Witnessed, x.seed, dir, err)
}

// keep writes the history and a picture of a part of it to a directory of its own,
// and returns that.
func (x *chaos) keep(bad []workload.BadKey) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "tandem-chaos-"+x.variant.name+"-"); err != nil {
		return "", err
	}
	for name, write := range map[string]func(io.Writer) error{
		"history.jsonl": x.history.WriteJSON,
		"picture.html":  func(w io.Writer) error { return x.history.WritePicture(bad, w) },
	} {
		f, failed := os.Create(filepath.Join(dir, name))
		if failed == nil {
			failed = errors.Join(write(f), f.Close())
		}
		err = errors.Join(err, failed)
	}
	return dir, err
}

package tandem_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
)

var (
	chaosFor  = flag.Duration("chaos.for", 3*time.Second, "how long each variant of TestChaos has faults; a quarter of it with -short")
	chaosSeed = flag.Uint64("chaos.seed", 0, "what TestChaos draws its faults and operations from, though nothing repeats their timing; zero: the time")
)

const (
	chaosWorkers = 5
	faultsAtOnce = 3
	// keyBudget is how many operations a key gets. One of unknown outcome counts
	// for many, because it may run at any later moment, and the checker tries all.
	keyBudget      = 100
	unknownsPerKey = 6
	judgingMax     = 30 * time.Second // of the checker, per key
	badKeysMax     = 3
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
	history     *history
	keys        *keyring
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
		history: &history{start: time.Now()}, keys: new(keyring), begun: make(map[string]int),
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
	defer w.wg.Wait()
	defer cancel() // if this ends early

	before := x.view().number
	began := time.Now()
	for !x.t.Failed() && (time.Since(began) < length || x.lacks(before) != "" && time.Since(began) < length+patience) {
		x.step()
	}
	x.heal()
	close(w.stop)
	if !poll(ctx, func() bool { return w.running.Load() == 0 }) {
		x.t.Errorf("P1: the faults have stopped, and %d clients wait in vain", w.running.Load())
	}
	cancel()
	w.wg.Wait()
	ops, unknown, failed := x.history.count()
	x.t.Logf("%d operations, %d unknown, %d failed; faults %v; %d views", ops, unknown, failed, x.begun, x.view().number-before)
	assert.Empty(x.t, x.lacks(before), "too little happened for a test")
	defer x.judge() // also if the group does not get well
	x.lastReads()
}

// lacks says what has not happened yet and must, for the run to mean anything.
func (x *chaos) lacks(before uint) string {
	ops, unknown, _ := x.history.count()
	switch {
	case ops < 100:
		return fmt.Sprintf("only %d operations", ops)
	case unknown == 0:
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

// keyring names the keys that operations are on. A few are in use at a time, and
// each is given up for a new one after a while, so that the checker has little to
// think about at once. It is safe for concurrent use.
type keyring struct {
	mu    sync.Mutex
	slots [4]struct{ generation, spent int }
	all   []string
}

// next returns the key for an operation. The first slot's keys are used seldom, so
// that each of their histories spans many faults.
func (r *keyring) next(rng *rand.Rand) string {
	slot := 0
	if rng.IntN(12) > 0 {
		slot = 1 + rng.IntN(len(r.slots)-1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.slots[slot]
	if s.spent >= keyBudget {
		s.generation, s.spent = s.generation+1, 0
	}
	key := fmt.Sprintf("key %d.%d", slot, s.generation)
	if s.spent == 0 {
		r.all = append(r.all, key)
	}
	s.spent++
	return key
}

// unknown notes that an operation on a key is of unknown outcome.
func (r *keyring) unknown(key string) {
	var slot, generation int
	if _, err := fmt.Sscanf(key, "key %d.%d", &slot, &generation); err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := &r.slots[slot]; s.generation == generation {
		s.spent += keyBudget / unknownsPerKey
	}
}

func (r *keyring) used() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// history is what clients asked for and were told, and when, in nanoseconds of a
// clock that is not set back. It is safe for concurrent use.
type history struct {
	start time.Time
	mu    sync.Mutex
	ops   []simulation.Operation

	unknown, failed int
}

// do has an operation done, and returns what was written down of it.
func (h *history) do(ctx context.Context, k *kvservice.KVClient, who int, in simulation.Input) simulation.Operation {
	op := simulation.Operation{Client: who, Input: in, Verdict: simulation.Done}
	op.Call = int64(time.Since(h.start))
	out, err := perform(ctx, k, in)
	op.Return = int64(time.Since(h.start))
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		op.Output = out
	case errors.Is(err, kvservice.ErrOutcomeUnknown):
		op.Verdict, op.Err = simulation.Unknown, err.Error()
		h.unknown++
	default: // S5: it did not run and never will
		op.Verdict, op.Err = simulation.Failed, err.Error()
		h.failed++
	}
	h.ops = append(h.ops, op)
	return op
}

func (h *history) count() (ops, unknown, failed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops), h.unknown, h.failed
}

// perform makes one call of a client.
func perform(ctx context.Context, k *kvservice.KVClient, in simulation.Input) (out simulation.Output, err error) {
	switch in.Kind {
	case simulation.Get:
		if out.Value, err = k.GetContext(ctx, in.Key); errors.Is(err, tandem.ErrNoKey) {
			err = nil
		}
	case simulation.Put:
		err = k.PutContext(ctx, in.Key, in.Value)
	case simulation.PutHash:
		out.Value, err = k.PutHashContext(ctx, in.Key, in.Value)
	case simulation.Append:
		err = k.AppendContext(ctx, in.Key, in.Value)
	case simulation.Delete:
		if err = k.DeleteContext(ctx, in.Key); errors.Is(err, tandem.ErrNoKey) {
			out.Absent, err = true, nil
		}
	case simulation.CompareAndSwap:
		out.Swapped, err = k.CompareAndSwapContext(ctx, in.Key, in.Expected, in.Value)
	default:
		panic(in.Kind)
	}
	return out, err
}

// workers are the goroutines that use clients.
type workers struct {
	wg      sync.WaitGroup
	running atomic.Int64
	stop    chan struct{}
}

// startWorkers starts the workers, two of which share a client. They end when they
// are stopped and what they have begun is answered, or with the context.
func (x *chaos) startWorkers(ctx context.Context) *workers {
	w := &workers{stop: make(chan struct{})}
	var k *kvservice.KVClient
	for who := range chaosWorkers {
		if who != 1 {
			name := fmt.Sprintf("client-%d", who)
			k = x.client(name)
			x.clientNames = append(x.clientNames, name)
		}
		mine := worker{x, who, k, rand.New(rand.NewPCG(x.seed, uint64(1+who))), make(map[string]string)}
		w.running.Add(1)
		w.wg.Go(func() {
			defer w.running.Add(-1)
			for n := 0; ctx.Err() == nil; n++ {
				select {
				case <-w.stop:
					return
				default:
					mine.step(ctx, n)
				}
			}
		})
	}
	return w
}

// worker is one of them.
type worker struct {
	x     *chaos
	who   int
	k     *kvservice.KVClient
	rng   *rand.Rand
	known map[string]string // what it knows of keys, right or wrong
}

// step does one operation. Most have all the time they need, some have a deadline
// that a fault outlasts, and a few one that is hard to meet.
func (w *worker) step(ctx context.Context, n int) {
	switch w.rng.IntN(40) {
	case 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(w.rng.IntN(3000))*time.Microsecond)
		defer cancel()
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(20+w.rng.IntN(500))*time.Millisecond)
		defer cancel()
	}
	op := w.x.history.do(ctx, w.k, w.who, w.invent(n))
	switch op.Verdict {
	case simulation.Unknown:
		w.x.keys.unknown(op.Input.Key)
	case simulation.Done:
		w.learn(op)
	}
	time.Sleep(time.Duration(w.rng.IntN(10_000)) * time.Microsecond) // leaves some of the machine to others
}

// invent makes up an operation. Each value is written once, so that a read tells
// which write it saw. The first worker only reads: a primary that was superseded and
// does not know it leaves writers waiting, who then look for another, so that only
// one who never writes may be answered by it (R2).
func (w *worker) invent(n int) simulation.Input {
	in := simulation.Input{Kind: simulation.Get, Key: w.x.keys.next(w.rng)}
	if w.who == 0 || w.rng.IntN(5) < 2 {
		return in
	}
	writes := []simulation.OpKind{simulation.Put, simulation.PutHash, simulation.Append, simulation.Append, simulation.CompareAndSwap, simulation.CompareAndSwap, simulation.Delete}
	in.Kind = writes[w.rng.IntN(len(writes))]
	if in.Kind != simulation.Delete {
		in.Value = fmt.Sprintf("%d:%d ", w.who, n)
	}
	if in.Kind == simulation.CompareAndSwap {
		in.Expected = w.known[in.Key]
	}
	return in
}

// learn notes what an operation tells of its key.
func (w *worker) learn(op simulation.Operation) {
	in := op.Input
	switch in.Kind {
	case simulation.Get:
		w.known[in.Key] = op.Output.Value
	case simulation.Put:
		w.known[in.Key] = in.Value
	case simulation.PutHash:
		w.known[in.Key] = hashed(op.Output.Value, in.Value)
	case simulation.Append:
		w.known[in.Key] += in.Value
	case simulation.Delete:
		w.known[in.Key] = ""
	case simulation.CompareAndSwap:
		if op.Output.Swapped {
			w.known[in.Key] = in.Value
		}
	}
}

// lastReads reads every key, then crashes the primary and reads every key again:
// what one member answers the other has, too (I3).
func (x *chaos) lastReads() {
	x.t.Helper()
	k := x.client("last")
	readAll := func() {
		ctx, cancel := x.ctx()
		defer cancel()
		for _, key := range x.keys.used() {
			op := x.history.do(ctx, k, chaosWorkers, simulation.Input{Kind: simulation.Get, Key: key})
			require.Equal(x.t, simulation.Done, op.Verdict, "P1: the last read of %s: %s", key, op.Err)
		}
	}
	readAll()
	x.wait("a primary that may be crashed", func() bool {
		v := x.waitWell()
		return x.crashOne(v.primary)
	})
	readAll()
}

// judge has every key's history judged, until a few were found that are not
// linearizable, or of which nobody can tell. Then all of it is kept, with a picture
// of the keys concerned.
func (x *chaos) judge() {
	x.t.Helper()
	byKey := make(map[string][]simulation.Operation)
	for _, op := range x.history.ops {
		byKey[op.Input.Key] = append(byKey[op.Input.Key], op)
	}
	var bad []simulation.Operation
	keys := 0
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		if keys == badKeysMax {
			break // each may take the checker long
		}
		if verdict := simulation.Linearizable(byKey[key], judgingMax); verdict != porcupine.Ok {
			x.t.Errorf("%s: is its history linearizable? %s", key, verdict)
			bad = append(bad, byKey[key]...)
			keys++
		}
	}
	if bad != nil {
		dir, err := x.keep(bad)
		x.t.Errorf("seed %d; history and picture are in %s (%v)", x.seed, dir, err)
	}
}

// keep writes the history and a picture of a part of it to a directory of its own,
// and returns that.
func (x *chaos) keep(bad []simulation.Operation) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "tandem-chaos-"+x.variant.name+"-"); err != nil {
		return "", err
	}
	lines, err := os.Create(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return dir, err
	}
	defer lines.Close()
	enc := json.NewEncoder(lines)
	for _, op := range x.history.ops {
		err = errors.Join(err, enc.Encode(lineOf(op)))
	}
	picture, err2 := os.Create(filepath.Join(dir, "picture.html"))
	if err2 != nil {
		return dir, errors.Join(err, err2)
	}
	defer picture.Close()
	return dir, errors.Join(err, simulation.Picture(bad, judgingMax, picture))
}

// line is an operation as it stands in history.jsonl.
type line struct {
	Client   int    `json:"client"`
	Call     int64  `json:"call_ns"`
	Return   int64  `json:"return_ns"`
	Op       string `json:"op"`
	Key      string `json:"key"`
	Value    string `json:"value,omitempty"`
	Expected string `json:"expected,omitempty"`
	Verdict  string `json:"verdict"`
	Err      string `json:"err,omitempty"`
	Got      string `json:"got,omitempty"`
	Absent   bool   `json:"absent,omitempty"`
	Swapped  bool   `json:"swapped,omitempty"`
}

func lineOf(op simulation.Operation) line {
	return line{
		Client: op.Client, Call: op.Call, Return: op.Return,
		Op: op.Input.Kind.String(), Key: op.Input.Key, Value: op.Input.Value, Expected: op.Input.Expected,
		Verdict: op.Verdict.String(), Err: op.Err,
		Got: op.Output.Value, Absent: op.Output.Absent, Swapped: op.Output.Swapped,
	}
}

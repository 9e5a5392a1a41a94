package tandem_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

func TestMain(m *testing.M) {
	// The tests spend their time waiting for timeouts and one another, so more
	// of them than there are processors run at once, unless -parallel is given.
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "8")
	}
	// As services do for what they send: see rpcnet.Describe.
	rpcnet.Describe(&labPutArgs{}, &labPutReply{}, &labGetArgs{}, &labGetReply{}, &labPingArgs{}, &labPingReply{}, &labViewArgs{}, &labViewReply{})
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come. It says nothing about
// how soon that is: a busy machine under the race detector is slow.
const patience = 60 * time.Second

// config says how a cluster differs from the usual one: Unix sockets,
// persistent connections, a network without faults.
type config struct {
	seed        uint64 // of the faults; 1 if zero
	tcp         bool
	dialPerCall bool
	server      []kvservice.Option // for every server
	client      []kvservice.Option // for every client
	monitor     []sysmonitor.Option
}

// patient is for tests in which servers die only by kill. The view service hears
// of that by the connection that breaks (V7), so it need not take a machine that
// stands still for a while for a death, too.
var patient = []sysmonitor.Option{sysmonitor.WithDeadPings(4 * sysmonitor.DeadPings)}

// cluster is a view service, servers and clients in this process, on real
// sockets, with one faulty network between them. Servers and clients go by short
// names, which stand for addresses (addr). Everything is killed when the test
// ends, and if it failed, what happened is printed.
//
// Its methods may be used by several goroutines, but those that wait for
// something end the test when it does not come (require), and so belong on the
// test's own goroutine; the exceptions say so.
type cluster struct {
	t      testing.TB
	cfg    config
	dir    string
	faults *rpcnet.Faults

	mu      sync.Mutex
	addrs   map[string]string // by name; a TCP address once the server has started
	monitor *sysmonitor.MonitorServer
	servers map[string]*kvservice.KVServer // those that run, by name
	clients []*kvservice.KVClient
}

// monitorName is the name of the view service.
const monitorName = "m"

// newCluster starts a view service and no server.
func newCluster(t testing.TB, cfg config) *cluster {
	t.Helper()
	// A socket's path is limited to some hundred bytes: t.TempDir, which holds
	// the test's name, is too long.
	dir, err := os.MkdirTemp("", "tdm")
	require.NoError(t, err)
	if cfg.seed == 0 {
		cfg.seed = 1
	}
	c := &cluster{
		t: t, cfg: cfg, dir: dir,
		faults:  rpcnet.NewFaults(cfg.seed),
		addrs:   make(map[string]string),
		servers: make(map[string]*kvservice.KVServer),
	}
	t.Cleanup(c.stop)
	c.startMonitor()
	return c
}

// addr returns the address that a name stands for.
func (c *cluster) addr(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addrOf(name)
}

func (c *cluster) addrOf(name string) string {
	if name == "" {
		return ""
	}
	a, ok := c.addrs[name]
	if !ok {
		a = filepath.Join(c.dir, name)
		if c.cfg.tcp {
			a = "127.0.0.1:0"
		}
		c.addrs[name] = a
	}
	return a
}

// name is addr backwards.
func (c *cluster) name(addr string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, a := range c.addrs {
		if a == addr {
			return n
		}
	}
	return addr
}

// startMonitor starts the view service (again, with no memory, if killMonitor
// came before).
func (c *cluster) startMonitor() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Nil(c.t, c.monitor, "the view service runs already")
	m, err := sysmonitor.Start(c.addrOf(monitorName), c.cfg.monitor...)
	require.NoError(c.t, err)
	c.monitor = m
	c.addrs[monitorName] = m.Addr()
}

func (c *cluster) killMonitor() {
	c.mu.Lock()
	m := c.monitor
	c.monitor = nil
	c.mu.Unlock()
	if m != nil {
		m.Kill()
	}
}

// monitorStatus asks the view service itself, not over the network.
func (c *cluster) monitorStatus() sysmonitor.Status {
	c.mu.Lock()
	m := c.monitor
	c.mu.Unlock()
	if m == nil {
		return sysmonitor.Status{}
	}
	return m.Status()
}

// start starts a server under a name; again, and without its data, if it was
// killed. opts come after those of the config.
func (c *cluster) start(name string, opts ...kvservice.Option) *kvservice.KVServer {
	c.t.Helper()
	s, err := c.tryStart(name, opts...)
	require.NoError(c.t, err)
	return s
}

// tryStart is start for any goroutine, and for starts that may fail.
func (c *cluster) tryStart(name string, opts ...kvservice.Option) (*kvservice.KVServer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.servers[name] != nil {
		return nil, fmt.Errorf("server %s runs already", name)
	}
	all := slices.Concat([]kvservice.Option{kvservice.WithFaults(c.faults)}, c.transport(), c.cfg.server, opts)
	s, err := kvservice.Start(c.addrOf(monitorName), c.addrOf(name), all...)
	if err != nil {
		return nil, err
	}
	c.servers[name] = s
	c.addrs[name] = s.Addr()
	return s, nil
}

func (c *cluster) transport() []kvservice.Option {
	if c.cfg.dialPerCall {
		return []kvservice.Option{kvservice.WithDialPerCall()}
	}
	return nil
}

// server returns the running server of that name, or nil.
func (c *cluster) server(name string) *kvservice.KVServer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers[name]
}

// kill crashes a server. Any goroutine may do it; one that does not run is left
// alone.
func (c *cluster) kill(name string) {
	c.mu.Lock()
	s := c.servers[name]
	delete(c.servers, name)
	c.mu.Unlock()
	if s != nil {
		s.Kill()
	}
}

// client makes a client. The network knows it by its name.
func (c *cluster) client(name string, opts ...kvservice.Option) *kvservice.KVClient {
	all := slices.Concat([]kvservice.Option{kvservice.WithFaults(c.faults), kvservice.WithName(name)},
		c.transport(), c.cfg.client, opts)
	k := kvservice.MakeKVClient(c.addr(monitorName), all...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients = append(c.clients, k)
	return k
}

// stop ends everything. It looks first at how the views followed one another,
// and says on failure what there was.
func (c *cluster) stop() {
	var views chain
	for _, h := range c.monitorStatus().History {
		if err := views.see(h.View, h.Active); err != nil {
			c.t.Error(err)
		}
	}
	if c.t.Failed() {
		c.t.Log(c.dump())
	}
	c.mu.Lock()
	clients, servers, monitor := c.clients, c.servers, c.monitor
	c.clients, c.servers, c.monitor = nil, nil, nil
	c.mu.Unlock()
	for _, k := range clients {
		k.Close()
	}
	for name, s := range servers {
		s.Kill()
		if err := s.Err(); err != nil {
			c.t.Errorf("server %s: %v", name, err)
		}
	}
	if monitor != nil {
		monitor.Kill()
	}
	if left, err := os.ReadDir(c.dir); err != nil || len(left) > 0 {
		c.t.Errorf("left behind in the sockets' directory: %v (%v)", left, err)
	}
	os.RemoveAll(c.dir)
}

// dump says what the view service decided and what each server believes, with
// names in place of addresses.
func (c *cluster) dump() string {
	var b strings.Builder
	st := c.monitorStatus()
	fmt.Fprintf(&b, "view service: %+v, active %d, down %v, why: %s\n", st.View, st.Active, st.Down, st.Why)
	for _, h := range st.History {
		fmt.Fprintf(&b, "    %-4s view %d primary %q backup %q, active %d: %s\n",
			h.Rule, h.View.Viewnum, h.View.Primary, h.View.Backup, h.Active, h.Reason)
	}
	for _, s := range st.Servers {
		fmt.Fprintf(&b, "    knows %+v\n", s)
	}
	c.mu.Lock()
	servers := make(map[string]*kvservice.KVServer)
	for n, s := range c.servers {
		servers[n] = s
	}
	c.mu.Unlock()
	for n, s := range servers {
		fmt.Fprintf(&b, "server %s: %+v (stopped by: %v)\n", n, s.Status(), s.Err())
	}
	return strings.ReplaceAll(b.String(), c.dir+"/", "")
}

// view is what the view service announces, with names for addresses.
type view struct {
	number          uint
	primary, backup string
	active          bool // this very view is active
}

func (v view) String() string {
	return fmt.Sprintf("(%d,%s,%s) active=%v", v.number, v.primary, v.backup, v.active)
}

func (c *cluster) view() view {
	st := c.monitorStatus()
	return c.named(st.View, st.Active)
}

func (c *cluster) named(v tandem.View, active uint) view {
	return view{v.Viewnum, c.name(v.Primary), c.name(v.Backup), v.Viewnum > 0 && v.Viewnum == active}
}

// waitView waits for a view that meets a condition, and returns it.
func (c *cluster) waitView(what string, cond func(view) bool) view {
	c.t.Helper()
	var v view
	c.wait("a view: "+what, func() bool {
		v = c.view()
		return cond(v)
	})
	return v
}

// waitRoles waits until primary and backup ("" for none) have these roles in an
// active view. If there is a backup, it is in sync then (I8).
func (c *cluster) waitRoles(primary, backup string) view {
	c.t.Helper()
	return c.waitView(fmt.Sprintf("active, primary %q, backup %q", primary, backup), func(v view) bool {
		return v.active && v.primary == primary && v.backup == backup
	})
}

// waitInSync waits until the current view has a backup and is active, which says
// that the backup is in sync (I8), and the primary knows it.
func (c *cluster) waitInSync() view {
	c.t.Helper()
	var v view
	c.wait("a backup in sync", func() (ok bool) {
		v, ok = c.inSync()
		return ok
	})
	return v
}

// inSync returns the current view, and reports what waitInSync waits for.
func (c *cluster) inSync() (v view, ok bool) {
	v = c.view()
	if !v.active || v.backup == "" {
		return v, false
	}
	p := c.server(v.primary)
	if p == nil {
		return v, false
	}
	st := p.Status()
	return v, st.View.Viewnum == v.number && st.BackupInSync
}

// pair starts servers a and b and waits until b is a's backup and in sync.
func (c *cluster) pair() view {
	c.t.Helper()
	c.start("a")
	c.waitRoles("a", "")
	c.start("b")
	c.waitRoles("a", "b")
	return c.waitInSync()
}

// wait polls a condition until it is met, and ends the test if it never is.
func (c *cluster) wait(what string, cond func() bool) {
	c.t.Helper()
	if !poll(c.t.Context(), cond) {
		c.t.Fatalf("waited in vain for %s", what)
	}
}

// poll polls a condition until it is met, which it reports, or patience or the
// context ends.
func poll(ctx context.Context, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// ctx bounds an operation that must succeed.
func (c *cluster) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.t.Context(), patience)
}

// put, putHash, append, get and snapshot are a client's operations that must
// succeed. They are for the test's own goroutine.
func (c *cluster) put(k *kvservice.KVClient, key, value string) {
	c.t.Helper()
	ctx, cancel := c.ctx()
	defer cancel()
	require.NoError(c.t, k.PutContext(ctx, key, value), "Put %q", key)
}

func (c *cluster) putHash(k *kvservice.KVClient, key, value string) (old string) {
	c.t.Helper()
	ctx, cancel := c.ctx()
	defer cancel()
	old, err := k.PutHashContext(ctx, key, value)
	require.NoError(c.t, err, "PutHash %q", key)
	return old
}

func (c *cluster) append(k *kvservice.KVClient, key, value string) {
	c.t.Helper()
	ctx, cancel := c.ctx()
	defer cancel()
	require.NoError(c.t, k.AppendContext(ctx, key, value), "Append %q", key)
}

// get returns a key's value, "" if there is none, as the lab's Get does.
func (c *cluster) get(k *kvservice.KVClient, key string) string {
	c.t.Helper()
	ctx, cancel := c.ctx()
	defer cancel()
	v, err := k.GetContext(ctx, key)
	if !errors.Is(err, tandem.ErrNoKey) {
		require.NoError(c.t, err, "Get %q", key)
	}
	return v
}

// snapshot returns the keys with a prefix and their values.
func (c *cluster) snapshot(k *kvservice.KVClient, prefix string) map[string]string {
	c.t.Helper()
	ctx, cancel := c.ctx()
	defer cancel()
	m := make(map[string]string)
	require.NoError(c.t, k.ScanContext(ctx, prefix, func(key, value string) bool {
		m[key] = value
		return true
	}), "Scan %q", prefix)
	return m
}

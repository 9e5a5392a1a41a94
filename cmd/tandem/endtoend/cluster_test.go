//go:build unix

package endtoend

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// patience is how long a test waits for what must come. It says nothing about how
// soon that is: a busy machine under the race detector is slow.
const patience = 60 * time.Second

// monitorName is the name of the view service.
const monitorName = "monitor"

// deadTime is how long the view service hears nothing of a server before it takes it
// for dead, unless a test says otherwise.
const deadTime = sysmonitor.DeadPings * sysmonitor.PingInterval

// servers are the names of the servers.
var servers = []string{"a", "b", "c"}

// group is a view service and servers, each a process of the binary. The processes
// go by short names. All are killed when the test ends, and if it failed, the ends
// of their logs are printed.
//
// Its methods are for the test's own goroutine: those that wait end the test when
// what they wait for does not come, or a process ends that nobody told to.
type group struct {
	t       *testing.T
	dir     string
	monitor *sysmonitor.Client
	flags   []string                    // of the view service, beside where it listens and keeps its views
	places  map[string]*place           // by name
	running map[string]*cluster.Process // those that nobody has told to end, by name
	views   map[uint]sysmonitor.View    // that were seen, by number
}

// place is where a process runs.
type place struct {
	enter     []string // the command that runs another one there; none: here
	listen    string   // once the process has started, with the port that it got
	advertise string   // by which others reach it; empty: as it listens
}

func (p *place) reach() string {
	if p.advertise != "" {
		return p.advertise
	}
	return p.listen
}

// patient is for tests in which processes die by kill alone. The view service hears
// of that by the connection that breaks (V7), so it need not take a machine that
// stands still for a while for a death, too.
var patient = []string{"--dead-pings", strconv.Itoa(4 * sysmonitor.DeadPings)}

// newGroup starts a view service and the servers, on this host, and waits until the
// group is well.
func newGroup(t *testing.T, monitorFlags ...string) *group {
	t.Helper()
	host := ownAddress()
	places := make(map[string]*place)
	for _, name := range append([]string{monitorName}, servers...) {
		places[name] = &place{listen: host + ":0"}
	}
	return newGroupAt(t, places, monitorFlags...)
}

// newGroupAt is newGroup with a say in where the processes run.
func newGroupAt(t *testing.T, places map[string]*place, monitorFlags ...string) *group {
	t.Helper()
	g := &group{
		t: t, dir: t.TempDir(), flags: monitorFlags,
		places: places, running: make(map[string]*cluster.Process), views: make(map[uint]sysmonitor.View),
	}
	t.Cleanup(g.stop)
	g.start(monitorName)
	g.monitor = sysmonitor.MakeClient("endtoend", g.places[monitorName].reach())
	t.Cleanup(g.monitor.Close)
	for _, name := range servers {
		g.start(name)
	}
	g.waitWell()
	return g
}

// groups counts the groups that had an address of their own.
var groups atomic.Int32

// ownAddress returns an address of this host for a group alone, where there are
// many, so that a process that is started again finds its port free: elsewhere it
// may have become the near end of somebody's connection.
func ownAddress() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid/250%250, pid%250, 1+groups.Add(1)%250)
}

// start starts a process, again if it ran before.
func (g *group) start(name string) {
	g.t.Helper()
	require.NotContains(g.t, g.running, name, "it runs already")
	ctx, cancel := g.ctx()
	defer cancel()
	at := g.places[name]
	command, args := "server", []string{"--listen", at.listen}
	switch {
	case name == monitorName:
		command, args = "monitor", append(append(args, "--data", filepath.Join(g.dir, "views")), g.flags...)
	case at.advertise != "":
		args = append(args, "--advertise", at.advertise)
		fallthrough
	default:
		args = append(args, "--monitor", g.places[monitorName].reach())
	}
	p, err := cluster.Start(ctx, cluster.Spec{
		Name: name,
		Argv: slices.Concat(at.enter, cluster.Daemon(binary, command, args...)),
		Env:  []string{"GORACE=halt_on_error=1"}, // a race is an end that nobody asked for
		Log:  g.log(name),
	})
	require.NoError(g.t, err)
	g.running[name] = p
	if strings.HasSuffix(at.listen, ":0") {
		at.listen = p.Ready().Addr
	}
}

func (g *group) log(name string) string { return filepath.Join(g.dir, name+".log") }

// process returns a process that runs.
func (g *group) process(name string) *cluster.Process {
	g.t.Helper()
	require.Contains(g.t, g.running, name, "it does not run")
	return g.running[name]
}

// kill kills a process as kill -9 does.
func (g *group) kill(name string) {
	g.t.Helper()
	p := g.process(name)
	delete(g.running, name)
	require.NoError(g.t, p.Kill())
}

// crash kills a server, but not the last one that holds the data (V9). The view
// service goes on while the test looks at it. So the victim is frozen first: if then
// the current view is active, it has heard of no later one and can activate none,
// which is the only way in which it might become the last (V3).
func (g *group) crash(name string) {
	g.t.Helper()
	p := g.process(name)
	g.wait("another server than "+name+" that holds the data", func() bool {
		require.NoError(g.t, p.Freeze())
		st, err := g.status()
		if err == nil && st.View.Viewnum == st.Active && slices.ContainsFunc(st.InSync, func(m tandem.Server) bool {
			return g.nameOf(m) != "" && g.nameOf(m) != name
		}) {
			g.kill(name)
			return true
		}
		require.NoError(g.t, p.Thaw())
		return false
	})
}

// terminate sends a process SIGTERM, and waits until it has left in order.
func (g *group) terminate(name string) {
	g.t.Helper()
	p := g.process(name)
	delete(g.running, name)
	require.NoError(g.t, syscall.Kill(p.Ready().PID, syscall.SIGTERM))
	select {
	case <-p.Done():
		require.NoError(g.t, p.Err(), "%s: SIGTERM", name)
	case <-time.After(patience):
		g.running[name] = p // to be killed
		g.t.Fatalf("%s has not ended on SIGTERM", name)
	}
}

// freeze stops a process, and thaw lets it go on.
func (g *group) freeze(name string) { require.NoError(g.t, g.process(name).Freeze()) }
func (g *group) thaw(name string)   { require.NoError(g.t, g.process(name).Thaw()) }

// stop kills what runs, and prints what is to be known if the test failed.
func (g *group) stop() {
	for name, p := range g.running {
		select {
		case <-p.Done():
			g.t.Errorf("%s ended, and nobody told it to: %v", name, p.Err())
		default:
			require.NoError(g.t, p.Kill())
		}
	}
	if g.t.Failed() {
		for name := range g.places {
			g.t.Logf("the end of the log of %s:\n%s", name, logTail(g.log(name), 40))
		}
	}
}

// logTail returns the last lines of a file.
func logTail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// status returns what the view service knows, and checks that no view is two.
func (g *group) status() (*sysmonitor.Status, error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Second)
	defer cancel()
	st, err := g.monitor.Status(ctx)
	if err != nil {
		return nil, err
	}
	if known, ok := g.views[st.View.Viewnum]; ok {
		require.Equal(g.t, known, st.View, "two views of one number")
	}
	g.views[st.View.Viewnum] = st.View
	return st, nil
}

// roles is who is what in a view, by name.
type roles struct {
	view            uint
	primary, backup string
	idle            []string
}

// roles returns who is what, and whether the group is well: the view is active, its
// members are in sync, and everybody who runs is known to be alive.
func (g *group) roles() (r roles, well bool) {
	g.t.Helper()
	st, err := g.status()
	if err != nil {
		return r, false
	}
	r = roles{view: st.View.Viewnum, primary: g.nameOf(st.View.PrimaryServer()), backup: g.nameOf(st.View.BackupServer())}
	known := 0
	for _, s := range st.Servers {
		name := g.nameOf(s.Server)
		if name == "" || !s.Heard || s.Suspected || s.Leaving {
			continue
		}
		known++
		if name != r.primary && name != r.backup {
			r.idle = append(r.idle, name)
		}
	}
	up := len(g.running)
	if g.running[monitorName] != nil {
		up--
	}
	return r, st.View.Viewnum == st.Active && !st.Down && r.primary != "" && known == up &&
		(r.backup != "" || up == 1)
}

// nameOf returns the name of a server that runs in this very life, else "".
func (g *group) nameOf(s tandem.Server) string {
	for name, p := range g.running {
		r := p.Ready()
		if r.Reach() == s.Addr && r.Incarnation == strconv.FormatUint(s.Incarnation, 16) {
			return name
		}
	}
	return ""
}

// waitWell waits until the group is well, and returns who is what.
func (g *group) waitWell() (r roles) {
	g.t.Helper()
	g.wait("the group to be well", func() (ok bool) {
		r, ok = g.roles()
		return ok
	})
	return r
}

// wait waits until a condition holds. All processes that run must go on to.
func (g *group) wait(what string, cond func() bool) {
	g.t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		for name, p := range g.running {
			if end, ended := p.Ended(); ended {
				delete(g.running, name)
				g.t.Fatalf("%s ended, and nobody told it to: %v", name, end)
			}
		}
		if time.Now().After(deadline) {
			st, err := g.status()
			g.t.Fatalf("waiting for %s: not in %v; the view service: %+v (%v)", what, patience, st, err)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// ctx bounds what must succeed.
func (g *group) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(g.t.Context(), patience)
}

// client returns a client, closed when the test ends.
func (g *group) client(opts ...kvservice.Option) *kvservice.KVClient {
	k := kvservice.MakeKVClient(g.places[monitorName].reach(), opts...)
	g.t.Cleanup(k.Close)
	return k
}

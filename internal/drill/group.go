package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/sysmonitor"
)

// Settings say what processes a Group has.
type Settings struct {
	Binary  string // the tandem binary
	Dir     string // an existing directory that is not Used, for logs and the view service's data
	Servers int    // how many are started at first

	PingInterval time.Duration // zero: the view service's default
	DeadPings    int           // zero: the view service's default
	ServerFlags  []string      // further flags of the servers
}

// Group is a view service and servers, each a process of its own on loopback. It is for
// use by one goroutine.
type Group struct {
	set     Settings
	monitor *cluster.Process
	servers []*Server
	asking  *sysmonitor.Client
}

// Server is a server of a Group, in all its lives. It keeps its port.
type Server struct {
	Name string
	addr string
	proc *cluster.Process // of its present or last life
}

// Process returns the process of its present or last life.
func (s *Server) Process() *cluster.Process { return s.proc }

// patience is how long is waited for what must come, on a busy machine too.
const patience = 60 * time.Second

// monitorData is where in its directory the view service of a group keeps its views.
const monitorData = "monitor-data"

// Used reports whether a directory has been that of a group. No other one can start there:
// its view service would go on from the views of the first.
func Used(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, monitorData))
	return err == nil
}

// Up starts a group, and returns when its processes serve, which is not yet when they
// have found their roles (see Well). On an error nothing is left running. Who got a Group
// must Kill it.
func Up(ctx context.Context, set Settings) (*Group, error) {
	if Used(set.Dir) {
		return nil, fmt.Errorf("starting a group in %s: that holds the views of an earlier one, which waits for servers that are gone", set.Dir)
	}
	g := &Group{set: set}
	flags := []string{"--listen", "127.0.0.1:0", "--data", filepath.Join(set.Dir, monitorData)}
	if set.PingInterval != 0 {
		flags = append(flags, "--ping-interval", set.PingInterval.String())
	}
	if set.DeadPings != 0 {
		flags = append(flags, "--dead-pings", strconv.Itoa(set.DeadPings))
	}
	var err error
	if g.monitor, err = g.start(ctx, "monitor", "monitor", flags...); err != nil {
		return nil, err
	}
	g.asking = sysmonitor.MakeClient("drill", g.Monitor())
	for range set.Servers {
		if _, err := g.Add(ctx); err != nil {
			return nil, errors.Join(err, g.Kill())
		}
	}
	return g, nil
}

// start starts a process.
func (g *Group) start(ctx context.Context, name, command string, flags ...string) (*cluster.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return cluster.Start(ctx, cluster.Spec{
		Name: name, Argv: cluster.Daemon(g.set.Binary, command, flags...), Log: filepath.Join(g.set.Dir, name+".log"),
	})
}

// Monitor returns the address of the view service.
func (g *Group) Monitor() string { return g.monitor.Ready().Addr }

// Add starts one more server.
func (g *Group) Add(ctx context.Context) (*Server, error) {
	s := &Server{Name: fmt.Sprintf("server-%d", 1+len(g.servers)), addr: "127.0.0.1:0"}
	if err := g.Start(ctx, s); err != nil {
		return nil, err
	}
	g.servers = append(g.servers, s)
	return s, nil
}

// Start starts a server's next life, which has nothing.
func (g *Group) Start(ctx context.Context, s *Server) error {
	flags := append([]string{"--listen", s.addr, "--monitor", g.Monitor()}, g.set.ServerFlags...)
	p, err := g.start(ctx, s.Name, "server", flags...)
	if err != nil {
		return err
	}
	s.proc, s.addr = p, p.Ready().Addr
	return nil
}

// Find returns the server at an address, nil if there is none.
func (g *Group) Find(addr string) *Server {
	for _, s := range g.servers {
		if s.addr == addr {
			return s
		}
	}
	return nil
}

// askingMax bounds one question to the view service.
const askingMax = 2 * time.Second

// Ask returns what the view service knows.
func (g *Group) Ask(ctx context.Context) (*sysmonitor.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askingMax)
	defer cancel()
	st, err := g.asking.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the view service: %w", err)
	}
	return st, nil
}

// lookPause is the time between two looks at what is waited for.
const lookPause = 4 * time.Millisecond

// Await asks the view service until what it knows meets a condition, which is returned.
func (g *Group) Await(ctx context.Context, what string, cond func(*sysmonitor.Status) bool) (*sysmonitor.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not come in %v", patience))
	defer cancel()
	tick := time.NewTicker(lookPause)
	defer tick.Stop()
	for {
		st, err := g.Ask(ctx)
		if err == nil && cond(st) {
			return st, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for %s: %w", what, context.Cause(ctx)), err)
		}
	}
}

// Well waits until a view is active that has a backup, which is then in sync (I8).
func (g *Group) Well(ctx context.Context) (*sysmonitor.Status, error) {
	return g.Await(ctx, "a backup in sync", inSync)
}

func inSync(st *sysmonitor.Status) bool {
	return st.View.Backup != "" && st.Active == st.View.Viewnum
}

// Kill ends all processes at once.
func (g *Group) Kill() error {
	if g.asking != nil {
		g.asking.Close()
	}
	var errs []error
	for _, s := range g.servers {
		if s.proc != nil {
			errs = append(errs, s.proc.Kill())
		}
	}
	return errors.Join(append(errs, g.monitor.Kill())...)
}

package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/internal/paths"
	"github.com/tandemkv/tandem/sysmonitor"
)

// patience is how long is waited for what must come, on a busy machine too.
const patience = 60 * time.Second

// port ends the addresses by which parties are known, which nobody can dial: every
// connection takes a path. See short.
const port = ":1"

// short returns the name of a party without the port.
func short(addr string) string { return strings.TrimSuffix(addr, port) }

// party is the view service or a server. It is owned by the goroutine of a run.
type party struct {
	addr    string // by which others know it
	spec    cluster.Spec
	proc    *cluster.Process // of its present or last life
	ending  bool             // it was killed, or asked to leave, in this life
	leaving bool             // it was asked to leave, and has not ended
	frozen  bool
}

// runs reports whether the party's process is there, to the best of our knowledge.
func (p *party) runs() bool {
	if p.proc == nil {
		return false
	}
	_, ended := p.proc.Ended()
	return !ended
}

// is reports whether the party is this very life of a server, and will be.
func (p *party) is(s tandem.Server) bool {
	n, err := strconv.ParseUint(p.proc.Ready().Incarnation, 16, 64)
	return err == nil && n == s.Incarnation && p.addr == s.Addr && p.runs() && !p.ending
}

func (p *party) String() string {
	if p.proc == nil {
		return short(p.addr)
	}
	return fmt.Sprintf("%s, process %d", short(p.addr), p.proc.Local())
}

// group is a cluster of processes. It is owned by the goroutine of a run.
type group struct {
	network *paths.Network
	monitor *party
	servers []*party
	asking  *sysmonitor.Client // asks the present life of the view service, not over the network
}

// newGroup makes a cluster of which nothing runs yet.
func newGroup(cfg *Config) (*group, error) {
	g := &group{network: paths.New(), monitor: &party{addr: "monitor" + port}}
	data := filepath.Join(cfg.Dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		return g, fmt.Errorf("make a directory for the view service's data: %w", err)
	}
	g.monitor.spec = spec(cfg, g.monitor, "monitor", "--data", data)
	for i := range cfg.Servers {
		g.servers = append(g.servers, &party{addr: fmt.Sprintf("server-%d%s", 1+i, port)})
	}
	for _, s := range g.servers {
		args := []string{"--advertise", s.addr, "--monitor", g.monitor.addr}
		for _, other := range append([]*party{g.monitor}, g.servers...) {
			if other == s {
				continue
			}
			via, err := g.network.Path(s.addr, other.addr)
			if err != nil {
				return g, err
			}
			args = append(args, "--route", other.addr+"="+via)
		}
		s.spec = spec(cfg, s, "server", args...)
	}
	return g, nil
}

// spec returns what a party's process is started with. It gets another port in each
// life, so that nobody can have taken it.
func spec(cfg *Config, p *party, command string, args ...string) cluster.Spec {
	name := short(p.addr)
	return cluster.Spec{
		Name: name,
		Argv: cluster.Daemon(cfg.Binary, command, append([]string{"--listen", "127.0.0.1:0"}, args...)...),
		Log:  filepath.Join(cfg.Dir, name+".log"),
	}
}

// start starts a party that does not run.
func (g *group) start(ctx context.Context, p *party) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	proc, err := cluster.Start(ctx, p.spec)
	if err != nil {
		return err
	}
	p.proc, p.ending, p.leaving, p.frozen = proc, false, false, false
	g.network.Target(p.addr, proc.Ready().Addr)
	if p == g.monitor {
		g.stopAsking()
		g.asking = sysmonitor.MakeClient("torture", proc.Ready().Addr)
	}
	return nil
}

// kill ends a party as kill -9 does.
func (g *group) kill(p *party) error {
	p.ending = true
	g.network.Target(p.addr, "")
	return p.proc.Kill()
}

func (g *group) stopAsking() {
	if g.asking != nil {
		g.asking.Close()
		g.asking = nil
	}
}

// stop ends all that runs. When it returns nothing is left of the cluster.
func (g *group) stop() error {
	g.stopAsking()
	var errs []error
	for _, p := range g.all() {
		if p.proc != nil {
			p.ending = true
			errs = append(errs, p.proc.Kill())
		}
	}
	g.network.Close()
	return errors.Join(errs...)
}

func (g *group) all() []*party { return append([]*party{g.monitor}, g.servers...) }

// find returns the server that is known by an address, nil if there is none.
func (g *group) find(addr string) *party {
	i := slices.IndexFunc(g.servers, func(p *party) bool { return p.addr == addr })
	if i < 0 {
		return nil
	}
	return g.servers[i]
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/drill"
)

// leaseFlags has a primary read without asking its backup (rule R3).
var leaseFlags = []string{"--lease", "300ms", "--grace", "301ms"}

// tandemPair is a view service, a primary and a backup, each a process, and how clients
// see them.
type tandemPair struct {
	*drill.Group
	servers []*drill.Server
	systems []*bench.Tandem // to be closed with it
}

// startTandem starts a pair, and returns when the backup is in sync.
func startTandem(ctx context.Context, n *nursery, binary, name string, flags ...string) (*tandemPair, error) {
	dir, err := n.place(name)
	if err != nil {
		return nil, err
	}
	g, err := drill.Up(ctx, drill.Settings{Binary: binary, Dir: dir, ServerFlags: flags})
	if err != nil {
		return nil, err
	}
	p := &tandemPair{Group: g}
	for range 2 {
		s, err := g.Add(ctx)
		if err != nil {
			return nil, errors.Join(err, p.kill())
		}
		p.servers = append(p.servers, s)
	}
	if _, err := p.Well(ctx); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// members returns the primary and the backup.
func (p *tandemPair) members(ctx context.Context) (primary, backup *drill.Server, err error) {
	st, err := p.Ask(ctx)
	if err != nil {
		return nil, nil, err
	}
	primary, backup = p.Find(st.View.Primary), p.Find(st.View.Backup)
	if primary == nil || backup == nil {
		return nil, nil, fmt.Errorf("view %d is of %q and %q, which are not both servers here", st.View.Viewnum, st.View.Primary, st.View.Backup)
	}
	return primary, backup, nil
}

// system returns the pair as its clients see it.
func (p *tandemPair) system(c bench.Connections) (bench.System, error) {
	t, err := bench.NewTandem(p.Monitor(), c)
	if err != nil {
		return nil, err
	}
	p.systems = append(p.systems, t)
	return t, nil
}

// pids returns the processes of the servers.
func (p *tandemPair) pids() []int {
	var all []int
	for _, s := range p.servers {
		all = append(all, s.Process().Local())
	}
	return all
}

// kill closes what systems hold, and ends all processes.
func (p *tandemPair) kill() error {
	for _, s := range p.systems {
		s.Close()
	}
	return p.Kill()
}

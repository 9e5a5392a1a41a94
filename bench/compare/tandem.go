package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// leaseFlags has a primary read without asking its backup (rule R3).
var leaseFlags = []string{"--lease", "300ms", "--grace", "301ms"}

// tandemServer is one server's process.
type tandemServer struct {
	spec cluster.Spec
	proc *cluster.Process
}

// tandemPair is a view service, a primary and a backup, each a process.
type tandemPair struct {
	name    string
	monitor *cluster.Process
	servers []*tandemServer
	asking  *sysmonitor.Client
	systems []*bench.Tandem // to be closed with it
}

// startTandem starts a pair, and returns when the backup is in sync.
func startTandem(ctx context.Context, n *nursery, binary, name string, flags ...string) (*tandemPair, error) {
	spec := func(process, command string, args ...string) cluster.Spec {
		process = name + "-" + process
		return cluster.Spec{
			Name: process, Argv: cluster.Daemon(binary, command, args...), Log: filepath.Join(n.dir, process+".log"),
		}
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	p := &tandemPair{name: name}
	p.monitor, err = cluster.Start(ctx, spec("monitor", "monitor", "--listen", "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	p.asking = sysmonitor.MakeClient("", p.addr())
	for i, port := range ports {
		s := &tandemServer{spec: spec(fmt.Sprintf("server-%d", 1+i), "server",
			append([]string{"--listen", loopback(port), "--monitor", p.addr()}, flags...)...)}
		p.servers = append(p.servers, s)
		if s.proc, err = cluster.Start(ctx, s.spec); err != nil {
			return nil, errors.Join(err, p.kill())
		}
		// The one that is there first is the primary.
		if err := p.inSync(ctx, 1+i); err != nil {
			return nil, errors.Join(err, p.kill())
		}
	}
	return p, nil
}

// addr returns where the view service is.
func (p *tandemPair) addr() string { return p.monitor.Ready().Reach() }

// inSync waits until so many servers hold everything.
func (p *tandemPair) inSync(ctx context.Context, servers int) error {
	return await(ctx, fmt.Sprintf("%d servers of %s to be in sync", servers, p.name), func(ctx context.Context) error {
		status, _, err := p.status(ctx)
		switch {
		case err != nil:
			return err
		case !status.Active:
			return fmt.Errorf("view %d is not active", status.View.Viewnum)
		case servers > 1 && !status.BackupInSync:
			return fmt.Errorf("the backup of view %d is not in sync", status.View.Viewnum)
		}
		return nil
	})
}

// status returns the primary, and what it says of itself.
func (p *tandemPair) status(ctx context.Context) (kvservice.Status, *tandemServer, error) {
	view, ok := p.asking.Get()
	if !ok {
		return kvservice.Status{}, nil, errors.New("the view service did not answer")
	}
	for _, s := range p.servers {
		if s.proc == nil || s.proc.Ready().Reach() != view.Primary {
			continue
		}
		status, err := kvservice.ReadStatus(ctx, view.Primary)
		if err != nil {
			return status, nil, err
		}
		if status.Role != "primary" {
			return status, nil, fmt.Errorf("%s is %s in view %d", view.Primary, status.Role, status.View.Viewnum)
		}
		return status, s, nil
	}
	return kvservice.Status{}, nil, fmt.Errorf("the primary of view %d is %q", view.Viewnum, view.Primary)
}

// system returns the pair as its clients see it.
func (p *tandemPair) system(c bench.Connections) (bench.System, error) {
	t, err := bench.NewTandem(p.addr(), c)
	if err != nil {
		return nil, err
	}
	p.systems = append(p.systems, t)
	return t, nil
}

// kill closes what systems hold, and ends all processes.
func (p *tandemPair) kill() error {
	for _, s := range p.systems {
		s.Close()
	}
	p.asking.Close()
	var errs []error
	for _, s := range p.servers {
		if s.proc != nil {
			errs = append(errs, s.proc.Kill())
		}
	}
	return errors.Join(append(errs, p.monitor.Kill())...)
}

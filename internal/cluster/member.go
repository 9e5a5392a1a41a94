package cluster

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tandemkv/tandem"
)

// pastMax bounds how many lives of a member that have ended are known by name.
const pastMax = 16

// startPatience bounds the start of one process, over a slow network too.
const startPatience = 30 * time.Second

// member is a part of the cluster that a process plays, in one life after the
// other.
type member struct {
	name, command string // the command of the binary
	host          string // as the configuration has it
	ip            string
	port          int // 0 until the first life has chosen one
	local         bool
	flags         []string      // beside the address
	gone          chan struct{} // closed when nothing keeps it any more

	// Guarded by the supervisor's mu.
	process *Process        // nil while none runs
	leaving bool            // the process was asked to leave
	ending  bool            // the process was asked to end at once
	past    []tandem.Server // lives of a server that have ended, the oldest first
}

// newMember returns the member that runs at a place.
func newMember(ctx context.Context, name, command string, at Place) (*member, error) {
	ip, local, err := resolve(ctx, at.Host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := &member{name: name, command: command, host: at.Host, ip: ip, port: at.Port, local: local, gone: make(chan struct{})}
	return m, nil
}

// The commands of the binary.
const (
	monitorCommand = "monitor"
	serverCommand  = "server"
)

// reach is how others reach the member.
func (m *member) reach() string { return net.JoinHostPort(m.host, strconv.Itoa(m.port)) }

// life returns that of its lives which a process is.
func (m *member) life(p *Process) life {
	l := life{name: m.name, pid: p.Ready().PID}
	if !m.local {
		l.host = m.host
	}
	return l
}

// spec returns what to start.
func (m *member) spec(s *Settings, remote Remote) (Spec, error) {
	binary := s.Binary
	if !m.local {
		binary = remote.Binary
	}
	flags := append([]string{"--listen", net.JoinHostPort(m.ip, strconv.Itoa(m.port))}, m.flags...)
	if m.command == serverCommand && m.host != m.ip {
		flags = append(flags, "--advertise", m.reach()) // a name stays what it is to others
	}
	argv := Daemon(binary, m.command, flags...)
	if !m.local {
		t, err := ParseTemplate(remote.Command)
		if err != nil {
			return Spec{}, fmt.Errorf("command %q: %w", remote.Command, err)
		}
		argv = t.Expand(m.host, m.name, argv)
	}
	return Spec{Name: m.name, Argv: argv, Log: filepath.Join(s.RunDir, m.name+".log")}, nil
}

// start starts a life of the member. The first one decides on the port.
func (m *member) start(ctx context.Context, s *Settings, remote Remote) (*Process, error) {
	spec, err := m.spec(s, remote)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("no sign of it for %v", startPatience))
	defer cancel()
	p, err := Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	if m.port == 0 {
		if m.port, err = portOf(p.Ready().Addr); err != nil {
			p.Kill()
			return nil, fmt.Errorf("%s listens on %q: %w", m.name, p.Ready().Addr, err)
		}
	}
	return p, nil
}

func portOf(addr string) (int, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

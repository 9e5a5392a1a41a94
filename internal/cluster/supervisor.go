package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/pause"
)

// Settings are what a supervisor needs beside the cluster's configuration.
type Settings struct {
	Binary string // the tandem binary, on this host
	// RunDir is the directory for the logs, one file for each member, and the
	// monitor's data unless the configuration has another place. It must be there.
	RunDir string

	PingInterval time.Duration // zero: the monitor's default
	DeadPings    int           // zero: the monitor's default
	LogLevel     string        // of all processes; empty: their default

	// Notify gets every event, one at a time and in order; it must not wait for
	// the supervisor. Nil: nobody wants them.
	Notify func(Event)
}

// Supervisor runs a cluster: it starts its processes, starts those again that
// end, and tells what happens. Its methods are safe for concurrent use.
type Supervisor struct {
	cfg     *Config
	set     Settings
	monitor *member
	servers []*member

	starting context.Context // ends when nothing is to be started any more
	halt     context.CancelFunc
	keepers  sync.WaitGroup
	watcher  *watcher

	telling sync.Mutex // serialises Notify

	mu       sync.Mutex
	stopping bool
	lives    map[tandem.Server]life // of servers: those that run, and the past of each
}

// Up starts the processes of a cluster, the monitor first, and returns when all
// of them serve, which is not yet when they have found their roles (see the
// events). The context bounds the start alone. On an error nothing is left
// running; it names the process and has the end of its log. Who got a Supervisor
// must end it with Stop or Kill.
func Up(ctx context.Context, cfg *Config, set Settings) (*Supervisor, error) {
	s := &Supervisor{cfg: cfg, set: set, lives: make(map[tandem.Server]life)}
	if err := s.plan(ctx); err != nil {
		return nil, err
	}
	s.starting, s.halt = context.WithCancel(context.Background())
	if err := s.begin(ctx, s.monitor); err != nil {
		s.Kill()
		return nil, err
	}
	monitor := s.MonitorAddr()
	s.watcher = watch(s, monitor)
	for _, m := range s.servers {
		m.flags = append(m.flags, "--monitor", monitor)
		if err := s.begin(ctx, m); err != nil {
			s.Kill()
			return nil, err
		}
	}
	return s, nil
}

// plan decides what is to be started, and where.
func (s *Supervisor) plan(ctx context.Context) (err error) {
	if err := s.cfg.check(); err != nil {
		return err
	}
	if s.monitor, err = newMember(ctx, monitorCommand, monitorCommand, s.cfg.Monitor); err != nil {
		return err
	}
	taken := map[string]string{}
	for i, at := range s.cfg.Servers {
		m, err := newMember(ctx, fmt.Sprintf("server-%d", i+1), serverCommand, at)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, m)
	}
	for _, m := range s.members() {
		where := fmt.Sprintf("%s port %d", m.ip, m.port)
		if by := taken[where]; by != "" && m.port != 0 {
			return fmt.Errorf("%s: %s with port %d is where %s is", m.name, m.host, m.port, by)
		}
		taken[where] = m.name
		if s.set.LogLevel != "" {
			m.flags = append(m.flags, "--log-level", s.set.LogLevel)
		}
	}
	return s.planMonitor()
}

// planMonitor completes the monitor's flags.
func (s *Supervisor) planMonitor() error {
	m, data := s.monitor, s.cfg.Data
	if data == "" && m.local {
		data = filepath.Join(s.set.RunDir, "monitor-data")
		if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s holds the views of an earlier run, whose servers took their data with them (%v): name another run folder", data, err)
		}
	}
	if data != "" {
		m.flags = append(m.flags, "--data", data)
	} else {
		s.tell(Event{Kind: Note, Name: m.name, Text: m.name + " keeps its views in memory only: [monitor] has no data, and no run folder on " + m.host})
	}
	if s.set.PingInterval != 0 {
		m.flags = append(m.flags, "--ping-interval", s.set.PingInterval.String())
	}
	if s.set.DeadPings != 0 {
		m.flags = append(m.flags, "--dead-pings", strconv.Itoa(s.set.DeadPings))
	}
	return nil
}

// members returns all members, the monitor first.
func (s *Supervisor) members() []*member { return append([]*member{s.monitor}, s.servers...) }

// begin starts a member's first life, and keeps it from then on.
func (s *Supervisor) begin(ctx context.Context, m *member) error {
	p, err := m.start(ctx, &s.set, s.cfg.Remote)
	if err != nil {
		return err
	}
	s.enter(m, p) // nothing stops it yet: Up has not returned
	s.keepers.Go(func() {
		defer close(m.gone)
		s.keep(m, p)
	})
	return nil
}

// keep waits for the end of a member's life and begins the next, until the
// supervisor stops.
func (s *Supervisor) keep(m *member, p *Process) {
	var pause backoff
	for p != nil {
		began := time.Now()
		<-p.Done()
		s.leave(m, p)
		lived := time.Since(began)
		for p = nil; p == nil; {
			delay := pause.next(lived)
			lived = 0
			if !s.rest(m, delay) {
				return
			}
			p = s.again(m)
		}
	}
}

// rest waits before a member is started again, and reports false if that is not
// to be.
func (s *Supervisor) rest(m *member, delay time.Duration) bool {
	if s.starting.Err() != nil {
		return false
	}
	s.tell(Event{Kind: Restarting, Name: m.name, Text: fmt.Sprintf("%s is started again in %v", m.name, delay)})
	return pause.For(s.starting, delay) == nil
}

// again starts a member's next life; nil if that failed or is not to be.
func (s *Supervisor) again(m *member) *Process {
	p, err := m.start(s.starting, &s.set, s.cfg.Remote)
	switch {
	case err == nil && s.enter(m, p):
		return p
	case err == nil: // it came too late
		if err := p.Kill(); err != nil {
			s.tell(Event{Kind: Note, Name: m.name, Text: err.Error()})
		}
	case s.starting.Err() == nil:
		s.tell(Event{Kind: Failed, Name: m.name, Text: err.Error()})
	}
	return nil
}

// enter notes and tells that a member has a process, unless the supervisor stops.
func (s *Supervisor) enter(m *member, p *Process) bool {
	l, ready := m.life(p), p.Ready()
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return false
	}
	m.process = p
	if server, ok := serverOf(ready); ok {
		s.lives[server] = l
	}
	s.mu.Unlock()
	e := l.event(Started, l.title()+" listens on "+ready.Reach())
	e.Addr = ready.Reach()
	s.tell(e)
	return true
}

// leave notes and tells that a member's process has ended.
func (s *Supervisor) leave(m *member, p *Process) {
	s.mu.Lock()
	asked, quit := m.leaving, m.ending
	m.process = nil
	l := m.life(p)
	l.ended = true
	if server, ok := serverOf(p.Ready()); ok {
		s.lives[server] = l
		m.past = append(m.past, server)
		if len(m.past) > pastMax {
			delete(s.lives, m.past[0])
			m.past = m.past[1:]
		}
	}
	s.mu.Unlock()
	end, _ := p.Ended()
	how := end.String()
	switch {
	case asked && end.OK():
		how = "left in order"
	case quit && !end.OK() && end.Signal == "":
		how = "ended, as it was told"
	case !end.OK() && end.Signal == "" && len(end.Tail) > 0:
		how += ": " + end.Tail[len(end.Tail)-1]
	}
	e := l.event(Ended, l.title()+": "+how)
	e.Addr = p.Ready().Reach()
	s.tell(e)
}

// serverOf returns the server that a process is, and false for a monitor.
func serverOf(r Ready) (tandem.Server, bool) {
	incarnation, err := strconv.ParseUint(r.Incarnation, 16, 64)
	return tandem.Server{Addr: r.Reach(), Incarnation: incarnation}, err == nil
}

// tell passes an event on.
func (s *Supervisor) tell(e Event) {
	if s.set.Notify == nil {
		return
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	e.Time = time.Now()
	s.set.Notify(e)
}

// MonitorAddr returns the address by which the view service is reached.
func (s *Supervisor) MonitorAddr() string { return s.monitor.reach() }

// Member is a process of the cluster as it is now.
type Member struct {
	Name  string
	Ready Ready // zero while none runs
}

// Servers returns the servers in the order of their names.
func (s *Supervisor) Servers() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Member
	for _, m := range s.servers {
		l := Member{Name: m.name}
		if m.process != nil {
			l.Ready = m.process.Ready()
		}
		list = append(list, l)
	}
	return list
}

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor"
)

const (
	// leavePatience bounds the departure of one server; quitPatience the end of one
	// that was told to end at once.
	leavePatience = 10 * time.Second
	quitPatience  = 2 * time.Second
)

// Stop ends the cluster in order: the servers leave one after the other, the idle
// ones first, then the backup; the primary, which has nobody left to hand over
// to, is ended at once, and the monitor comes last. What does not leave in time is
// killed. When the context ends, all that is left is killed. When Stop returns, no
// process and no goroutine of the cluster is left, and there are no more events.
func (s *Supervisor) Stop(ctx context.Context) {
	defer s.Kill()
	s.close()
	order, why := s.departures(ctx)
	if why != "" && len(order) > 0 {
		s.tell(Event{Kind: Note, Text: "nobody can hand over anything: " + why})
	}
	for i, d := range order {
		if ctx.Err() != nil {
			return
		}
		last := i == len(order)-1
		if last {
			s.watcher.stop() // the rest is no news: the group is down, the monitor gone
		}
		s.ask(d.member, d.process, d.role, why == "" && !last)
		wait(ctx, d.member.gone, leavePatience)
		if ctx.Err() == nil {
			s.kill(d.member) // who did not leave in time
		}
	}
	if p := s.process(s.monitor); p != nil && ctx.Err() == nil {
		s.ask(s.monitor, p, "", true)
		wait(ctx, s.monitor.gone, leavePatience)
	}
}

// Kill ends all processes at once. Otherwise it is as Stop, and may be called
// while that is under way, to cut it short, and after it.
func (s *Supervisor) Kill() {
	s.close()
	if s.watcher != nil {
		s.watcher.stop()
	}
	var ends sync.WaitGroup
	for _, m := range s.members() {
		ends.Go(func() { s.kill(m) })
	}
	ends.Wait()
	s.keepers.Wait()
}

// close sees to it that nothing is started any more.
func (s *Supervisor) close() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.halt()
}

// process returns a member's process, nil if none runs.
func (s *Supervisor) process(m *member) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.process
}

// ask asks a process to leave, or to end at once, and says so. One that cannot be
// asked has ended, or will be killed.
func (s *Supervisor) ask(m *member, p *Process, role string, leave bool) {
	l := m.life(p)
	who := l.title()
	if role != "" {
		who += ", " + role + ","
	}
	text, order := who+" is asked to leave", p.Leave
	if !leave {
		text, order = who+" has nobody to hand over to, and is ended", p.Quit
	}
	s.mu.Lock()
	m.leaving, m.ending = leave, !leave
	s.mu.Unlock()
	s.tell(l.event(Leaving, text))
	if err := order(); err != nil {
		s.tell(l.event(Note, err.Error()))
	}
}

// kill ends a member's process, if one is left: at its own hands if it can, since
// only then it is sure that one on another host has gone, too.
func (s *Supervisor) kill(m *member) {
	p := s.process(m)
	if p == nil {
		return
	}
	s.mu.Lock()
	m.ending = true
	s.mu.Unlock()
	if p.Quit() == nil {
		wait(context.Background(), p.Done(), quitPatience)
	}
	if err := p.Kill(); err != nil {
		s.tell(m.life(p).event(Note, err.Error()))
		return
	}
	<-m.gone
}

// wait waits for a channel to be closed, as long as that may take.
func wait(ctx context.Context, closed <-chan struct{}, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// departure is a server that is to leave, and its role.
type departure struct {
	member  *member
	process *Process
	role    string // empty: unknown
}

// departures returns the servers that run, in the order in which they are to
// leave. why says why no role can be handed over, empty if it can.
func (s *Supervisor) departures(ctx context.Context) (order []departure, why string) {
	ctx, cancel := context.WithTimeout(ctx, quitPatience)
	defer cancel()
	st, err := s.watcher.client.Status(ctx)
	switch {
	case err != nil:
		st, why = new(sysmonitor.Status), err.Error()
	case st.Down:
		why = st.Why
	}
	for _, m := range s.servers {
		p := s.process(m)
		if p == nil {
			continue
		}
		role := "idle"
		server, _ := serverOf(p.Ready()) // this very life: one that was started again has no role
		switch {
		case err != nil:
			role = ""
		case server == st.View.PrimaryServer():
			role = "primary"
		case server == st.View.BackupServer():
			role = "backup"
		}
		order = append(order, departure{m, p, role})
	}
	turn := []string{"idle", "backup", "primary"}
	slices.SortStableFunc(order, func(a, b departure) int {
		return cmp.Compare(slices.Index(turn, a.role), slices.Index(turn, b.role))
	})
	return order, s.rename(why)
}

// lifeOf returns the life that a server is, the zero one if it was not started
// here.
func (s *Supervisor) lifeOf(server tandem.Server) life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lives[server]
}

// titleOf returns how people call a server: by its name and process id if it is a
// life that was started here.
func (s *Supervisor) titleOf(server tandem.Server) string {
	if l := s.lifeOf(server); l.name != "" {
		return l.title()
	}
	return fmt.Sprintf("%s/%x", server.Addr, server.Incarnation)
}

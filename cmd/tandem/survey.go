package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// survey is what a view service and the servers that it knows said, each of itself and
// in about one moment.
type survey struct {
	asked      string             // the address of the view service, or several
	monitor    *sysmonitor.Status // nil: none answered
	monitorErr error
	servers    []surveyed
}

// surveyed is one server.
type surveyed struct {
	addr  string
	known *sysmonitor.ServerStatus // to the view service; nil if that did not answer
	told  *kvservice.Status        // by itself; nil: it did not answer
	err   error
}

// surveyor asks, any number of times.
type surveyor struct {
	asked   string
	monitor *sysmonitor.Client
	opts    []kvservice.Option
	bound   time.Duration // for the view service; zero for ever
	known   []string      // the servers that the view service named last
}

// serverBound is how long a server has to tell of itself: one that is dead is told as
// such, and not waited for.
const serverBound = 2 * time.Second

// ask asks the view service, and then all servers at once. If the primary did not
// answer, and meanwhile there is another view, it asks once more.
func (s *surveyor) ask(ctx context.Context) *survey {
	v := s.askOnce(ctx)
	if p := v.of(rolePrimary); v.monitor == nil || p == nil || p.told != nil {
		return v
	}
	if now, err := s.askMonitor(ctx); err == nil && now.View.Viewnum != v.monitor.View.Viewnum {
		return s.askOnce(ctx)
	}
	return v
}

func (s *surveyor) askOnce(ctx context.Context) *survey {
	v := &survey{asked: s.asked}
	v.monitor, v.monitorErr = s.askMonitor(ctx)
	if v.monitor != nil {
		s.known = s.known[:0]
		for _, k := range v.monitor.Servers {
			s.known = append(s.known, k.Addr)
			v.servers = append(v.servers, surveyed{addr: k.Addr, known: &k})
		}
	} else {
		for _, addr := range s.known {
			v.servers = append(v.servers, surveyed{addr: addr})
		}
	}
	var asking sync.WaitGroup
	for i := range v.servers {
		asking.Go(func() { s.askServer(ctx, &v.servers[i]) })
	}
	asking.Wait()
	slices.SortStableFunc(v.servers, func(a, b surveyed) int { return v.rank(a) - v.rank(b) })
	return v
}

func (s *surveyor) askMonitor(ctx context.Context) (*sysmonitor.Status, error) {
	if s.bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.bound)
		defer cancel()
	}
	return s.monitor.Status(ctx)
}

func (s *surveyor) askServer(ctx context.Context, server *surveyed) {
	ctx, cancel := context.WithTimeout(ctx, serverBound)
	defer cancel()
	st, err := kvservice.ReadStatus(ctx, server.addr, s.opts...)
	if err != nil {
		server.err = err
		return
	}
	server.told = &st
}

// reasonOf returns why a server did not answer, without what is told beside it: whom
// and how it was asked.
func reasonOf(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("nothing came for %v", serverBound)
	}
	if op := new(net.OpError); errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// rank is where a server stands in a list: the primary first, then the backup.
func (v *survey) rank(s surveyed) int {
	return slices.Index([]string{rolePrimary, roleBackup, roleIdle}, v.role(&s))
}

// The roles.
const (
	rolePrimary = "primary"
	roleBackup  = "backup"
	roleIdle    = "idle"
)

// role returns what the view service says that a server is, or if that is silent, what
// the server itself does. One that is in no view is idle.
func (v *survey) role(s *surveyed) string {
	switch {
	case v.monitor == nil && s.told != nil && s.told.Role != "":
		return s.told.Role
	case v.monitor == nil:
		return roleIdle
	case s.known.Server == v.monitor.View.PrimaryServer():
		return rolePrimary
	case s.known.Server == v.monitor.View.BackupServer():
		return roleBackup
	}
	return roleIdle
}

// of returns the server that has a role; nil if none has.
func (v *survey) of(role string) *surveyed {
	for i := range v.servers {
		if v.role(&v.servers[i]) == role {
			return &v.servers[i]
		}
	}
	return nil
}

// The states of a group.
const (
	serving = "serving" // its primary may answer
	waiting = "waiting" // it does not serve at this moment, and will by itself
	down    = "down"    // it does not serve, and will not unless a server comes back
	unclear = "unknown" // nobody who could tell has answered
)

// state returns the state of the group, and what it waits for if it does not serve.
func (v *survey) state() (state, why string) {
	if v.monitor == nil {
		return unclear, "no view service answers: " + v.monitorErr.Error()
	}
	if v.monitor.Down {
		return down, v.monitor.Why
	}
	p := v.of(rolePrimary)
	switch {
	case p == nil || v.monitor.View.Viewnum == 0:
		return waiting, v.monitor.Why
	case p.told == nil:
		return unclear, "the primary does not answer here: " + reasonOf(p.err)
	case p.told.Server != p.known.Server:
		return waiting, "the primary has restarted, and the view service has not heard of it yet"
	case p.told.Authority != authorityNone:
		return serving, ""
	case v.monitor.Why != "":
		return waiting, v.monitor.Why
	}
	return waiting, "the primary has no authority to commit yet"
}

// authorityNone is how a server calls that it may commit nothing.
const authorityNone = "none"

// awaited returns the servers whose return would bring a group up that is down.
func (v *survey) awaited() []sysmonitor.Server {
	if v.monitor == nil || !v.monitor.Down || v.monitor.LostMemory {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.monitor.InSync), func(m sysmonitor.Server) bool {
		return slices.ContainsFunc(v.monitor.Servers, func(k sysmonitor.ServerStatus) bool {
			return k.Server == m && k.Heard && !k.Suspected
		})
	})
}

package kvservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/sysmonitor"
)

const (
	// maxPings bounds the pings under way: a view service that does not answer
	// is not asked ever more often.
	maxPings = 4
	// viewWait is how long a MonitorServer.Get waits for a newer view. The view
	// service bounds it, too.
	viewWait = 10 * time.Second
)

// ping sends a ping of the core's, and brings it the answer.
func (l *loop) ping(args tandem.PingArgs) {
	s := l.server
	if s.pings.Load() >= maxPings {
		return // the next tick's says the same and more
	}
	s.pings.Add(1)
	s.hearing.pinged()
	timeout := sysmonitor.DeadPings * l.interval()
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, timeout)
		defer cancel()
		reply, err := s.monitor.PingServer(ctx, args)
		s.pings.Add(-1) // at once: what waits for the core must not hold up the next
		s.monitorHeard(args.Cluster, err)
		if err != nil {
			return
		}
		s.postNews(func(l *loop) {
			l.follow(reply.PingInterval)
			l.core.PingReplied(args.Seq, *reply)
		})
	})
}

// monitorHeard notes what came of a ping, and says so when that changes: a server
// that hears of no view looks idle, whatever the reason. Cluster is what the ping
// said of itself.
func (s *KVServer) monitorHeard(cluster uint64, err error) {
	if s.ctx.Err() != nil {
		return
	}
	silent, before := s.hearing.answer(err)
	kind := troubleOf(err)
	if kind == troubleOf(before) {
		return
	}
	switch kind {
	case noTrouble:
		s.log.Info("the view service answers again", "silent", silent.Round(time.Millisecond))
	case anotherCluster:
		s.log.Warn("the view service is of another cluster: this server takes no part in it, and must be started anew to join, empty; save first what is wanted of its data",
			"cluster", fmt.Sprintf("%x", cluster), "rule", "V0", "err", err)
	case lostMemory:
		s.log.Warn("the view service refuses to name a view: it has lost its memory, and this server knows a later one", "rule", "V0", "err", err)
	case silentMonitor:
		s.log.Warn("the view service does not answer", "err", err)
	}
}

// trouble is what may be wrong with the view service.
type trouble int

const (
	noTrouble trouble = iota
	silentMonitor
	anotherCluster
	lostMemory
)

func troubleOf(err error) trouble {
	switch {
	case err == nil:
		return noTrouble
	case errors.Is(err, tandem.ErrWrongCluster):
		return anotherCluster
	case errors.Is(err, tandem.ErrLostMemory):
		return lostMemory
	}
	return silentMonitor
}

func (l *loop) interval() time.Duration { return l.tick * ticksPerPing }

// follow keeps the interval that the view service announces.
func (l *loop) follow(interval time.Duration) {
	if tick := interval / ticksPerPing; tick > 0 {
		l.tick = tick
	}
}

// watch waits for news of views, so that a server hears of one in a round trip
// and not with its next ping.
func (s *KVServer) watch() {
	var held uint
	for {
		began := time.Now()
		ctx, cancel := context.WithTimeout(s.ctx, viewWait+stallTimeout)
		reply, err := s.monitor.Wait(ctx, tandem.ViewArgs{Wait: viewWait, Viewnum: held})
		cancel()
		if err == nil && (reply.Err == "" || reply.Err == tandem.OK) {
			// What the core refuses must not be asked for again at once, so this
			// goes by what was heard, not by what was adopted.
			news := reply.View.Viewnum != held
			held = reply.View.Viewnum
			if !s.postNews(func(l *loop) { l.core.ViewHeard(reply.View, reply.Active) }) {
				return
			}
			if news || time.Since(began) >= sysmonitor.PingInterval {
				continue
			}
			// A view service that does not wait is not to be asked without pause.
		}
		if errors.Is(err, rpcnet.ErrConnLost) {
			// The view service takes that for a hint that this server is gone (rule V7).
			// The next ping may be an interval away, which is half of the time that the
			// server is given.
			s.postNews(func(l *loop) { l.core.Ping() })
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(sysmonitor.PingInterval):
		}
	}
}

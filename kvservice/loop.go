package kvservice

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
	"github.com/tandemkv/tandem/sysmonitor"
)

const (
	ticksPerPing = 10   // of the core's ticks, in a ping interval
	inboxSize    = 4096 // events that wait for the core; more wait at their connections
	maxStep      = 512  // events in one batch, so that effects do not wait for long
)

// event is what the core is stepped with: a closure over it, run on the core's
// goroutine.
type event func(*loop)

// loop is what the core's goroutine owns.
type loop struct {
	server *KVServer
	core   *replica.Replica
	tick   time.Duration

	started time.Time

	waiters map[uint64]*waiter // by request id
	lastID  uint64

	arrivals []*arrival // Replicate calls of this batch, to be answered with its messages
	links    map[linkName]*link
	news     news
	peer     peer   // of the view that was last noticed
	moved    uint64 // to its backup, in motionUnits

	leaving []chan struct{}
}

// clock returns the time in milliseconds since 1970, as it was when the server
// started and going on from there by the monotonic clock: a clock that is set
// must not expire sessions.
func (l *loop) clock() int64 {
	return l.started.UnixMilli() + time.Since(l.started).Milliseconds()
}

// tellTime tells the core the time, for the log and for leases.
func (l *loop) tellTime() {
	l.core.Clock(l.clock())
	l.core.Elapsed(time.Since(l.started))
}

func (l *loop) init(s *KVServer, machine *store.Store) {
	l.server = s
	l.started = time.Now()
	s.hearing.at = l.started
	cfg := s.opts.replica()
	cfg.Self, cfg.Machine, cfg.Observer = s.self, machine, s.observer()
	l.core = replica.New(cfg)
	l.tick = sysmonitor.PingInterval / ticksPerPing
	l.waiters = make(map[uint64]*waiter)
	l.links = make(map[linkName]*link)
}

// observer logs the rules that fire, at the debug level, and is absent unless
// somebody listens.
func (s *KVServer) observer() func(tandem.Observation) {
	if !s.log.Enabled(context.Background(), slog.LevelDebug) {
		return nil
	}
	return func(o tandem.Observation) {
		s.log.Debug(o.Detail, "rule", o.Rule, "view", o.View, "index", o.Index)
	}
}

// run is the goroutine that owns the core.
func (s *KVServer) run() {
	defer func() {
		if v := recover(); v != nil {
			broken, ok := v.(*tandem.InvariantError)
			if !ok {
				panic(v) // a bug of another kind: the stack says more than we could
			}
			s.fail(broken)
		}
	}()
	l := &s.loop
	ticker := time.NewTicker(l.tick)
	defer ticker.Stop()
	ticked := time.Now()
	defer l.resetLinks()
	l.core.Ping() // the first view forms in a round trip, not with the first tick
	l.carryOut()
	for {
		tick := l.tick
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			now := time.Now()
			l.tellTime()
			l.tellMotion()
			for range ticksUntil(now, &ticked, l.tick) {
				l.core.Tick()
			}
		case e := <-s.news:
			l.tellTime()
			e(l)
			l.drain(s.news, s.inbox)
		case e := <-s.inbox:
			l.tellTime()
			e(l)
			l.drain(s.news, s.inbox)
		}
		l.carryOut()
		if l.tick != tick {
			ticker.Reset(l.tick)
		}
	}
}

// ticksUntil returns how many ticks have passed since the last one counted, and
// counts them: on a busy machine a ticker drops some, and pings that come late
// for it would look like a dying server. After a long stop, such as that of a
// suspended process, no more than a ping interval is made good.
func ticksUntil(now time.Time, last *time.Time, tick time.Duration) int {
	n := int(now.Sub(*last) / tick)
	*last = last.Add(time.Duration(n) * tick)
	if n > ticksPerPing {
		return ticksPerPing
	}
	return n
}

// fail stops this server, and only it, because an invariant broke.
func (s *KVServer) fail(broken *tandem.InvariantError) {
	s.mu.Lock()
	s.failure = broken
	s.mu.Unlock()
	s.log.Error("stopping: an invariant is broken", "invariant", broken.Invariant, "detail", broken.Detail)
	go s.Kill() // it waits for this goroutine, so it needs one of its own
}

// drain runs the events that have arrived meanwhile, so that their effects share
// messages. News comes first: an answer of the backup's that waited behind a
// second's worth of requests would look like silence (rule V8). It takes a tick at
// most, since pings wait for it, too (rule V2): some hundred large requests together
// take longer than a server may be silent.
func (l *loop) drain(news, inbox chan event) {
	began := time.Now()
	for range maxStep {
		var e event
		select {
		case e = <-news:
		default:
			select {
			case e = <-news:
			case e = <-inbox:
			default:
				return
			}
		}
		e(l)
		if time.Since(began) > l.tick {
			return
		}
	}
}

// carryOut does what the core asks for. This server keeps nothing on disk, so
// what is to be kept is durable at once, as far as it promises durability.
func (l *loop) carryOut() {
	l.noticeNews() // first, for the messages to come are of the new view
	if n := l.server.answersGone.Swap(0); n > 0 {
		l.core.AnswersGone(int(n))
	}
	for {
		l.core.Elapsed(time.Since(l.started)) // now that reads by lease are done
		e := l.core.TakeEffects()
		for _, r := range e.Replies {
			l.reply(r)
		}
		for i := range e.Messages {
			l.send(e.Messages[i])
		}
		if e.Ping != nil {
			l.ping(*e.Ping)
		}
		if e.Departed {
			l.departed()
		}
		keep := e.Keep != nil
		if keep {
			l.core.Durable(e.Keep.Generation, e.Keep.Last)
		}
		l.core.Reuse(e)
		if !keep {
			break
		}
	}
	for _, a := range l.arrivals {
		close(a.done)
	}
	clear(l.arrivals)
	l.arrivals = l.arrivals[:0]
}

func (l *loop) leave(left chan struct{}) {
	l.leaving = append(l.leaving, left)
	l.core.Leave()
}

func (l *loop) departed() {
	for _, c := range l.leaving {
		close(c)
	}
	l.leaving = nil
}

// stay takes one request to leave back and says why it could not be met.
func (l *loop) stay(left chan struct{}) string {
	for i, c := range l.leaving {
		if c == left {
			l.leaving = append(l.leaving[:i], l.leaving[i+1:]...)
			break
		}
	}
	why := l.leaveWaitsFor()
	if len(l.leaving) == 0 {
		l.core.Stay()
	}
	return why
}

// leaveWaitsFor says what stands in the way of leaving (rule V11).
func (l *loop) leaveWaitsFor() string {
	st := l.core.Status()
	switch {
	case errors.Is(l.server.hearing.last(), tandem.ErrWrongCluster):
		return "the view service is of another cluster, where nobody takes its data over"
	case st.View.Viewnum == 0:
		return "the view service has not answered yet"
	case st.Role != "primary":
		return "the view service has not confirmed that this server is out of the view"
	case st.View.Backup == "":
		return "it is the primary and there is no backup to hand its data to"
	case !st.BackupInSync:
		return "it is the primary and its backup is not in sync yet"
	}
	return "the backup has not taken over yet"
}

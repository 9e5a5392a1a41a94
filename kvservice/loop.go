package kvservice

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
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

// event is what the core is stepped with: a request, or
// whatever else the function does.
type event struct {
	do func(*loop)

	request replica.Request // if do is nil
	waiter  waiter
}

func (e *event) step(l *loop) {
	if e.do != nil {
		e.do(l)
		return
	}
	l.submit(&e.request, e.waiter)
}

// loop is what belongs to whoever has the turn, apart from what says otherwise.
type loop struct {
	server *KVServer
	core   *replica.Replica
	tick   time.Duration

	started time.Time

	waiters waiters
	// What was taken from the inboxes, and how much of it has been done.
	urgent, todo         []event
	urgentDone, todoDone int
	left                 atomic.Bool // there is something of them

	replies  replies
	answered []*handler // connections with answers to be sent
	// together: more than one connection was answered last time. Their clients may be
	// back soon.
	together bool

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

// run is the goroutine that waits for ticks, and for work that nobody else does.
func (s *KVServer) run() {
	l := &s.loop
	defer func() {
		s.turn.Lock()
		defer s.turn.Unlock()
		l.resetLinks()
	}()
	s.turn.Lock()
	l.guarded(l.core.Ping) // the first view forms in a round trip, not with the first tick
	tick := l.tick
	s.turn.pass()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	ticked := time.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.turn.Lock()
			l.guarded(func() { l.passTicks(&ticked) })
			if l.tick != tick {
				tick = l.tick
				ticker.Reset(tick)
			}
		case <-s.turn.bell:
			s.turn.Lock()
			s.turn.letOthersGoFirst()
			l.work()
		}
		s.turn.pass()
	}
}

func (l *loop) passTicks(ticked *time.Time) {
	now := time.Now()
	l.tellTime()
	l.tellMotion()
	for range ticksUntil(now, ticked, l.tick, ticksPerPing) {
		l.core.Tick()
	}
}

// work steps the core with what has arrived, and carries out what it wants.
func (l *loop) work() {
	l.guarded(func() {
		l.tellTime()
		l.drain()
	})
}

// waits reports whether there is something for drain.
func (l *loop) waits() bool {
	s := l.server
	return l.left.Load() || s.news.waits() || s.inbox.waits()
}

// guarded steps the core, and carries out what it wants, unless the server has
// stopped. If an invariant breaks, the server stops, and only it.
func (l *loop) guarded(step func()) {
	s := l.server
	if s.ctx.Err() != nil {
		return
	}
	if broken := guard(step, l.carryOut); broken != nil {
		s.fail(broken)
	}
}

// ticksUntil returns how many ticks have passed since the last one counted, and
// counts them: on a busy machine a ticker drops some, and pings that come late
// for it would look like a dying server. After a long stop, such as that of a
// suspended process, no more than most are made good.
func ticksUntil(now time.Time, last *time.Time, tick time.Duration, most int) int {
	n := int(now.Sub(*last) / tick)
	*last = last.Add(time.Duration(n) * tick)
	return min(n, most)
}

// fail stops this server, and only it, because an invariant broke.
func (s *KVServer) fail(broken *tandem.InvariantError) {
	s.halt() // the core is not stepped any more
	s.mu.Lock()
	s.failure = broken
	s.mu.Unlock()
	s.log.Error("stopping: an invariant is broken", "invariant", broken.Invariant, "detail", broken.Detail)
	go s.Kill() // it waits for this goroutine, so it needs one of its own
}

// drain runs the events that have arrived, so that their effects share messages. News
// comes first: an answer of the backup's that waited behind a second's worth of requests
// would look like silence (rule V8). It takes a tick at most, since pings wait for it,
// too (rule V2): some hundred large requests together take longer than a server may be
// silent.
func (l *loop) drain() {
	began := time.Now()
	for n := 1; ; n++ {
		e := l.next()
		if e == nil {
			l.left.Store(false)
			return
		}
		e.step(l)
		*e = event{} // its array is used again, and keeps nothing alive
		if n == maxStep || (n%timeLook == 0 && time.Since(began) > l.tick) {
			l.left.Store(l.urgentDone < len(l.urgent) || l.todoDone < len(l.todo))
			return
		}
	}
}

// timeLook is after how many events drain looks at the time. One may take as long as
// a large value does; that many do not take a tick more than that.
const timeLook = 4

// next returns the event to be done next, nil if there is none.
func (l *loop) next() *event {
	if l.urgentDone == len(l.urgent) && l.server.news.waits() {
		l.urgent, l.urgentDone = l.server.news.take(l.urgent), 0
	}
	if l.urgentDone < len(l.urgent) {
		l.urgentDone++
		return &l.urgent[l.urgentDone-1]
	}
	if l.todoDone == len(l.todo) {
		if l.todo, l.todoDone = l.server.inbox.take(l.todo), 0; len(l.todo) == 0 {
			return nil
		}
	}
	l.todoDone++
	return &l.todo[l.todoDone-1]
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
		l.answerArrival(a)
	}
	clear(l.arrivals)
	l.arrivals = l.arrivals[:0]
	l.server.transport.Flush() // first, for answers wait for what the backup says
	if n := len(l.answered); n > 0 {
		l.together = n > 1
	}
	for i, h := range l.answered {
		h.answered = false
		h.conn.Flush()
		l.answered[i] = nil
	}
	l.answered = l.answered[:0]
}

// others reports whether others may be about to bring requests.
func (l *loop) others() bool { return l.waiters.some() || l.together }

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

package sysmonitor

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// ErrStopped is returned by a server that has been stopped.
var ErrStopped = errors.New("the view service has stopped")

// Status is all that a view service knows: the view, the servers, and why the
// group is down if it is.
type Status = view.Status

const (
	inboxSize = 4096 // events that wait for the core; more wait at their connections
	maxStep   = 512  // events in one batch, so that effects do not wait for long
)

// MonitorServer is a view service. Its methods are safe for concurrent use.
type MonitorServer struct {
	opts options
	addr string
	log  *slog.Logger
	rpc  *rpcnet.Server

	inbox    chan func(*loop)
	ctx      context.Context // ends when the server is to stop
	halt     context.CancelFunc
	stopOnce sync.Once
	gone     chan struct{} // closed when nothing of it is left
	tasks    sync.WaitGroup

	mu      sync.Mutex
	failure error
}

// StartServer starts a view service at addr, as the lab does. It panics if it
// cannot listen there; Start returns an error instead.
func StartServer(addr string) *MonitorServer {
	s, err := Start(addr)
	if err != nil {
		panic(err)
	}
	return s
}

// Start starts a view service at addr: host:port, with port 0 for a free one, or
// the path of a Unix socket. An error says that it cannot listen, and names the
// address.
//
// Its memory is its own: a view service that is started again knows nothing of
// what was before, and announces nothing to servers that do (rule V0).
func Start(addr string, opts ...Option) (*MonitorServer, error) {
	o := options{
		interval:  PingInterval,
		deadPings: DeadPings,
		maxConns:  4096,
		hints:     true,
		logger:    slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		opt(&o)
	}
	if o.interval < ticksPerPing*time.Millisecond || o.deadPings < 2 {
		return nil, fmt.Errorf("sysmonitor: a ping interval of %v and %d dead pings: at least %v and 2 are needed",
			o.interval, o.deadPings, ticksPerPing*time.Millisecond)
	}
	l := o.listener
	if l == nil {
		var err error
		if l, err = rpcnet.Listen(addr); err != nil {
			return nil, fmt.Errorf("sysmonitor: %w", err)
		}
	}
	if o.listener != nil || rpcnet.Network(addr) == "tcp" {
		addr = l.Addr().String()
	}
	s := &MonitorServer{
		opts:  o,
		addr:  addr,
		log:   o.logger.With("monitor", addr),
		inbox: make(chan func(*loop), inboxSize),
		gone:  make(chan struct{}),
	}
	s.ctx, s.halt = context.WithCancel(context.Background())
	s.rpc = rpcnet.NewServer(rpcnet.ServerConfig{
		Service:  s.handler,
		MaxConns: o.maxConns,
		MaxFrame: 1 << 20, // nothing that is said here comes near
		Logger:   s.log,
	})
	loop := &loop{
		server: s,
		core: view.New(view.Config{
			Cluster:      drawCluster(o.cluster),
			TicksPerPing: ticksPerPing,
			DeadPings:    o.deadPings,
			Observer:     s.observer(),
		}),
		pings: make(map[uint64]chan<- tandem.PingReply),
		waits: make(map[*wait]struct{}),
	}
	s.tasks.Go(loop.run)
	s.tasks.Go(func() {
		if err := s.rpc.Serve(l); err != nil && !errors.Is(err, rpcnet.ErrClosed) {
			s.log.Error("no longer accepting connections", "error", err)
		}
	})
	return s, nil
}

// drawCluster draws a cluster id unless one is given.
func drawCluster(given uint64) uint64 {
	var b [8]byte
	for given == 0 {
		cryptorand.Read(b[:]) // never fails
		given = binary.LittleEndian.Uint64(b[:])
	}
	return given
}

// observer logs the rules that fire, at the debug level, and is absent unless
// somebody listens.
func (s *MonitorServer) observer() func(tandem.Observation) {
	if !s.log.Enabled(context.Background(), slog.LevelDebug) {
		return nil
	}
	return func(o tandem.Observation) {
		s.log.Debug(o.Detail, "rule", o.Rule, "view", o.View)
	}
}

// Addr returns the address at which the view service answers.
func (s *MonitorServer) Addr() string { return s.addr }

// Err returns the broken invariant that stopped this server, a
// *tandem.InvariantError, or nil.
func (s *MonitorServer) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Status returns what the view service knows, zero once it has stopped.
func (s *MonitorServer) Status() Status {
	answer := make(chan Status, 1)
	if !s.post(func(l *loop) { answer <- l.core.Status() }) {
		return Status{}
	}
	select {
	case st := <-answer:
		return st
	case <-s.ctx.Done():
		return Status{}
	}
}

// Kill is a crash: the listener and every connection are cut at once. When it
// returns, no goroutine of the server is left. Any number of calls is fine.
func (s *MonitorServer) Kill() {
	s.stopOnce.Do(func() {
		s.halt()
		s.rpc.Close()
		s.tasks.Wait()
		close(s.gone)
	})
	<-s.gone
}

// Shutdown stops the server in order: those that wait for news are answered
// first. A view service has nothing to hand over; the servers go on in the view
// they have. It ends early, and returns ctx.Err wrapped, when ctx ends; the
// server has stopped in either case.
func (s *MonitorServer) Shutdown(ctx context.Context) error {
	released := make(chan struct{})
	if s.post(func(l *loop) { l.release(true); close(released) }) {
		select {
		case <-released:
		case <-s.ctx.Done():
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("sysmonitor: shutting down %s: %w", s.addr, ctx.Err())
		}
	}
	s.Kill()
	return nil
}

// Close is Shutdown with a bound. Its error is always nil.
func (s *MonitorServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.Shutdown(ctx) // stopped in any case, and nothing is lost with it
	return nil
}

func (s *MonitorServer) post(e func(*loop)) bool {
	if s.ctx.Err() != nil {
		return false
	}
	select {
	case s.inbox <- e:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// loop is what the goroutine that owns the core owns.
type loop struct {
	server  *MonitorServer
	core    *view.Service
	request uint64
	pings   map[uint64]chan<- tandem.PingReply // by request
	waits   map[*wait]struct{}
	view    tandem.View
	down    bool
}

// wait is a Get that waits for news.
type wait struct {
	args   tandem.ViewArgs
	answer chan tandem.ViewReply // room for one
}

func (l *loop) run() {
	s := l.server
	defer func() {
		if v := recover(); v != nil {
			broken, ok := v.(*tandem.InvariantError)
			if !ok {
				panic(v) // a bug of another kind: the stack says more than we could
			}
			s.fail(broken)
		}
	}()
	ticker := time.NewTicker(s.opts.interval / ticksPerPing)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			l.core.Tick()
			l.carryOut()
			l.logDown()
		case e := <-s.inbox:
			e(l)
			l.drain()
			l.carryOut()
		}
	}
}

// fail stops this server, and only it, because an invariant broke.
func (s *MonitorServer) fail(broken *tandem.InvariantError) {
	s.mu.Lock()
	s.failure = broken
	s.mu.Unlock()
	s.log.Error("stopping: an invariant is broken", "invariant", broken.Invariant, "detail", broken.Detail)
	go s.Kill() // it waits for this goroutine, so it needs one of its own
}

func (l *loop) drain() {
	for range maxStep {
		select {
		case e := <-l.server.inbox:
			e(l)
		default:
			return
		}
	}
}

// carryOut does what the core asks for. This server keeps nothing on disk, so a
// record is durable at once, as far as it promises durability (rule V10).
func (l *loop) carryOut() {
	news := false
	for {
		e := l.core.Take()
		for _, r := range e.Replies {
			if answer, ok := l.pings[r.Request]; ok {
				delete(l.pings, r.Request)
				r.Ping.PingInterval = l.server.opts.interval
				answer <- r.Ping
			}
		}
		news = news || e.News
		if e.Record == nil {
			break
		}
		l.core.Durable(e.Record.Number)
	}
	if news {
		l.release(false)
	}
	l.logView()
}

// release answers the Gets for which there is news, or all of them.
func (l *loop) release(all bool) {
	for w := range l.waits {
		if reply, ready := l.core.Get(w.args); ready || all {
			delete(l.waits, w)
			w.answer <- reply
		}
	}
}

// logView says, once, that the view changed.
func (l *loop) logView() {
	if v, _ := l.core.View(); v != l.view {
		l.view = v
		reason := ""
		for _, c := range l.core.Status().History {
			if c.View == v {
				reason = c.Reason
				break
			}
		}
		l.server.log.Info("view", "number", v.Viewnum, "primary", v.Primary, "backup", v.Backup, "reason", reason)
	}
}

// logDown says, once each, that the group is down or up again.
func (l *loop) logDown() {
	if st := l.core.Status(); st.Down != l.down {
		l.down = st.Down
		if l.down {
			l.server.log.Error("the group is down", "reason", st.Why)
		} else {
			l.server.log.Info("the group is up again")
		}
	}
}

package kvservice

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
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
	"github.com/tandemkv/tandem/sysmonitor"
)

// ErrStopped is returned by a server that was killed, or shut down, meanwhile.
var ErrStopped = errors.New("the server has stopped")

// DefaultCloseTimeout bounds the departure that Close attempts.
const DefaultCloseTimeout = 2 * time.Second

const (
	ticksPerPing = 10   // of the core's ticks, in a ping interval
	inboxSize    = 4096 // events that wait for the core; more wait at their connections
	maxStep      = 512  // events in one batch, so that effects do not wait for long
)

// KVServer is one key/value server. Its methods are safe for concurrent use.
type KVServer struct {
	opts   options
	self   tandem.Server
	limits store.Limits
	log    *slog.Logger

	rpc       *rpcnet.Server
	transport *rpcnet.Transport
	monitor   *sysmonitor.Client
	motion    motion

	inbox    chan event
	ctx      context.Context // ends when the server is to stop at once
	halt     context.CancelFunc
	stopOnce sync.Once
	gone     chan struct{}  // closed when nothing of it is left
	tasks    sync.WaitGroup // the goroutines it owns

	mu      sync.Mutex
	failure error // the broken invariant that stopped it, if one did

	loop loop // owned by the goroutine of run
}

// event is what the core is stepped with: a closure over it, run on the core's
// goroutine.
type event func(*loop)

// StartKVServer starts a server at addr, which is also the address it is known
// by, as the lab does. It panics if it cannot listen there; Start returns an
// error instead.
func StartKVServer(monitorAddr, addr string) *KVServer {
	s, err := Start(monitorAddr, addr)
	if err != nil {
		panic(err)
	}
	return s
}

// Start starts a server at addr (host:port, with port 0 for a free one, or the
// path of a Unix socket). It begins with no data, as an idle server, and finds
// its role from the view service at monitorAddr, which need not be there yet.
// An error says that it cannot listen, and names the address.
func Start(monitorAddr, addr string, opts ...Option) (*KVServer, error) {
	if monitorAddr == "" {
		return nil, errors.New("kvservice: no address of a view service given")
	}
	o := makeOptions(opts)
	l := o.listener
	if l == nil {
		var err error
		if l, err = rpcnet.Listen(addr); err != nil {
			return nil, fmt.Errorf("kvservice: %w", err)
		}
	}
	name := o.advertise
	if name == "" {
		name = addr
		if o.listener != nil || rpcnet.Network(addr) == "tcp" {
			name = l.Addr().String()
		}
	}
	monitor := sysmonitor.MakeClient(name, monitorAddr, o.monitorOptions()...)
	s := &KVServer{
		opts:    o,
		self:    tandem.Server{Addr: name, Incarnation: drawIncarnation()},
		log:     o.logger.With("server", name),
		monitor: monitor,
		inbox:   make(chan event, inboxSize),
		gone:    make(chan struct{}),
	}
	peers := o
	peers.dial = s.motion.dial(o.dial)
	s.transport = peers.transport(name)
	s.ctx, s.halt = context.WithCancel(context.Background())
	machine := store.New(o.limits.store())
	s.limits = machine.Limits()
	s.rpc = rpcnet.NewServer(rpcnet.ServerConfig{
		Service: func(c *rpcnet.Conn) (string, any) {
			return "KVServer", &handler{server: s, conn: c}
		},
		MaxConns:     o.limits.MaxConns,
		MaxFrame:     o.limits.frame(),
		StallTimeout: stallTimeout,
		Logger:       s.log,
	})
	s.loop.init(s, machine)

	s.tasks.Go(s.run)
	s.tasks.Go(s.watch)
	s.tasks.Go(func() {
		if err := s.rpc.Serve(l); err != nil && !errors.Is(err, rpcnet.ErrClosed) {
			s.log.Error("no longer accepting connections", "error", err)
		}
	})
	return s, nil
}

func (o *options) monitorOptions() []sysmonitor.ClientOption {
	var opts []sysmonitor.ClientOption
	if o.dialPerCall {
		opts = append(opts, sysmonitor.WithDialPerCall())
	}
	if o.faults != nil {
		opts = append(opts, sysmonitor.WithFaults(o.faults))
	}
	if o.dial != nil {
		opts = append(opts, sysmonitor.WithDialer(o.dial))
	}
	return opts
}

// drawIncarnation draws a number that no other start of a server has; it is
// never zero, which is a lab server's.
func drawIncarnation() uint64 {
	var b [8]byte
	for {
		cryptorand.Read(b[:]) // never fails
		if n := binary.LittleEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// Addr returns the address by which others reach this server.
func (s *KVServer) Addr() string { return s.self.Addr }

// Err returns the broken invariant that stopped this server, a
// *tandem.InvariantError, or nil.
func (s *KVServer) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Kill is a crash: the listener and every connection are cut at once and nothing
// is handed over. When it returns, no goroutine of the server is left. Any
// number of calls is fine, also during Shutdown.
func (s *KVServer) Kill() {
	s.stopOnce.Do(func() {
		s.halt()
		s.rpc.Close()
		s.transport.Close()
		s.monitor.Close()
		s.tasks.Wait()
		close(s.gone)
	})
	<-s.gone
}

// Shutdown leaves the group (rule V11): a primary hands its role to its backup
// first, so that clients do not notice, and waits for one to be in sync if there
// is none. When it returns nil, the server has stopped as after Kill. When ctx
// ends first, Shutdown returns an error that wraps ctx.Err and says what was
// waited for, and the server goes on as before: nothing is lost. ErrStopped
// says that Kill came between.
func (s *KVServer) Shutdown(ctx context.Context) error {
	left := make(chan struct{})
	if !s.post(func(l *loop) { l.leave(left) }) {
		<-s.gone
		return nil
	}
	select {
	case <-left:
		s.Kill()
		return nil
	case <-s.ctx.Done():
		<-s.gone
		select {
		case <-left:
			return nil
		default:
			return fmt.Errorf("kvservice: shutting down %s: %w", s.self.Addr, ErrStopped)
		}
	case <-ctx.Done():
	}
	why := make(chan string, 1)
	s.post(func(l *loop) { why <- l.stay(left) })
	select {
	case <-left: // it left at the last moment
		s.Kill()
		return nil
	case reason := <-why:
		return fmt.Errorf("kvservice: shutting down %s: %w: %s", s.self.Addr, ctx.Err(), reason)
	case <-s.ctx.Done():
		<-s.gone
		return fmt.Errorf("kvservice: shutting down %s: %w", s.self.Addr, ErrStopped)
	}
}

// Close is Shutdown with a bound (DefaultCloseTimeout, or WithCloseTimeout),
// after which the server is killed. The error, if any, is Shutdown's: it says
// that the data could not be handed over.
func (s *KVServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.closeTimeout)
	defer cancel()
	err := s.Shutdown(ctx)
	s.Kill()
	if errors.Is(err, ErrStopped) {
		return nil
	}
	return err
}

// post hands an event to the core, waiting for room. It returns false if the
// server stops first; the event may then be lost.
func (s *KVServer) post(e event) bool {
	select {
	case <-s.ctx.Done():
		return false
	default:
	}
	select {
	case s.inbox <- e:
		return true
	case <-s.ctx.Done():
		return false
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
	defer l.resetLinks()
	l.core.Ping() // the first view forms in a round trip, not with the first tick
	l.carryOut()
	for {
		tick := l.tick
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			l.core.Clock(time.Now().UnixMilli())
			l.tellMotion()
			l.core.Tick()
		case e := <-s.inbox:
			l.core.Clock(time.Now().UnixMilli())
			e(l)
			l.drain(s.inbox)
		}
		l.carryOut()
		if l.tick != tick {
			ticker.Reset(l.tick)
		}
	}
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
// messages.
func (l *loop) drain(inbox chan event) {
	for range maxStep {
		select {
		case e := <-inbox:
			e(l)
		default:
			return
		}
	}
}

// loop is what the core's goroutine owns.
type loop struct {
	server *KVServer
	core   *replica.Replica
	tick   time.Duration

	waiters map[uint64]*waiter // by request id
	lastID  uint64

	arrivals []*arrival // Replicate calls of this batch, to be answered with its messages
	links    map[linkName]*link
	view     tandem.View // as of the last batch
	moved    uint64      // to its backup, in motionUnits

	pings   int // under way
	leaving []chan struct{}
}

func (l *loop) init(s *KVServer, machine *store.Store) {
	l.server = s
	l.core = replica.New(replica.Config{
		Self:             s.self,
		Machine:          machine,
		PingTicks:        ticksPerPing,
		MaxInFlightBytes: s.opts.limits.MaxInFlightBytes,
		MaxTransferBytes: s.opts.limits.MaxTransferBytes,
		MaxWaiting:       s.opts.limits.MaxWaiting,
		Observer:         s.observer(),
	})
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

// carryOut does what the core asks for. This server keeps nothing on disk, so
// what is to be kept is durable at once, as far as it promises durability.
func (l *loop) carryOut() {
	l.noticeView() // first, for the messages to come are of the new view
	for {
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
		if e.Keep == nil {
			break
		}
		l.core.Durable(e.Keep.Generation, e.Keep.Last)
	}
	for _, a := range l.arrivals {
		close(a.done)
	}
	clear(l.arrivals)
	l.arrivals = l.arrivals[:0]
}

// noticeView logs a change of view or role and gives up what was on its way to a
// peer of an older one.
func (l *loop) noticeView() {
	v := l.core.View()
	if v.Viewnum == l.view.Viewnum {
		return
	}
	l.view = v
	l.resetLinks()
	l.server.log.Info("view", "number", v.Viewnum, "primary", v.Primary, "backup", v.Backup, "role", l.core.Status().Role)
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
	st := l.core.Status()
	if len(l.leaving) == 0 {
		l.core.Stay()
	}
	switch {
	case st.Role != "primary":
		return "the view service has not confirmed that this server is out of the view"
	case st.View.Backup == "":
		return "it is the primary and there is no backup to hand its data to"
	case !st.BackupInSync:
		return "it is the primary and its backup is not in sync yet"
	}
	return "the backup has not taken over yet"
}

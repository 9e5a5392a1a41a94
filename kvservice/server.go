package kvservice

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/store"
	"github.com/tandemkv/tandem/sysmonitor"
)

// ErrStopped is returned by a server that was killed, or shut down, meanwhile.
var ErrStopped = errors.New("the server has stopped")

// ErrBadOption is wrapped by the errors of Start about a setting that makes no sense.
var ErrBadOption = errors.New("bad setting")

// DefaultCloseTimeout bounds the departure that Close attempts.
const DefaultCloseTimeout = 2 * time.Second

// KVServer is one key/value server. Its methods are safe for concurrent use.
type KVServer struct {
	opts   options
	self   tandem.Server
	at     string // where it listens
	limits store.Limits
	log    *slog.Logger

	rpc       *rpcnet.Server
	transport *rpcnet.Transport
	monitor   *sysmonitor.Client
	motion    motion
	pings     atomic.Int32 // under way
	hearing   hearing
	// answersGone is what of the replies has left since the core was last told,
	// in bytes.
	answersGone atomic.Int64

	news     *mailbox[event] // from peers and the view service
	inbox    *mailbox[event] // from everybody else
	turn     turn            // to step the core
	ctx      context.Context // ends when the server is to stop at once
	halt     context.CancelFunc
	stopOnce sync.Once
	gone     chan struct{}  // closed when nothing of it is left
	tasks    sync.WaitGroup // the goroutines it owns

	mu      sync.Mutex
	failure error // the broken invariant that stopped it, if one did

	loop loop // owned by whoever has the turn
}

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
// path of a Unix socket), which is also the address it is known by, unless
// WithAdvertise says another. It begins with no data, as an idle server, and finds
// its role from the view service at monitorAddr, which need not be there yet. An
// error says that it cannot listen, and names the address, or is ErrBadOption:
// monitorAddr is empty, or the times of WithLeases do not fit, or the address of
// WithAdvertise is none.
func Start(monitorAddr, addr string, opts ...Option) (*KVServer, error) {
	describe()
	o := makeOptions(opts)
	l := o.listener
	if err := o.check(monitorAddr); err != nil {
		if l != nil {
			l.Close() // it is ours
		}
		return nil, fmt.Errorf("kvservice: %w", err)
	}
	if l == nil {
		var err error
		if l, err = rpcnet.Listen(addr); err != nil {
			return nil, fmt.Errorf("kvservice: %w", err)
		}
	}
	at := addr
	if o.listener != nil || rpcnet.Network(addr) == "tcp" {
		at = l.Addr().String()
	}
	name := o.knownAs(at)
	monitor := sysmonitor.MakeClient(name, monitorAddr, o.monitorOptions()...)
	s := &KVServer{
		opts:    o,
		self:    tandem.Server{Addr: name, Incarnation: drawIncarnation()},
		at:      at,
		log:     o.logger.With("server", name),
		monitor: monitor,
		gone:    make(chan struct{}),
	}
	s.turn = turn{bell: make(chan struct{}, 1), waits: s.loop.waits, work: s.loop.work, others: s.loop.others}
	s.news, s.inbox = newMailbox[event](inboxSize, s.turn.ring), newMailbox[event](inboxSize, s.turn.ring)
	peers := o
	peers.dial = s.motion.dial(o.dial)
	s.transport = peers.transport(name, s.turn.offer)
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
			s.log.Error("no longer accepting connections", "err", err)
		}
	})
	return s, nil
}

// check says what a server could not start with.
func (o *options) check(monitorAddr string) error {
	if strings.Trim(monitorAddr, ", ") == "" {
		return fmt.Errorf("%w: %q names no view service", ErrBadOption, monitorAddr)
	}
	if o.advertise != "" && rpcnet.Network(o.advertise) == "tcp" {
		if _, _, err := net.SplitHostPort(o.advertise); err != nil {
			return fmt.Errorf("%w: address to be known by: %w", ErrBadOption, err)
		}
	}
	cfg := o.replica()
	if err := cfg.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadOption, err)
	}
	return nil
}

// knownAs returns the address by which others reach a server that listens there.
func (o *options) knownAs(at string) string {
	if o.advertise == "" {
		return at
	}
	if host, port, err := net.SplitHostPort(o.advertise); err == nil && port == "0" && rpcnet.Network(at) == "tcp" {
		if _, chosen, err := net.SplitHostPort(at); err == nil {
			return net.JoinHostPort(host, chosen)
		}
	}
	return o.advertise
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

// Incarnation returns the number that this start of the server has drawn.
func (s *KVServer) Incarnation() uint64 { return s.self.Incarnation }

// ListenAddr returns the address at which this server listens: Addr, unless
// WithAdvertise says another.
func (s *KVServer) ListenAddr() string { return s.at }

// Err returns the broken invariant that stopped this server, a
// *tandem.InvariantError, or nil.
func (s *KVServer) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Done returns a channel that is closed when nothing of the server is left:
// after Kill, after a Shutdown that succeeded, and when an invariant broke, which
// Err then tells.
func (s *KVServer) Done() <-chan struct{} { return s.gone }

// Kill is a crash: the listener and every connection are cut at once and nothing
// is handed over. When it returns, no goroutine of the server is left. Any
// number of calls is fine, also during Shutdown.
func (s *KVServer) Kill() {
	s.stopOnce.Do(func() {
		s.halt()
		s.news.close()
		s.inbox.close()
		s.turn.awaitOthers() // or one of them might yet start a task
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
func (s *KVServer) post(do func(*loop)) bool { return s.postTo(s.inbox, do) }

// postNews is post for what the view service and the other servers say. It does
// not wait behind requests.
func (s *KVServer) postNews(do func(*loop)) bool { return s.postTo(s.news, do) }

func (s *KVServer) postTo(m *mailbox[event], do func(*loop)) bool {
	posted := m.post(event{do: do})
	s.turn.ring()
	return posted
}

package rpcnet

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// The limits of a Server whose ServerConfig leaves them zero.
const (
	DefaultMaxConns     = 1024
	DefaultMaxInFlight  = 1024
	DefaultMaxFrame     = 64 << 20
	DefaultMaxBuffered  = 256 << 20
	DefaultStallTimeout = 10 * time.Second
)

// ServerConfig says what a Server serves and within which limits. Only Service
// is required; a limit that is zero has its default.
type ServerConfig struct {
	// Service makes the receiver for a connection and names the service it is
	// registered under, by the rules of net/rpc. It is called once per
	// connection, before the first request is read, from a goroutine of that
	// connection; the receiver may keep the Conn. The name "Conn" is taken. If the receiver is an
	// Arriver, it hears of every call in the order of arrival.
	Service func(*Conn) (name string, receiver any)

	// MaxConns bounds the connections that are open at once. Further ones are
	// closed as they are accepted.
	MaxConns int
	// MaxInFlight bounds the calls of one connection that have been read and
	// not yet answered. At the bound the connection is not read, but goes on
	// telling its peer that this end is alive.
	MaxInFlight int
	// MaxFrame bounds a gob message or a compact frame, in bytes. A request beyond it closes its
	// connection before anything is allocated for it; a reply beyond it becomes
	// an error reply.
	MaxFrame int
	// MaxBuffered bounds the bytes of all the large frames (above 64 KiB) that
	// are being read at one time, over all connections. A frame waits for its
	// share before its payload is read, in the order of the frames' arrival.
	// At least MaxFrame.
	MaxBuffered int
	// StallTimeout closes a connection when nothing has moved for so long in
	// the middle of a frame or of a blocked write. A connection that owes
	// nothing may be idle for ever. A signs-of-life interval follows from it
	// (a quarter), so it should not exceed that of the clients.
	StallTimeout time.Duration

	// Logger hears of connections that were closed for a reason worth knowing.
	// Nil: nobody does.
	Logger *slog.Logger
}

// Arriver is implemented by receivers that need the order in which calls came
// in on their connection, which net/rpc loses when it starts a goroutine per
// call.
type Arriver interface {
	// Arrived is called on the connection's reading goroutine for each call,
	// after its arguments were decoded and before its method is started; calls
	// of one connection come in the order in which their client wrote them.
	// args is always a pointer: the very one the method will get, if the method
	// takes a pointer, so that Arrived can leave a ticket in it. No further
	// request of the connection is read until Arrived returns, and no Echo is
	// answered: it may push back by waiting, for much less than StallTimeout,
	// and must stop waiting when the Conn is done.
	Arrived(serviceMethod string, args any)
}

// Direct is implemented by receivers that carry out calls in compact frames themselves,
// without a goroutine for each. Its methods are called on the connection's reading
// goroutine.
type Direct interface {
	// CompactMethods names the methods whose arguments and replies are Compact.
	CompactMethods() []string
	// Serve takes one call of such a method, and answers it sooner or later with
	// Conn.Answer or Conn.Refuse; or it returns false, and net/rpc carries the call out.
	// args is good until Serve returns. It may push back as Arriver.Arrived does.
	Serve(method string, seq uint64, args []byte) bool
	// Served is called when no further call has come whole, before the goroutine
	// waits for one: what Serve has collected should go on its way.
	Served()
	// Gone is called once, when the connection is done for and nothing more will be
	// read. Answers still given reach nobody.
	Gone()
}

// Releaser is implemented by receivers that account for the memory that replies
// take until they have left.
type Releaser interface {
	// Released is called once for each call whose method returned without an
	// error, with the very reply that the method filled in, when the reply has
	// been written to the connection or never will be. It is called from
	// goroutines of the connection, possibly several at once, and must not
	// block. Calls that failed are reported as well, with a reply that no
	// method knows.
	Released(reply any)
}

// Server serves one service to net/rpc clients. Its methods are safe for
// concurrent use.
//
// It answers one method of its own, Conn.Echo, which takes and returns nothing
// and says that the process at this end is alive.
type Server struct {
	cfg    ServerConfig
	budget *budget
	closed chan struct{} // closed by Close

	mu        sync.Mutex // guards what follows, and the Add of wg against Close
	closing   bool
	listeners map[net.Listener]bool
	conns     map[*Conn]bool

	wg sync.WaitGroup // Serve loops and connections

	refused, unaccepted complaint
}

// NewServer returns a server that is not yet listening.
func NewServer(cfg ServerConfig) *Server {
	cfg.MaxConns = orDefault(cfg.MaxConns, DefaultMaxConns)
	cfg.MaxInFlight = orDefault(cfg.MaxInFlight, DefaultMaxInFlight)
	cfg.MaxFrame = orDefault(cfg.MaxFrame, DefaultMaxFrame)
	cfg.MaxBuffered = max(orDefault(cfg.MaxBuffered, DefaultMaxBuffered), cfg.MaxFrame)
	cfg.StallTimeout = orDefault(cfg.StallTimeout, DefaultStallTimeout)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg:       cfg,
		budget:    newBudget(cfg.MaxBuffered),
		closed:    make(chan struct{}),
		listeners: make(map[net.Listener]bool),
		conns:     make(map[*Conn]bool),
	}
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Serve accepts connections from l until Close, and then returns nil. If
// accepting fails for good before that, it returns the error; connections live
// on until Close. It closes l in either case. Several listeners may be served at
// once. After Close it closes l and returns ErrClosed.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = true
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()

	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = shortest
			s.admit(nc)
			continue
		}
		if s.isClosing() {
			return nil
		}
		if !passing(err) {
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		s.unaccepted.warn(s.cfg.Logger, time.Now(), "cannot accept a connection", "addr", l.Addr().String(), "err", err)
		select {
		case <-s.closed:
			return nil
		case <-time.After(pause):
			pause = min(2*pause, longest)
		}
	}
}

// passing reports whether accept may succeed later: the caller of connect has
// given up already, or the process or machine is out of descriptors or memory.
func passing(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EINTR, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit starts serving a connection, if there is room for it.
func (s *Server) admit(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.conns) >= s.cfg.MaxConns {
		nc.Close()
		if !s.closing {
			s.refused.warn(s.cfg.Logger, time.Now(), "connection refused: too many are open", "peer", peerName(nc), "limit", s.cfg.MaxConns)
		}
		return
	}
	c := newConn(s, nc)
	s.conns[c] = true
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Close is a crash: listeners and connections are cut at once, replies on their
// way are lost, and every Conn is done. It returns when no goroutine of the
// server is left, method handlers included, so it must not be called from a
// handler, and a handler that waits must heed Conn.Done. Any number of calls is
// fine.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.closed)
		for l := range s.listeners {
			l.Close()
		}
		for c := range s.conns {
			c.cut(ErrClosed)
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
}

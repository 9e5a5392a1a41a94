package rpcnet

import (
	"log/slog"
	"net"
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
	// connection; the receiver may keep the Conn. If the receiver is an
	// Arriver, it hears of every call in the order of arrival.
	Service func(*Conn) (name string, receiver any)

	// MaxConns bounds the connections that are open at once. Further ones are
	// closed as they are accepted.
	MaxConns int
	// MaxInFlight bounds the calls of one connection that have been read and
	// not yet answered. At the bound the connection is not read, but goes on
	// telling its peer that this end is alive.
	MaxInFlight int
	// MaxFrame bounds a gob message, in bytes. A request beyond it closes its
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
	// request of the connection is read until Arrived returns; one that waits
	// must stop waiting when the Conn is done.
	Arrived(serviceMethod string, args any)
}

// Server serves one service to net/rpc clients. Its methods are safe for
// concurrent use.
type Server struct{ cfg ServerConfig }

// NewServer returns a server that is not yet listening.
func NewServer(cfg ServerConfig) *Server { return &Server{cfg: cfg} }

// Serve accepts connections from l until Close, and then returns nil. If
// accepting fails for good before that, it returns the error; connections live
// on until Close. It closes l in either case. Several listeners may be served at
// once. After Close it closes l and returns ErrClosed.
func (s *Server) Serve(l net.Listener) error { return ErrClosed }

// Close is a crash: listeners and connections are cut at once, replies on their
// way are lost, and every Conn is done. It returns when no goroutine of the
// server is left, method handlers included, so it must not be called from a
// handler, and a handler that waits must heed Conn.Done. Any number of calls is
// fine.
func (s *Server) Close() {}

// Conn is one connection of a Server, as its receiver sees it.
type Conn struct{}

// Done returns a channel that is closed when the connection is gone: the
// client left, the connection was cut, or the server closed. A reply given
// after that reaches nobody.
func (c *Conn) Done() <-chan struct{} { return nil }

// RemoteAddr returns the address of the client's end.
func (c *Conn) RemoteAddr() net.Addr { return nil }

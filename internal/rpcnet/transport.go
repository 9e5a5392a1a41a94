package rpcnet

import (
	"context"
	"net"
	"time"
)

// The settings of a Transport whose TransportConfig leaves them zero.
const (
	DefaultDialTimeout = 3 * time.Second
	DefaultMaxQueue    = 1 << 15
)

// TransportConfig says how a Transport reaches its peers. The zero value is
// useful.
type TransportConfig struct {
	// Name is who calls: the address of the server that owns the transport, or
	// any name of a client. Only Faults look at it.
	Name string
	// Dial replaces net.Dialer.DialContext. It must heed the context.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// DialTimeout bounds a dial. With DialPerCall there is no such bound.
	DialTimeout time.Duration
	// StallTimeout closes a connection on which replies are owed and nothing
	// has moved for so long. At half of it the peer is asked for a sign of
	// life, so a slow handler does not count as a stall, and a frozen peer does.
	// What the sockets' buffers hold must drain within it.
	StallTimeout time.Duration
	// DialPerCall gives the lab's transport: every call dials a connection of
	// its own and closes it afterwards. Nothing but the call's context, and
	// Close, bounds it. Calls keep no order.
	DialPerCall bool
	// MaxQueue bounds the calls of one connection that wait to be written. The
	// queue holds references to arguments; encoded ahead is at most one message
	// beyond 64 KiB.
	MaxQueue int
	// MaxFrame bounds a gob message in either direction, in bytes. A request
	// beyond it fails with ErrNotSent and ErrFrameTooLarge; a reply beyond it
	// breaks the connection.
	MaxFrame int
	// OnDown, if set, is told when a dial fails or an established connection
	// breaks, other than by Close: a hint for failure detection (rule V7). It is
	// called from a goroutine of the transport, possibly several at once; it
	// must not block, and must not call Close.
	OnDown func(addr string, err error)
	// Faults, if set, stands between the callers and the network.
	Faults *Faults
}

// Transport calls the methods of net/rpc servers over connections that persist:
// one for each address and lane, dialled when it is first needed and again
// after it broke. It is safe for concurrent use.
type Transport struct{}

// NewTransport returns a transport that has no connection yet.
func NewTransport(cfg TransportConfig) *Transport { return &Transport{} }

// Lane returns the same transport with connections of their own, kept apart by
// name from those of other lanes; the transport that NewTransport returned is
// lane "". Bulk transfers on a lane of their own delay nobody else. Lanes cost
// nothing until used, and equal names mean the same lane. Close of one closes all.
func (t *Transport) Lane(name string) *Transport { return t }

// Close fails every pending call with ErrClosed, closes the connections, and
// returns when no goroutine of the transport is left. It must not be called from
// a done function or from OnDown. Any number of calls is fine.
func (t *Transport) Close() {}

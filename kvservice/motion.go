package kvservice

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// motion counts the bytes written to each address, so that the core can tell a
// backup to which a large value is on its way from one that is silent. It keeps
// a counter for each server that was ever a backup, since connections outlive
// views.
type motion struct {
	mu      sync.Mutex
	written map[string]*atomic.Uint64
}

const (
	// motionUnit is what counts as motion, in bytes. Heartbeats and signs of
	// life stay below it for longer than a backup may be silent.
	motionUnit = 16 << 10
	// motionPiece is how much is written before it is counted, in bytes.
	motionPiece = 64 << 10
)

// of returns the counter of an address.
func (m *motion) of(addr string) *atomic.Uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.written == nil {
		m.written = make(map[string]*atomic.Uint64)
	}
	if m.written[addr] == nil {
		m.written[addr] = new(atomic.Uint64)
	}
	return m.written[addr]
}

// dial returns a function that opens connections as next does, and counts.
func (m *motion) dial(next dialFunc) dialFunc {
	if next == nil {
		next = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{c, m.of(addr)}, nil
	}
}

// countedConn counts what is written to it, while a large write is under way.
type countedConn struct {
	net.Conn
	written *atomic.Uint64
}

func (c *countedConn) Write(b []byte) (n int, err error) {
	for first := true; first || len(b) > 0; first = false {
		piece := b[:min(len(b), motionPiece)]
		k, err := c.Conn.Write(piece)
		n += k
		c.written.Add(uint64(k))
		if err != nil {
			return n, err
		}
		b = b[len(piece):]
	}
	return n, nil
}

// SyscallConn lets what the socket takes at once be written without waiting. That is not
// counted: it says nothing of how the peer takes it in. What does not fit comes by Write.
func (c *countedConn) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return sc.SyscallConn()
}

// tellMotion tells the core if bytes have moved to the backup.
func (l *loop) tellMotion() {
	backup := l.news.view.Backup
	if backup == "" || backup == l.server.self.Addr {
		return
	}
	if n := l.server.motion.of(backup).Load() / motionUnit; n != l.moved {
		l.moved = n
		l.core.Moving()
	}
}

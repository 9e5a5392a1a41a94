package sysmonitor

import (
	"context"
	"net"
	"sync"
)

// drainer is a listener that knows its connections, so that they can be ended
// in good order: once reading has ended, the server under it answers what it has
// read, writes that, and closes the connection.
type drainer struct {
	net.Listener

	mu       sync.Mutex
	draining bool
	conns    map[*drained]bool
	empty    chan struct{} // closed when draining and no connection is left
}

// drained is a connection of a drainer.
type drained struct {
	net.Conn
	of *drainer
}

func newDrainer(l net.Listener) *drainer {
	return &drainer{Listener: l, conns: map[*drained]bool{}, empty: make(chan struct{})}
}

// Accept returns the next connection.
func (d *drainer) Accept() (net.Conn, error) {
	nc, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &drained{nc, d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.draining {
		nc.Close()
		return nil, net.ErrClosed
	}
	d.conns[c] = true
	return c, nil
}

// Close closes the connection.
func (c *drained) Close() error {
	err := c.Conn.Close()
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.checkEmpty()
	c.of.mu.Unlock()
	return err
}

func (d *drainer) checkEmpty() {
	if d.draining && len(d.conns) == 0 {
		select {
		case <-d.empty:
		default:
			close(d.empty)
		}
	}
}

func (d *drainer) isDraining() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.draining
}

// beginDrain accepts no more connections.
func (d *drainer) beginDrain() {
	d.mu.Lock()
	d.draining = true
	d.checkEmpty()
	d.mu.Unlock()
	d.Listener.Close()
}

// endReading ends the reading side of every connection.
func (d *drainer) endReading() {
	d.mu.Lock()
	conns := make([]*drained, 0, len(d.conns))
	for c := range d.conns {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	for _, c := range conns {
		if half, ok := c.Conn.(interface{ CloseRead() error }); !ok || half.CloseRead() != nil {
			c.Close() // it cannot be ended by halves, or is gone already
		}
	}
}

// wait waits until every connection is closed, or the context ends, or quit is
// closed, which is no error.
func (d *drainer) wait(ctx context.Context, quit <-chan struct{}) error {
	select {
	case <-d.empty:
		return nil
	case <-quit:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

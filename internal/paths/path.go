package paths

import (
	"context"
	"net"
	"sync"
	"time"
)

// connsMax is how many connections a path carries. Further ones wait to be
// accepted, in the operating system.
const connsMax = 256

// acceptPause is how long a path waits when the operating system refuses it a
// connection, for want of file descriptors for example.
const acceptPause = 50 * time.Millisecond

// path is where one party reaches another.
type path struct {
	network  *Network
	dir      direction
	listener net.Listener
	ahead    *gate // for what the dialling party sends
	back     *gate // for what it is sent

	mu    sync.Mutex
	conns map[*conn]bool
}

func newPath(n *Network, d direction, l net.Listener, ahead, back *gate) *path {
	return &path{network: n, dir: d, listener: l, ahead: ahead, back: back, conns: make(map[*conn]bool)}
}

// serve accepts connections and has them carried, until the network is closed.
func (p *path) serve() {
	ctx := p.network.ctx
	room := make(chan struct{}, connsMax)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		near, err := p.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				near.Close()
			}
			return
		case err != nil:
			<-room
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		c := p.add(near.(*net.TCPConn))
		p.network.tasks.Go(func() {
			c.carry()
			p.remove(c)
			<-room
		})
	}
}

func (p *path) add(near *net.TCPConn) *conn {
	c := &conn{path: p, near: near}
	c.ctx, c.cancel = context.WithCancel(p.network.ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return c
}

func (p *path) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// reset breaks all connections, and returns how many there were.
func (p *path) reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.cancel()
	}
	return len(p.conns)
}

package paths

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// held is how many bytes are held of what is sent in one direction of a connection,
// beside what the operating system keeps.
const held = 32 << 10

// conn is a connection that is carried over a path: near is the side of the party
// that dialled.
type conn struct {
	path   *path
	near   *net.TCPConn
	ctx    context.Context // its end breaks the connection
	cancel context.CancelFunc
}

// carry is the connection's life: until both sides have said all they had to, or
// it breaks, which the other side then sees as well.
func (c *conn) carry() {
	defer c.cancel()
	defer c.near.Close()
	far, err := c.open()
	if err != nil {
		c.path.back.pass(c.ctx) // it is word of the other side, and may have been cut meanwhile
		breakOff(c.near)
		return
	}
	defer far.Close()
	broken := make(chan struct{})
	unhook := context.AfterFunc(c.ctx, func() {
		defer close(broken)
		breakOff(c.near)
		breakOff(far)
	})
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(far, c.near, c.path.ahead, c.path.back) })
	pumps.Go(func() { c.pump(c.near, far, c.path.back, c.path.ahead) })
	pumps.Wait()
	if !unhook() {
		<-broken
	}
}

// open opens the other half, for which something has to pass in both directions.
func (c *conn) open() (*net.TCPConn, error) {
	if !c.path.ahead.pass(c.ctx) || !c.path.back.pass(c.ctx) {
		return nil, c.ctx.Err()
	}
	addr := c.path.network.target(c.path.dir.to)
	if addr == "" {
		return nil, errors.New("nobody is there")
	}
	far, err := new(net.Dialer).DialContext(c.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return far.(*net.TCPConn), nil
}

// pump carries what src sends to dst. Bytes, their end, and word that src is gone
// pass the gate ahead; word that dst is gone passes the one back.
func (c *conn) pump(dst, src *net.TCPConn, ahead, back *gate) {
	buf := make([]byte, held)
	for {
		n, err := src.Read(buf)
		if !ahead.pass(c.ctx) {
			return
		}
		if n > 0 {
			if _, broken := dst.Write(buf[:n]); broken != nil {
				back.pass(c.ctx)
				c.cancel()
				return
			}
		}
		switch {
		case err == io.EOF:
			dst.CloseWrite() // an error says that dst is gone, which the other pump sees
			return
		case err != nil:
			c.cancel()
			return
		}
	}
}

// breakOff closes a connection so that its other end sees a reset.
func breakOff(c *net.TCPConn) {
	c.SetLinger(0) // an error says that it is closed, which is what is wanted
	c.Close()
}

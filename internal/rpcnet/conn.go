package rpcnet

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/rpc"
	"sync"
	"time"
)

const (
	// echoMethod is the method by which a client asks for a sign of life.
	echoMethod = "Conn.Echo"
	// beatSeq is the sequence number of replies that nobody asked for, which
	// say that a server is alive although it has stopped reading. Clients skip
	// a reply to a call they never made, those of net/rpc included.
	beatSeq = math.MaxUint64
)

// Conn is one connection of a Server, as its receiver sees it. Its methods are
// safe for concurrent use.
type Conn struct {
	server *Server
	nc     net.Conn
	out    *outbox
	done   chan struct{}
	ended  sync.Once
	cause  error // why it ended; set before done is closed

	// What follows is used by the reading goroutine alone.
	reader *patientReader
	frames *frameReader
	gob    *gob.Decoder
	share  *share // of the budget, for the frame that is being read
	method string // of the request that is being read
	hears  Arriver
	frees  Releaser

	// slots holds an element for each call that was read and not answered.
	slots chan struct{}
}

func newConn(s *Server, nc net.Conn) *Conn {
	c := &Conn{
		server: s,
		nc:     nc,
		out:    newOutbox(nc, s.cfg.StallTimeout, s.cfg.MaxFrame),
		done:   make(chan struct{}),
		slots:  make(chan struct{}, s.cfg.MaxInFlight),
	}
	c.reader = &patientReader{nc: nc, stall: s.cfg.StallTimeout, resting: func() bool { return !c.frames.begun }}
	c.frames = newFrameReader(c.reader, s.cfg.MaxFrame)
	c.frames.wait, c.frames.done = c.awaitBudget, c.returnBudget
	c.gob = gob.NewDecoder(c.frames)
	return c
}

// Done returns a channel that is closed when the connection is gone: the
// client left, the connection was cut, or the server closed. A reply given
// after that reaches nobody.
func (c *Conn) Done() <-chan struct{} { return c.done }

// RemoteAddr returns the address of the client's end.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// peerName names the other end for logs. The client's end of a Unix socket has
// no name.
func peerName(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil && a.String() != "" {
		return a.String()
	}
	return "?"
}

// serve serves the connection until it is gone and its handlers have returned.
func (c *Conn) serve() {
	name, receiver := c.server.cfg.Service(c)
	c.hears, _ = receiver.(Arriver)
	c.frees, _ = receiver.(Releaser)
	// A server of its own for each connection: that is how handlers know which
	// one they serve, and it costs microseconds.
	dispatch := rpc.NewServer()
	if err := dispatch.RegisterName(name, receiver); err != nil {
		c.server.cfg.Logger.Error("connection closed: its receiver is no net/rpc service", "service", name, "err", err)
		c.cut(err)
		return
	}
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		if err := c.out.run(); err != nil {
			c.cut(err)
		}
	}()
	dispatch.ServeCodec(codec{c}) // until reading fails and all handlers have returned
	<-writer
	c.cut(nil)
	c.report()
}

// end says that the connection is done for, and why; the first reason counts.
// With now set it is closed before any handler learns of it, so that what a handler
// says then reaches nobody: a crash must not be seen to answer.
func (c *Conn) end(cause error, now bool) {
	c.ended.Do(func() {
		c.cause = cause
		if now {
			c.nc.Close()
		}
		close(c.done)
	})
}

// cut ends the connection at once.
func (c *Conn) cut(cause error) {
	c.end(cause, true)
	c.nc.Close() // it may have ended without being closed
}

// report logs why the connection ended. Clients come and go, and reset
// connections, without that being news.
func (c *Conn) report() {
	err := c.cause
	level := slog.LevelWarn
	var op *net.OpError
	switch {
	case err == nil, err == io.EOF, errors.Is(err, ErrClosed), errors.Is(err, net.ErrClosed):
		return
	case errors.As(err, &op), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		level = slog.LevelDebug
	}
	c.server.cfg.Logger.Log(context.Background(), level, "connection closed", "peer", peerName(c.nc), "err", err)
}

// beat tells the peer that this end is alive although it does not read.
func (c *Conn) beat() {
	if c.out.idle() { // otherwise bytes are moving, or nobody reads them
		c.out.put(&rpc.Response{ServiceMethod: echoMethod, Seq: beatSeq}, struct{}{}, nil)
	}
}

// newBeat returns what says when the next beat is due, at a quarter of the stall: the
// peer's patience is taken to be the same, and one beat may come late.
func (c *Conn) newBeat() *time.Ticker { return time.NewTicker(max(c.server.cfg.StallTimeout/4, 1)) }

func (c *Conn) awaitBudget(bytes int) error {
	c.share = c.server.budget.ask(bytes)
	select {
	case <-c.share.ready: // most often there is nothing to wait for
		return nil
	default:
	}
	defer c.reader.restart()
	beat := c.newBeat()
	defer beat.Stop()
	for {
		select {
		case <-c.share.ready:
			return nil
		case <-c.done:
			c.returnBudget()
			return net.ErrClosed
		case <-beat.C:
			c.beat()
		}
	}
}

func (c *Conn) returnBudget() {
	if c.share != nil {
		c.server.budget.giveBack(c.share)
		c.share = nil
	}
}

// codec is the Conn as net/rpc's server sees it. It reads on one goroutine, and
// writes under a lock of net/rpc's.
type codec struct{ *Conn }

var _ rpc.ServerCodec = codec{}

// ReadRequestHeader reads the next request that is not an Echo, and waits until
// it may be carried out.
func (c codec) ReadRequestHeader(req *rpc.Request) error {
	for {
		c.frames.begun = false // until its first byte, the peer may take its time
		*req = rpc.Request{}   // gob leaves what is zero untouched
		if err := c.gob.Decode(req); err != nil {
			return c.unreadable(err)
		}
		if req.ServiceMethod != echoMethod {
			break
		}
		if err := skip(c.gob); err != nil {
			return c.unreadable(err)
		}
		c.frames.relieve(c.gob)
		if _, err := c.out.put(&rpc.Response{ServiceMethod: echoMethod, Seq: req.Seq}, struct{}{}, nil); err != nil {
			return err
		}
	}
	select {
	case c.slots <- struct{}{}:
	default:
		if !c.awaitSlot() {
			return net.ErrClosed
		}
	}
	c.method = req.ServiceMethod
	return nil
}

// awaitSlot waits until fewer than MaxInFlight calls are being carried out.
func (c codec) awaitSlot() bool {
	defer c.reader.restart()
	beat := c.newBeat()
	defer beat.Stop()
	for {
		select {
		case c.slots <- struct{}{}:
			return true
		case <-c.done:
			return false
		case <-beat.C:
			c.beat()
		}
	}
}

// ReadRequestBody reads the arguments, or skips them if body is nil.
func (c codec) ReadRequestBody(body any) error {
	err := c.gob.Decode(body)
	c.frames.relieve(c.gob)
	if err != nil {
		return err // the caller hears of it, unless reading fails now
	}
	if body != nil && c.hears != nil {
		c.hears.Arrived(c.method, body)
		c.reader.restart()
	}
	return nil
}

// unreadable ends a connection on which no further request can be read.
func (c codec) unreadable(err error) error {
	if err == io.EOF {
		// The peer has closed its end in good order. Whatever handlers still
		// answer is written if it can be.
		c.end(io.EOF, false)
		return err
	}
	c.cut(err)
	return err
}

// WriteResponse adds a reply to those that go out next. One that cannot be
// encoded, or is too large, becomes an error.
func (c codec) WriteResponse(resp *rpc.Response, body any) error {
	defer func() { <-c.slots }()
	var written func()
	if c.frees != nil {
		written = func() { c.frees.Released(body) }
	}
	broken, err := c.out.put(resp, body, written)
	if err == nil {
		return nil
	}
	if written != nil {
		written()
	}
	if broken {
		return err
	}
	c.server.cfg.Logger.Warn("reply replaced by an error", "method", resp.ServiceMethod, "err", err)
	_, err = c.out.put(&rpc.Response{ServiceMethod: resp.ServiceMethod, Seq: resp.Seq, Error: "rpcnet: reply: " + err.Error()}, struct{}{}, nil)
	return err
}

// Close is called when all handlers have returned.
func (c codec) Close() error {
	c.out.close()
	return nil
}

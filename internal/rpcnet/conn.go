package rpcnet

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/rpc"
	"slices"
	"sync"
	"sync/atomic"
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
	direct Direct

	compact *compactReader // once the ends have agreed on compact frames:
	methods []string       // that requests name by their place
	args    []byte         // of the request that net/rpc is being given
	coded   bool           // they are Compact, not in gob

	// inFlight counts the calls that were read and whose replies are not written
	// yet. Only the reading goroutine adds to it.
	inFlight atomic.Int32
	waits    atomic.Bool   // the reading goroutine waits for fewer
	room     chan struct{} // holds an element when it should look again
}

func newConn(s *Server, nc net.Conn) *Conn {
	c := &Conn{
		server: s,
		nc:     nc,
		out:    newOutbox(nc, s.cfg.StallTimeout, s.cfg.MaxFrame),
		done:   make(chan struct{}),
		room:   make(chan struct{}, 1),
	}
	c.out.released = c.release
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
	c.direct, _ = receiver.(Direct)
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
	if c.direct != nil {
		c.direct.Gone()
	}
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
			c.out.beat()
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

// ReadRequestHeader reads the next request that is for net/rpc to carry out, and
// waits until it may be.
func (c codec) ReadRequestHeader(req *rpc.Request) error {
	*req = rpc.Request{} // gob leaves what is zero untouched
	for c.compact == nil {
		c.frames.begun = false // until its first byte, the peer may take its time
		if err := c.gob.Decode(req); err != nil {
			return c.unreadable(err)
		}
		switch req.ServiceMethod {
		case echoMethod:
			if err := skip(c.gob); err != nil {
				return c.unreadable(err)
			}
			c.frames.relieve(c.gob)
			if _, err := c.out.put(&rpc.Response{ServiceMethod: echoMethod, Seq: req.Seq}, struct{}{}, nil, 0); err != nil {
				return err
			}
		case compactMethod:
			if err := c.agree(req.Seq); err != nil {
				return c.unreadable(err)
			}
		default:
			if !c.acquire() {
				return net.ErrClosed
			}
			c.method = req.ServiceMethod
			return nil
		}
		*req = rpc.Request{}
	}
	return c.readCompact(req)
}

// agree answers a client that proposes compact frames.
func (c codec) agree(seq uint64) error {
	var args CompactArgs
	if err := c.gob.Decode(&args); err != nil {
		return err
	}
	c.frames.relieve(c.gob)
	resp := rpc.Response{ServiceMethod: compactMethod, Seq: seq}
	if !c.accepts(&args) {
		resp.Error = "no agreement on compact frames"
		_, err := c.out.put(&resp, struct{}{}, nil, 0)
		return err
	}
	c.methods = args.Methods
	c.compact = &compactReader{frames: c.frames}
	c.gob = nil // it has had its last message
	if err := c.out.agree(&resp, &CompactReply{Version: compactVersion}); err != nil {
		return err
	}
	c.out.flush()
	return nil
}

// accepts reports whether this end can do as a client proposes.
func (c codec) accepts(args *CompactArgs) bool {
	if c.direct == nil || args.Version != compactVersion || len(args.Methods) > maxCompactMethods {
		return false
	}
	known := c.direct.CompactMethods()
	return !slices.ContainsFunc(args.Methods, func(m string) bool { return !slices.Contains(known, m) })
}

// readCompact reads compact requests until one is for net/rpc to carry out.
func (c codec) readCompact(req *rpc.Request) error {
	for {
		if !c.compact.ready() {
			c.direct.Served()
			c.reader.restart() // it may have waited, and so may Serve
		}
		seq, kind, payload, err := c.compact.next()
		if err != nil {
			return c.unreadable(err)
		}
		if kind == requestEcho {
			if _, err := c.out.put(&rpc.Response{Seq: seq}, &CompactReply{}, nil, 0); err != nil {
				return err
			}
			continue
		}
		method := ""
		switch i := int(kind) - requestCompact; {
		case kind == requestNamed:
			if method, payload, err = methodName(payload); err != nil {
				return c.unreadable(err)
			}
		case i < len(c.methods):
			method = c.methods[i]
		default:
			return c.unreadable(errBadFrame)
		}
		if !c.acquire() {
			return net.ErrClosed
		}
		c.coded = kind != requestNamed
		if c.coded && c.direct.Serve(method, seq, payload) {
			continue
		}
		c.args, c.method = payload, method
		req.ServiceMethod, req.Seq = method, seq
		return nil
	}
}

// acquire waits until fewer than MaxInFlight calls are being carried out.
func (c codec) acquire() bool {
	if int(c.inFlight.Load()) >= c.server.cfg.MaxInFlight && !c.awaitSlot() {
		return false
	}
	c.inFlight.Add(1)
	return true
}

func (c codec) awaitSlot() bool {
	if c.direct != nil {
		c.direct.Served() // for what it holds back is what we wait for
	}
	c.waits.Store(true)
	defer c.waits.Store(false)
	defer c.reader.restart()
	beat := c.newBeat()
	defer beat.Stop()
	for int(c.inFlight.Load()) >= c.server.cfg.MaxInFlight {
		select {
		case <-c.room:
		case <-c.done:
			return false
		case <-beat.C:
			c.out.beat()
		}
	}
	return true
}

// release takes back what acquire gave.
func (c *Conn) release(slots int) {
	c.inFlight.Add(-int32(slots))
	if c.waits.Load() {
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
}

// ReadRequestBody reads the arguments, or skips them if body is nil.
func (c codec) ReadRequestBody(body any) error {
	if err := c.decodeArgs(body); err != nil {
		return err // the caller hears of it, unless reading fails now
	}
	if body != nil && c.hears != nil {
		c.hears.Arrived(c.method, body)
		c.reader.restart()
	}
	return nil
}

func (c codec) decodeArgs(body any) error {
	if c.compact == nil {
		err := c.gob.Decode(body)
		c.frames.relieve(c.gob)
		return err
	}
	args := c.args
	c.args = nil
	if body == nil {
		return nil
	}
	if !c.coded {
		return decodeGob(args, body)
	}
	if own, ok := body.(Compact); ok {
		return own.DecodeCompact(args)
	}
	return fmt.Errorf("arguments of %s have no encoding of their own", c.method)
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
	var written func()
	if c.frees != nil {
		written = func() { c.frees.Released(body) }
	}
	broken, err := c.out.put(resp, body, written, 1)
	if err == nil {
		return nil
	}
	if written != nil {
		written()
	}
	if !broken {
		c.server.cfg.Logger.Warn("reply replaced by an error", "method", resp.ServiceMethod, "err", err)
		if _, err = c.out.put(instead(resp.ServiceMethod, resp.Seq, err), struct{}{}, nil, 1); err == nil {
			return nil
		}
	}
	c.release(1)
	return err
}

// instead is what is said in place of a reply that cannot be given.
func instead(method string, seq uint64, why error) *rpc.Response {
	return &rpc.Response{ServiceMethod: method, Seq: seq, Error: "rpcnet: reply: " + why.Error()}
}

// Answer answers a call that Direct.Serve took, once. The reply goes out with the next
// Flush; it is encoded before Answer returns, which does not wait for the network.
// written, if not nil, is called when the reply has been written or never will be, from
// any goroutine, possibly before Answer returns; it must not block.
func (c *Conn) Answer(seq uint64, reply Compact, written func()) {
	broken, err := c.out.queue(&rpc.Response{Seq: seq}, reply, written, 1)
	if err == nil {
		return
	}
	if written != nil {
		written()
	}
	if broken || c.refuse(instead("", seq, err)) != nil {
		c.release(1)
	}
}

// Refuse is Answer for a call that has no reply but an error.
func (c *Conn) Refuse(seq uint64, why error) {
	if c.refuse(&rpc.Response{Seq: seq, Error: why.Error()}) != nil {
		c.release(1)
	}
}

func (c *Conn) refuse(resp *rpc.Response) error {
	_, err := c.out.queue(resp, struct{}{}, nil, 1)
	return err
}

// Flush sends what was answered. It does not wait for the network.
func (c *Conn) Flush() { c.out.flush() }

// Close is called when all handlers have returned.
func (c codec) Close() error {
	c.out.close()
	return nil
}

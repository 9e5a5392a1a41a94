package sysmonitor

import (
	"sync/atomic"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// handler serves the RPCs of one connection.
type handler struct {
	server *MonitorServer
	conn   *rpcnet.Conn
	pinger atomic.Pointer[pinger]
}

// pinger is who pings over a connection.
type pinger struct {
	who   tandem.Server
	again bool // has pinged more than once here, so the connection persists
}

// handler makes the receiver for a connection, and sees to the hint that the end
// of a connection is (rule V7).
func (s *MonitorServer) handler(c *rpcnet.Conn) (string, any) {
	h := &handler{server: s, conn: c}
	if s.opts.hints {
		s.tasks.Go(func() {
			<-c.Done()
			if p := h.pinger.Load(); p != nil && p.again {
				s.post(func(l *loop) { l.core.Hint(p.who) })
			}
		})
	}
	return "MonitorServer", h
}

// Ping is the RPC by which servers say that they are alive, and hear the view.
func (h *handler) Ping(args *tandem.PingArgs, reply *tandem.PingReply) error {
	if args.Seq != 0 {
		who := tandem.Server{Addr: args.Me, Incarnation: args.Incarnation}
		before := h.pinger.Load()
		h.pinger.Store(&pinger{who, before != nil && before.who == who})
	}
	answer := make(chan tandem.PingReply, 1)
	if !h.server.post(func(l *loop) {
		l.request++
		l.pings[l.request] = answer
		l.core.Ping(l.request, *args)
	}) {
		return ErrStopped
	}
	select {
	case *reply = <-answer:
		return nil
	case <-h.server.ctx.Done():
		return ErrStopped
	}
}

// Get is the RPC that tells the view, at once or when there is a newer one.
func (h *handler) Get(args *tandem.ViewArgs, reply *tandem.ViewReply) error {
	s := h.server
	w := &wait{args: *args, answer: make(chan tandem.ViewReply, 1)}
	if !s.post(func(l *loop) { l.get(w) }) {
		return ErrStopped
	}
	timer := time.NewTimer(min(max(args.Wait, 0), WaitMax))
	defer timer.Stop()
	if args.Wait <= 0 {
		timer.Stop() // it is answered at once
	}
	select {
	case *reply = <-w.answer:
		return nil
	case <-timer.C:
	case <-h.conn.Done():
	case <-s.ctx.Done():
		return ErrStopped
	}
	if !s.post(func(l *loop) { l.giveUp(w) }) {
		return ErrStopped
	}
	select {
	case *reply = <-w.answer:
		return nil
	case <-s.ctx.Done():
		return ErrStopped
	}
}

func (l *loop) get(w *wait) {
	reply, ready := l.core.Get(w.args)
	if ready || w.args.Wait <= 0 || len(l.waits) >= WaitersMax {
		w.answer <- reply
		return
	}
	l.waits[w] = struct{}{}
}

// giveUp answers a Get whose time is up.
func (l *loop) giveUp(w *wait) {
	if _, ok := l.waits[w]; ok {
		delete(l.waits, w)
		reply, _ := l.core.Get(w.args)
		w.answer <- reply
	}
}

// StatusArgs are the arguments of MonitorServer.Status.
type StatusArgs struct {
	Group uint32 // zero: the only group
}

// Status is the RPC for what (*MonitorServer).Status returns.
func (h *handler) Status(_ *StatusArgs, reply *Status) error {
	if h.server.ctx.Err() != nil {
		return ErrStopped
	}
	*reply = h.server.Status()
	return nil
}

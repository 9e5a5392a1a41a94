package sysmonitor

import (
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// service is what net/rpc serves under the name MonitorServer, one for each
// connection. net/rpc calls its methods concurrently.
type service struct {
	server *MonitorServer
	conn   *rpcnet.Conn

	mu      sync.Mutex
	pinging Server // the server that pings over this connection
	pings   int    // how many of its pings came, up to what makes the connection a persistent one
	seq     uint64 // the highest sequence number of these
}

// Arrived implements rpcnet.Arriver. Pings are counted as they are read: when the
// connection ends, the last of them is known, though its handler may not have run yet.
func (v *service) Arrived(_ string, args any) {
	if ping, ok := args.(*tandem.PingArgs); ok {
		v.watch(ping)
	}
}

// Ping is the RPC MonitorServer.Ping.
func (v *service) Ping(args *tandem.PingArgs, reply *tandem.PingReply) error {
	call := &pingCall{args: *args, reply: make(chan tandem.PingReply, 1)}
	if !v.server.owner.post(event{ping: call}, v.conn.Done()) {
		return ErrStopped
	}
	select {
	case *reply = <-call.reply:
		return nil
	case <-v.server.quit:
		return ErrStopped
	}
}

// Get is the RPC MonitorServer.Get. With a Wait it answers when there is a view
// above the caller's, when the time (or the server's bound) is up, or when the
// caller has gone.
func (v *service) Get(args *tandem.ViewArgs, reply *tandem.ViewReply) error {
	call := &getCall{args: *args, reply: make(chan tandem.ViewReply, 1)}
	owner := v.server.owner
	if !owner.post(event{get: call}, v.conn.Done()) {
		return ErrStopped
	}
	var up <-chan time.Time
	if args.Wait > 0 {
		timer := time.NewTimer(min(args.Wait, v.server.opts.limits.Wait))
		defer timer.Stop()
		up = timer.C
	}
	gone := v.conn.Done()
	for {
		select {
		case *reply = <-call.reply:
			return nil
		case <-up:
			up = nil
		case <-gone:
			// Nobody is there for the reply, but the call's place gets free; or this
			// end is shutting down, and the reply is still written.
			gone = nil
		case <-v.server.quit:
			return ErrStopped
		}
		if !owner.post(event{giveUp: call}, nil) {
			return ErrStopped
		}
	}
}

// Status is the RPC MonitorServer.Status.
func (v *service) Status(args *StatusArgs, reply *Status) error {
	if args.Group != v.server.opts.group {
		return tandem.ErrWrongCluster
	}
	st, err := v.server.owner.status(v.conn.Done())
	*reply = st
	return err
}

package sysmonitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// Hints (rule V7): what the end of a server's connection says about the server.
//
// By itself it says that the server may be gone: the connection of one that is well
// may break, and the next ping comes over another. What tells a process that is gone
// is that nobody listens at its address any more. That is asked when the connection
// closes, and it takes a round trip. Only a refusal counts, for whoever is frozen, cut
// off or overloaded does not refuse; and only at an address that this view service
// could dial when the server was well, for behind a wall that refuses everything, or
// known by a name that means another host here, it says nothing.

const (
	// persistentAfter is the number of pings that show that a server keeps its
	// connection: one that dials for each call sends one.
	persistentAfter = 2
	// dialsMax is how often a server's address is dialled after a hint. A process
	// that ends closes its sockets one after the other, and may still accept a
	// connection for that long; it is then reset with the rest, in the middle of the
	// dial or later, and the next dial tells.
	dialsMax = 3
)

// dialer is how servers are dialled.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// ended is a connection of a server's that closed.
type ended struct {
	who Server
	seq uint64 // of the last ping that came over it
}

// watch makes the end of this connection a hint (rule V7) once it has shown to
// be a server's own and persistent: the server counts its pings, and several of
// one incarnation came.
func (v *service) watch(args *tandem.PingArgs) {
	if !v.server.opts.hints || !v.count(args) {
		return
	}
	who := Server{Addr: args.Me, Incarnation: args.Incarnation}
	// The connection is being read, so Kill has not come to wait for these yet.
	v.server.serving.Go(func() { v.awaitEnd(who) })
}

// awaitEnd waits for the end of a server's connection, and tells what that says.
func (v *service) awaitEnd(who Server) {
	s := v.server
	running, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.endWith(running, cancel)
	reached := make(chan string, 1)
	s.serving.Go(func() { reached <- s.reach(running, who.Addr) })
	<-v.conn.Done()
	if !s.owner.post(event{hint: who}, nil) {
		return
	}
	// Whatever is found when the server has had its time to ping again changes nothing.
	ctx, expire := context.WithTimeout(running, hintPings*s.opts.pingInterval)
	defer expire()
	at := ""
	select {
	case at = <-reached:
	case <-ctx.Done():
	}
	gone := at != "" && s.isGone(ctx, at)
	s.log.Debug("the connection of a server's closed", "rule", "V7", "server", who.Addr,
		"incarnation", fmt.Sprintf("%x", who.Incarnation), "reached", at, "gone", gone)
	if gone {
		s.owner.post(event{gone: &ended{who, v.lastSeq()}}, nil)
	}
}

// count counts a ping, and reports whether it has just shown the connection to
// be a persistent one.
func (v *service) count(args *tandem.PingArgs) bool {
	if args.Seq == 0 || args.Incarnation == 0 {
		return false
	}
	who := Server{Addr: args.Me, Incarnation: args.Incarnation}
	v.mu.Lock()
	defer v.mu.Unlock()
	if who != v.pinging {
		if v.pings == persistentAfter {
			return false // the end of the connection says nothing of this one
		}
		v.pinging, v.pings, v.seq = who, 0, 0
	}
	v.seq = max(v.seq, args.Seq)
	if v.pings == persistentAfter {
		return false
	}
	v.pings++
	return v.pings == persistentAfter
}

// lastSeq returns the highest sequence number of the pings that were counted.
func (v *service) lastSeq() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seq
}

// reach dials a server and returns the address at which it was reached, "" if it
// was not. A name may have several, of which some refuse, and other ones later. (A
// Unix socket's is told as the server gave it, which may be a path from where that runs.)
func (s *MonitorServer) reach(ctx context.Context, addr string) (at string) {
	conn, err := s.opts.dial(ctx, rpcnet.Network(addr), addr)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if rpcnet.Network(addr) == "tcp" {
		return conn.RemoteAddr().String()
	}
	return addr
}

// isGone reports whether nobody listens any more where a server was reached, as far as
// that can be told before ctx ends.
func (s *MonitorServer) isGone(ctx context.Context, addr string) bool {
	for range dialsMax {
		conn, err := s.opts.dial(ctx, rpcnet.Network(addr), addr)
		switch {
		case err == nil:
			awaitClose(ctx, conn)
		case !errors.Is(err, syscall.ECONNRESET):
			return isRefusal(err)
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return false
}

// endWith has a context end when the service does.
func (s *MonitorServer) endWith(ctx context.Context, cancel context.CancelFunc) {
	s.serving.Go(func() {
		select {
		case <-s.quit:
			cancel()
		case <-ctx.Done():
		}
	})
}

// awaitClose waits until the peer closes a connection, or ctx ends, and closes it.
func awaitClose(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer conn.Close()
	defer stop()
	// A server that is well says nothing unless it is asked.
	conn.Read(make([]byte, 1))
}

// isRefusal reports whether a dial's error says that nobody listens. The file of a
// Unix socket goes with its server if that ends in order.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

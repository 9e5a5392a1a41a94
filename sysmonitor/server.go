package sysmonitor

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// ErrStopped: the view service has stopped.
var ErrStopped = errors.New("view service has stopped")

// closeWithin bounds Close.
const closeWithin = 5 * time.Second

// callsPerConn bounds the calls of one connection that are being answered.
const callsPerConn = 256

// requestMax is the largest request accepted, in bytes; pings are small.
const requestMax = 64 << 10

// MonitorServer is a running view service. Its methods are safe for concurrent
// use.
type MonitorServer struct {
	opts     options
	addr     string
	log      *slog.Logger
	rpc      *rpcnet.Server
	listener *drainer
	owner    *owner

	serving sync.WaitGroup // the accept loop and what watches connections

	stop     sync.Once     // guards the closing of quit
	quit     chan struct{} // closed by halt: nothing is answered any more
	draining sync.Once     // guards the beginning of Shutdown
}

// StartServer starts a view service on addr, as the lab does: a path of a Unix
// socket if it holds a slash, else host:port. It panics if it cannot, with
// the error that Start returns instead, which names the address.
func StartServer(addr string) *MonitorServer {
	s, err := Start(addr)
	if err != nil {
		panic(err)
	}
	return s
}

// Start starts a view service on addr, a path of a Unix socket if it holds a
// slash, else host:port, with port 0 for a free one. The error names the address;
// it wraps syscall.EADDRINUSE if somebody listens there already, ErrBadOption if a
// setting makes no sense, and, of a data directory (WithData), ErrDataInUse or
// ErrDamaged, naming the directory or the file. What is damaged is never replaced.
func Start(addr string, opts ...Option) (*MonitorServer, error) {
	describe()
	o, err := newOptions(opts)
	if err != nil {
		return nil, notStarted(addr, o, nil, err)
	}
	var data *dataDir
	if o.data != "" {
		if data, err = makeData(o.data, o.files); err != nil {
			return nil, notStarted(addr, o, nil, err)
		}
	}
	s := &MonitorServer{opts: o, quit: make(chan struct{})}
	if s.owner, err = newOwner(s, data); err != nil {
		return nil, notStarted(addr, o, data, err)
	}
	l := o.listener
	if l == nil {
		if l, err = rpcnet.Listen(addr); err != nil {
			return nil, notStarted(addr, o, data, err)
		}
	}
	if addr == "" || rpcnet.Network(addr) == "tcp" {
		addr = l.Addr().String() // with the port, if the caller left that open
	}
	s.addr, s.listener, s.log = addr, newDrainer(l), o.logger.With("monitor", addr)
	s.serve()
	return s, nil
}

// notStarted returns the error of a Start that failed, and gives back what it had.
func notStarted(addr string, o options, data *dataDir, err error) error {
	if o.listener != nil {
		o.listener.Close()
	}
	if data != nil {
		data.close()
	}
	return fmt.Errorf("start view service on %s: %w", addr, err)
}

// serve starts the goroutines.
func (s *MonitorServer) serve() {
	s.rpc = rpcnet.NewServer(rpcnet.ServerConfig{
		Service:     func(c *rpcnet.Conn) (string, any) { return "MonitorServer", &service{server: s, conn: c} },
		MaxConns:    s.opts.limits.Conns,
		MaxInFlight: callsPerConn,
		MaxFrame:    requestMax,
		Logger:      s.log,
	})
	s.serving.Go(func() {
		err := s.rpc.Serve(s.listener)
		// ErrClosed: Kill came before this goroutine.
		if err != nil && !errors.Is(err, rpcnet.ErrClosed) && !s.listener.isDraining() {
			s.log.Error("view service accepts no more connections", "err", err)
		}
	})
	s.owner.tellStart()
	if k := s.owner.keeper; k != nil {
		go k.run(s.quit)
	}
	go s.owner.run()
}

// drawCluster draws a cluster id (rule V0).
func drawCluster() (uint64, error) {
	var b [8]byte
	for {
		if _, err := crand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("draw a cluster id: %w", err)
		}
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return id, nil
		}
	}
}

// Addr returns the address at which the service listens.
func (s *MonitorServer) Addr() string { return s.addr }

// Done is closed when the service has stopped, of its own accord or because it
// was told to.
func (s *MonitorServer) Done() <-chan struct{} { return s.owner.done }

// Err returns why the service stopped of its own accord, nil if it did not: an
// invariant broke, and the error is or wraps the *tandem.InvariantError.
func (s *MonitorServer) Err() error { return s.owner.failure() }

// Status returns what the service knows. After it has stopped, it is what it
// knew last, with Down set.
func (s *MonitorServer) Status() Status {
	if st, err := s.owner.status(nil); err == nil {
		return st
	}
	<-s.owner.done
	st := s.owner.last
	st.Down, st.Why = true, ErrStopped.Error()
	if err := s.Err(); err != nil {
		st.Why += ": " + err.Error()
	}
	return st
}

// Kill is a crash: listener and every connection are cut at once, and no
// goroutine is left when it returns. A view on its way to the disk is kept or not.
// If the disk does not answer within a second, the goroutine that waits for it is
// left to end when it does; the data directory is in use until then. Any number of
// calls is fine, also at the same time as Shutdown and Close.
func (s *MonitorServer) Kill() {
	s.halt()
	<-s.owner.done // as it fails it may start something to wait for
	s.rpc.Close()
	s.serving.Wait()
	if k := s.owner.keeper; k != nil {
		patience := time.NewTimer(abandonDisk)
		defer patience.Stop()
		select {
		case <-k.done:
		case <-patience.C:
		}
	}
}

// halt has the owner and every handler give up.
func (s *MonitorServer) halt() { s.stop.Do(func() { close(s.quit) }) }

// Shutdown is a departure: no new connection is accepted, every Get that waits
// is answered with the present view, replies on their way are written, and then
// the service stops as by Kill. If ctx ends before that, the rest is cut, and the
// error wraps the context's.
func (s *MonitorServer) Shutdown(ctx context.Context) error {
	s.draining.Do(func() {
		// A Get whose connection is read no more is answered with what there is.
		s.listener.beginDrain()
		s.listener.endReading()
	})
	err := s.listener.wait(ctx, s.quit)
	s.Kill()
	if err != nil {
		return fmt.Errorf("shut down view service on %s: %w", s.addr, err)
	}
	return nil
}

// Close is Shutdown with a bound of 5 s.
func (s *MonitorServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return s.Shutdown(ctx)
}

// statusOf translates the core's status, which counts in ticks. It is for the owner,
// when it has stamped all changes.
func (s *MonitorServer) statusOf(st view.Status, waiting int) Status {
	tick := s.opts.pingInterval / time.Duration(st.TicksPerPing)
	out := Status{
		Addr: s.addr, View: st.View, Active: st.Active, InSync: st.InSync,
		Down: st.Down, LostMemory: st.LostMemory, Why: st.Why,
		PingInterval: s.opts.pingInterval, DeadPings: s.opts.deadPings, Waiting: waiting,
	}
	if k := s.owner.keeper; k != nil {
		out.Data, out.DiskTrouble = s.opts.data, k.trouble()
		if out.DiskTrouble != "" {
			out.Why += ": " + out.DiskTrouble
		}
	}
	for _, k := range st.Servers {
		out.Servers = append(out.Servers, ServerStatus{
			Server: k.Server, Number: k.Number, Silent: time.Duration(k.Silent) * tick, Heard: k.Heard,
			Suspected: k.Suspected, Leaving: k.Leaving, CoolDown: time.Duration(k.CoolDown) * tick, InSync: k.InSync,
		})
	}
	now := time.Now() // once, so that the ages of changes are in their order
	for i, c := range st.History {
		out.History = append(out.History, Change{View: c.View, Active: c.Active, Rule: c.Rule, Reason: c.Reason,
			Ago: now.Sub(s.owner.stamps[i])})
	}
	return out
}

package sysmonitor

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// Limits are the bounds of a view service. A field that is zero or negative takes
// its default.
type Limits struct {
	Conns   int           // connections open at once, default 4096: every server and every client that waits holds one
	Waiters int           // Gets that wait for a newer view, default 16384; more get ErrBusy
	Servers int           // servers remembered (rule V2), default 1024; more get ErrBusy
	Wait    time.Duration // the longest that a Get waits, default 10 s
}

// ErrBadOption is wrapped by the errors of Start about a setting that makes no sense.
var ErrBadOption = errors.New("bad setting")

// Option is a setting of a view service, for Start.
type Option func(*options)

type options struct {
	pingInterval time.Duration
	deadPings    int
	listener     net.Listener
	logger       *slog.Logger
	limits       Limits
	cluster      uint64
	group        uint32
	hints        bool
	dial         dialer
	data         string
	listenPings  int
	files        files
}

// WithPingInterval sets the time between two pings, default PingInterval. The
// servers learn it from the replies to their pings and follow it. At least 4 ms.
func WithPingInterval(d time.Duration) Option { return func(o *options) { o.pingInterval = d } }

// WithDeadPings sets the number of ping intervals without a ping after which a
// server is suspected, default DeadPings. At least 2: with fewer, a ping that is
// a little late is a dead server.
func WithDeadPings(n int) Option { return func(o *options) { o.deadPings = n } }

// WithListener serves on a listener that is open already instead of opening one
// on the address. The service owns it from then on, also if Start fails.
func WithListener(l net.Listener) Option { return func(o *options) { o.listener = l } }

// WithLogger sets where the service logs: changes of view at Info, one line each;
// refusals, a group that is down and a disk in trouble at Warn; the end of its memory
// or of itself at Error; whatever else the rules do at Debug.
// Default: Error and above, to standard error.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithLimits sets the bounds of the service.
func WithLimits(l Limits) Option { return func(o *options) { o.limits = l } }

// WithCluster sets the cluster id that the first view gets (rule V0). Default: a
// random one, as it should be, but for tests.
func WithCluster(id uint64) Option { return func(o *options) { o.cluster = id } }

// WithGroup sets the group of servers that this service forms views of, default
// zero. Pings and Gets of another group are refused.
func WithGroup(group uint32) Option { return func(o *options) { o.group = group } }

// WithData has the service keep its views in a directory, which is made if it is
// missing: a view is durable there before anybody hears of it (rule V10), and a
// service that is started again goes on from what it finds. One monitor at a time
// can use a directory. Default: none, the views are in memory alone, and one that
// is started again has lost them (rule V0).
func WithData(dir string) Option { return func(o *options) { o.data = dir } }

// WithListening has a service that finds no view in its data directory, or has none,
// only listen for so many ping intervals before it makes its first view. It may have
// lost its memory: then whoever still serves the cluster that it has forgotten is
// heard first, and not a server that starts as fresh as itself, which would become the
// primary of a new and empty cluster (rule V0). A server gives a ping up after DeadPings
// intervals, so a few more than those make sense. A lab server is not kept
// waiting, for it names no cluster. Default none.
func WithListening(pings int) Option { return func(o *options) { o.listenPings = pings } }

// WithoutHints makes suspicion depend on missed pings alone. By default the end
// of a server's connection is a hint that the server is gone (rule V7): it is
// then suspected at once if nobody listens at its address any more, to which the
// service therefore makes a connection, and else unless it pings again within two
// ping intervals. Connections that carried a single ping, and lab servers', are
// never a hint.
func WithoutHints() Option { return func(o *options) { o.hints = false } }

func newOptions(opts []Option) (options, error) {
	o := options{pingInterval: PingInterval, deadPings: DeadPings, hints: true, dial: new(net.Dialer).DialContext, files: osFiles{}}
	for _, opt := range opts {
		opt(&o)
	}
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.limits.Conns, 4096)
	def(&o.limits.Waiters, 16384)
	def(&o.limits.Servers, 1024)
	if o.limits.Wait <= 0 {
		o.limits.Wait = 10 * time.Second
	}
	if o.logger == nil {
		o.logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	switch {
	case o.pingInterval < ticksPerPing*time.Millisecond:
		return o, fmt.Errorf("%w: ping interval %v is below %v", ErrBadOption, o.pingInterval, ticksPerPing*time.Millisecond)
	case o.deadPings < 2:
		return o, fmt.Errorf("%w: %d dead pings, and at least 2 are needed", ErrBadOption, o.deadPings)
	}
	return o, nil
}

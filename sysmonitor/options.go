package sysmonitor

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/tandemkv/tandem/internal/rpcnet"
)

// PingInterval is how often servers ping unless the view service says otherwise.
const PingInterval = 100 * time.Millisecond

// DeadPings is how many ping intervals without a ping make a server suspected,
// unless the view service is told otherwise.
const DeadPings = 5

// ticksPerPing: suspicion is a quarter of an interval coarse.
const ticksPerPing = 4

// The bounds on a Get that waits.
const (
	// WaitMax is the longest that a Get may wait for a newer view.
	WaitMax = 15 * time.Second
	// WaitersMax is how many may wait at once; further ones are answered at
	// once, as in the lab.
	WaitersMax = 16384
)

type options struct {
	interval  time.Duration
	deadPings int
	cluster   uint64
	maxConns  int
	hints     bool
	listener  net.Listener
	logger    *slog.Logger
}

// Option changes how a MonitorServer works.
type Option func(*options)

// WithPingInterval sets the interval at which servers are to ping. They learn of
// it with the first answer.
func WithPingInterval(d time.Duration) Option { return func(o *options) { o.interval = d } }

// WithDeadPings sets how many intervals without a ping make a server suspected.
func WithDeadPings(n int) Option { return func(o *options) { o.deadPings = n } }

// WithCluster sets the id that the cluster gets when its first view forms. The
// default is drawn at random. Zero is none and means the default.
func WithCluster(id uint64) Option { return func(o *options) { o.cluster = id } }

// WithMaxConns bounds the connections; further ones are closed at once. The
// default is 4096: every server and every waiting client holds one.
func WithMaxConns(n int) Option { return func(o *options) { o.maxConns = n } }

// WithoutHints makes suspicion depend on missed pings alone. By default a
// connection that breaks shortens the time that its server is given to ping
// again (rule V7).
func WithoutHints() Option { return func(o *options) { o.hints = false } }

// WithListener makes the server accept connections from l, which it then owns.
func WithListener(l net.Listener) Option { return func(o *options) { o.listener = l } }

// WithLogger sets where to log. The default discards.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

type clientOptions struct {
	faults      *rpcnet.Faults
	dialPerCall bool
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
}

// ClientOption changes how a Client works.
type ClientOption func(*clientOptions)

// WithDialPerCall gives the lab's transport: one connection per RPC and no short
// deadline.
func WithDialPerCall() ClientOption { return func(o *clientOptions) { o.dialPerCall = true } }

// WithDialer replaces the function that opens connections; network is "unix" or
// "tcp".
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) ClientOption {
	return func(o *clientOptions) { o.dial = dial }
}

// WithFaults puts a faulty network between the client and the view service. It
// is for the tests of this module.
func WithFaults(f *rpcnet.Faults) ClientOption { return func(o *clientOptions) { o.faults = f } }

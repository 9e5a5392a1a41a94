package kvservice

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// Limits are what a server or client allows. A field that is zero or negative
// takes its default. Servers of one group may differ: what decides the effect of
// an operation is written into the log by the primary that orders it (rule L6).
type Limits struct {
	MaxKey   int // bytes of a key; default 64 KiB
	MaxValue int // bytes of a value, also of one that an Append makes; default 16 MiB

	// MaxConns bounds a server's connections; further ones are closed at once.
	// Default 1024.
	MaxConns int
	// MaxWaiting bounds the requests that wait at a server for authority, for
	// room in the log or for a read's confirmation; beyond it requests are
	// refused with ErrBusy, and clients try again. Default 16384.
	MaxWaiting int
	// MaxInFlightBytes bounds the updates that are ordered and not yet
	// committed; beyond it requests wait (rule L5). Default 64 MiB.
	MaxInFlightBytes int
	// MaxAnswerBytes bounds the answers that clients have not taken in yet;
	// beyond it requests wait. A connection whose peer takes nothing in is closed
	// after 3 s. Default 32 MiB.
	MaxAnswerBytes int
	// MaxTransferBytes bounds the updates kept for a backup that is being
	// brought up to date. Beyond half of it writes are slowed, as much as it takes
	// for the rest to last until the backup has everything (rule T5). An update
	// takes what it takes of RetainBytes; one that takes more than half of this waits
	// for much of the transfer, and those behind it, too. Default 64 MiB.
	MaxTransferBytes int
	// RetainBytes is how much of the log stays when it is applied everywhere, for a
	// server that was away and returns: it is sent what it missed, if that is all
	// there, and else the whole state (rule T4). An update takes its command and 64
	// bytes: 64 MiB are some 300,000 of 100 bytes. Default 64 MiB.
	RetainBytes int

	// MaxSessions bounds a server's session table, default 65536, and the
	// sessions of one client, which are its updates in flight, default 256. A
	// client's sessions stay in the table until they expire, also when it has
	// been closed. While the table is full, a new session takes the place of
	// those idle for a minute; if there are none, it waits.
	MaxSessions int
	// ReplyBytes bounds the data held in stored replies (PutHash stores the
	// value it replaced); beyond it the sessions idle for longest expire.
	// Default 64 MiB.
	ReplyBytes int
	// SessionTTL is how long a session lives without an update, counted by the
	// log's time. Servers look for old ones every 10 s. Default 30 minutes.
	SessionTTL time.Duration

	// MaxScans bounds the snapshots that a server holds for scans; beyond it
	// the oldest is given up. Default 64.
	MaxScans int
}

// store returns the limits of a server's store.
func (l Limits) store() store.Limits {
	return store.Limits{
		MaxKey:           l.MaxKey,
		MaxValue:         l.MaxValue,
		MaxSessions:      l.MaxSessions,
		ReplyBudget:      l.ReplyBytes,
		SessionTTLMillis: l.SessionTTL.Milliseconds(),
		MaxCursors:       l.MaxScans,
	}
}

// withDefaults returns the limits that a client checks by, defaults filled in.
func (l Limits) withDefaults() Limits {
	s := store.New(l.store()).Limits()
	l.MaxKey, l.MaxValue = s.MaxKey, s.MaxValue
	if l.MaxAnswerBytes <= 0 {
		l.MaxAnswerBytes = 32 << 20
	}
	if l.RetainBytes <= 0 {
		l.RetainBytes = 64 << 20
	}
	// The defaults of these are the core's, which takes zero for them alone.
	for _, field := range []*int{&l.MaxWaiting, &l.MaxInFlightBytes, &l.MaxTransferBytes} {
		*field = max(*field, 0)
	}
	return l
}

// frame returns the bound on a gob message: a CompareAndSwap holds two values,
// and a batch of forwards one value more than it aims at.
func (l Limits) frame() int {
	l = l.withDefaults()
	return max(rpcnet.DefaultMaxFrame, 3*l.MaxValue+2*l.MaxKey+2*maxBatchBytes)
}

type options struct {
	limits      Limits
	logger      *slog.Logger
	faults      *rpcnet.Faults
	dialPerCall bool
	dial        dialFunc

	// Of servers.
	listener     net.Listener
	advertise    string
	closeTimeout time.Duration
	lease, grace time.Duration
	clockErrPPM  int

	// Of clients.
	name           string
	attemptTimeout time.Duration
}

// Option changes how a server or a client works. Options that concern only one
// of the two are ignored by the other.
type Option func(*options)

func makeOptions(opts []Option) options {
	o := options{
		closeTimeout:   DefaultCloseTimeout,
		attemptTimeout: defaultAttemptTimeout,
	}
	for _, opt := range opts {
		opt(&o)
	}
	if o.logger == nil {
		o.logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	o.limits = o.limits.withDefaults()
	return o
}

// WithLimits sets the limits.
func WithLimits(l Limits) Option { return func(o *options) { o.limits = l } }

// WithLogger sets where to log. At Info a server logs each view, with what that
// changes for it and why, each time that it comes to be in sync with the other
// member, and the end of trouble; at Warn trouble with the view service, its backup
// or connections, when it begins; at Error what stops a server or client; at Debug
// the rules that fire. The default prints errors to standard error, and nothing
// else.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithDialer replaces the function that opens connections; network is "unix" or
// "tcp".
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(o *options) { o.dial = dial }
}

// WithDialPerCall gives the lab's transport: one connection per RPC, and no
// short deadline on it. It suits set-ups that cut a path by removing a socket
// file, or delay it behind a proxy, and is slow.
func WithDialPerCall() Option { return func(o *options) { o.dialPerCall = true } }

// WithListener makes a server accept connections from l, which it then owns,
// instead of listening on its address itself.
func WithListener(l net.Listener) Option { return func(o *options) { o.listener = l } }

// WithAdvertise sets the address by which others reach a server, if it is not
// the one it listens on: they cannot dial 0.0.0.0, or an address without a host.
// Port 0 stands for the one that it listens on.
func WithAdvertise(addr string) Option { return func(o *options) { o.advertise = addr } }

// WithCloseTimeout bounds the departure that Close attempts. The default is
// DefaultCloseTimeout.
func WithCloseTimeout(d time.Duration) Option { return func(o *options) { o.closeTimeout = d } }

// WithLeases lets a primary answer reads without asking its backup (rule R3), for
// lease after it sent the last message that the backup acknowledged; and it makes
// this server, when it is to take over from a primary, wait until grace after the
// last message that it accepted. Start refuses times that do not fit: lease must be
// at most grace*(1-r)/(1+r), with r = clockErrorPPM/1e6.
//
// Reads get faster, and a fail-over may take longer by up to grace. Either time may be
// given without the other: lease zero asks the backup as before, grace zero promises
// nothing, and a primary uses its lease only while its present backup promises
// grace enough. Give all servers of a group the same.
//
// Reads are then only as right as the clocks: the monotonic clock of each machine
// must be within clockErrorPPM of true time (200 is ample for common hardware) and must
// not stand still while the process runs nothing. A virtual machine that is paused,
// or a laptop that sleeps, may break that, and could answer a read from the past;
// without leases no clock matters. A process that is stopped alone does no harm.
//
// A lease of a few ping intervals is a good start. One shorter than an interval
// runs out between the heartbeats of a quiet primary, and then reads ask the backup.
func WithLeases(lease, grace time.Duration, clockErrorPPM int) Option {
	return func(o *options) { o.lease, o.grace, o.clockErrPPM = lease, grace, clockErrorPPM }
}

// WithName names a client in a faulty network (WithFaults). By default the name is
// drawn.
func WithName(name string) Option { return func(o *options) { o.name = name } }

// WithAttemptTimeout sets how long a client waits for an answer to one attempt
// at a request before it tries again, even if it hears of no newer view and the
// connection is alive. The default is 30 s, and zero is for ever.
func WithAttemptTimeout(d time.Duration) Option {
	return func(o *options) { o.attemptTimeout = d }
}

// WithFaults puts a faulty network between a server or client and everything it
// calls. It is for the tests of this module.
func WithFaults(f *rpcnet.Faults) Option { return func(o *options) { o.faults = f } }

// replica returns the settings of a server's core, apart from who it is.
func (o *options) replica() replica.Config {
	return replica.Config{
		PingTicks:          ticksPerPing,
		MaxInFlightBytes:   o.limits.MaxInFlightBytes,
		MaxTransferBytes:   o.limits.MaxTransferBytes,
		MaxWaiting:         o.limits.MaxWaiting,
		MaxAnswerBytes:     o.limits.MaxAnswerBytes,
		MaxEntriesToRetain: o.limits.RetainBytes, // no bound: their bytes have one
		MaxBytesToRetain:   o.limits.RetainBytes,
		Lease:              o.lease,
		Grace:              o.grace,
		ClockErrorPPM:      o.clockErrPPM,
	}
}

// stallTimeout is how long nothing may move on a connection that owes something.
const stallTimeout = 3 * time.Second

// transport returns a transport; settled, which may be nil, is called after calls have
// come to their end.
func (o *options) transport(name string, settled func()) *rpcnet.Transport {
	return rpcnet.NewTransport(rpcnet.TransportConfig{
		Name:         name,
		Dial:         o.dial,
		DialPerCall:  o.dialPerCall,
		StallTimeout: stallTimeout,
		MaxFrame:     o.limits.frame(),
		Faults:       o.faults,
		Compact:      compactMethods,
		OnSettled:    settled,
	})
}

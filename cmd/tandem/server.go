package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

// defaultServer is where a server listens if nobody says where.
const defaultServer = "127.0.0.1:7001"

// serverCommand runs a key/value server.
type serverCommand struct {
	daemon
	listen      string
	advertise   string
	monitor     string
	routes      routes
	leaveWithin time.Duration

	maxValue, maxInFlight byteSize
	retain, transferLog   byteSize
	maxConns, maxSessions int
	sessionTTL            time.Duration

	lease, grace  time.Duration
	clockErrorPPM int
}

func newServerCommand() *cobra.Command {
	c := &serverCommand{maxValue: defaultMaxValue, maxInFlight: 64 << 20, retain: 64 << 20, transferLog: 64 << 20}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a key/value server",
		Long: `Run one key/value server. It pings the view service, which tells it whether it is
the primary, the backup or idle: the first becomes primary, the next backup, and any
more stand by. A server keeps everything in memory, and what it is told by clients is
safe as long as one member of the last view lives. It need not wait for the view
service to be there.

By the address that it is known by, others dial it: --listen, or --advertise where
that is another, as behind 0.0.0.0 or a port that is forwarded. When it comes back at
an address, it comes back empty, and is brought up to date.

It prints one line once it serves. A first Ctrl-C or SIGTERM has it leave in order: a
primary hands over to its backup, and clients do not notice. One that has nobody to
hand over to goes on serving, says what it waits for, and leaves when it can. A second
one ends it at once, and loses what only this server has.

Beside what it holds it lets garbage take 64 MiB, or a quarter of that if it is more,
and gives memory back to the system when there is little to do; the environment's GOGC
and GOMEMLIMIT, if set, say otherwise.

Leases (--lease, with --grace) let a primary read without asking its backup. Then what
it reads is only as right as the clocks: give all servers the same values, and see
docs/protocol.md, R3, first.

Exit status: 0 it left in order; 1 an invariant broke, and it stopped by itself;
3 it could not start, or was ended at once, without handing over; 64 the command line
was not understood.`,
		Example: `  tandem server
  tandem server --listen 127.0.0.1:7002
  tandem server --listen 10.0.0.2:7001 --monitor 10.0.0.1:7000
  tandem server --listen 0.0.0.0:7001 --advertise kv2.example:7001 --monitor kv1.example:7000
  tandem server --lease 300ms --grace 301ms    # all servers of the cluster alike`,
		Args: noArguments,
		RunE: c.run,
	}
	c.addFlags(cmd)
	return cmd
}

func (c *serverCommand) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", defaultServer,
		"`address` to listen on: host:port, port 0 for a free one, or the path of a Unix socket")
	f.StringVar(&c.advertise, "advertise", "",
		"`address` by which others reach this server, if it is not that of --listen; port 0 for the port of --listen")
	f.StringVar(&c.monitor, "monitor", defaultMonitor, "`address` of the view service, or several separated by commas")
	c.routes.addFlags(cmd)
	f.DurationVar(&c.leaveWithin, "leave-within", 0,
		"how long to wait for somebody to hand over to when told to leave, and then end at once; 0 for ever")

	f.Var(&c.maxValue, "max-value", "largest value; clients that store larger ones than by default must be told, too")
	f.Var(&c.maxInFlight, "max-in-flight", "most of updates that wait for the backup; more wait at their clients")
	f.Var(&c.retain, "retain", "most of past updates that are kept for a server that returns, which is then sent only what it missed")
	f.Var(&c.transferLog, "transfer-log", "most of updates that are kept while a backup is brought up to date; beyond half of it writes are slowed")
	f.IntVar(&c.maxConns, "max-conns", 1024, "most connections; further ones are closed at once")
	f.IntVar(&c.maxSessions, "max-sessions", 65536, "most sessions of clients; a client has one for each update that it has under way")
	f.DurationVar(&c.sessionTTL, "session-ttl", 30*time.Minute, "how long a session lives without an update")

	f.DurationVar(&c.lease, "lease", 0, "how long a primary may read without asking its backup; 0: it always asks")
	f.DurationVar(&c.grace, "grace", 0, "how long a backup waits before it takes over, so that no lease can be left; at least --lease and the clocks' error")
	f.IntVar(&c.clockErrorPPM, "clock-error-ppm", 200, "by how much the clocks of servers may go wrong, in millionths")
	c.daemon.addFlags(cmd)
}

// check returns a usageError if the flags make no sense.
func (c *serverCommand) check() error {
	if err := checkAddresses("--monitor", c.monitor); err != nil {
		return err
	}
	if err := c.checkKnown(); err != nil {
		return err
	}
	for _, limit := range []struct {
		flag     string
		positive bool
	}{
		{"--max-conns", c.maxConns > 0},
		{"--max-sessions", c.maxSessions > 0},
		{"--session-ttl", c.sessionTTL >= time.Millisecond},
		{"--max-value", c.maxValue > 0},
		{"--max-in-flight", c.maxInFlight > 0},
		{"--retain", c.retain > 0},
		{"--transfer-log", c.transferLog > 0},
	} {
		if !limit.positive {
			return usageErrorf("%s: must be more than nothing", limit.flag)
		}
	}
	if c.leaveWithin < 0 {
		return usageErrorf("--leave-within %v: must not be negative", c.leaveWithin)
	}
	return nil
}

// checkKnown checks that others can dial what this server would be known by.
func (c *serverCommand) checkKnown() error {
	if err := checkAddress("--listen", c.listen); err != nil {
		return err
	}
	if c.advertise == "" {
		if isEverywhere(c.listen) {
			return usageErrorf("--listen %s: is every address of this host, and none that others could dial: say with --advertise by which they reach this server", c.listen)
		}
		return nil
	}
	if err := checkAddress("--advertise", c.advertise); err != nil {
		return err
	}
	if isEverywhere(c.advertise) {
		return usageErrorf("--advertise %s: names no host that others could dial", c.advertise)
	}
	if networkOf(c.listen) != "tcp" && portOf(c.advertise) == "0" {
		return usageErrorf("--advertise %s: port 0 stands for the one that this server listens on, and %s has none", c.advertise, c.listen)
	}
	return nil
}

// start starts the server.
func (c *serverCommand) start(log *slog.Logger) (*kvservice.KVServer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	dial, err := c.routes.dialer()
	if err != nil {
		return nil, err
	}
	opts := []kvservice.Option{
		kvservice.WithLogger(log),
		kvservice.WithLeases(c.lease, c.grace, c.clockErrorPPM),
		kvservice.WithLimits(kvservice.Limits{
			MaxValue: int(c.maxValue), MaxInFlightBytes: int(c.maxInFlight),
			RetainBytes: int(c.retain), MaxTransferBytes: int(c.transferLog),
			MaxConns: c.maxConns, MaxSessions: c.maxSessions, SessionTTL: c.sessionTTL,
		}),
	}
	if c.advertise != "" {
		opts = append(opts, kvservice.WithAdvertise(c.advertise))
	}
	if dial != nil {
		opts = append(opts, kvservice.WithDialer(dial))
	}
	s, err := kvservice.Start(c.monitor, c.listen, opts...)
	if errors.Is(err, kvservice.ErrBadOption) {
		return nil, &usageError{err}
	}
	return s, failed(err)
}

func (c *serverCommand) run(cmd *cobra.Command, _ []string) error {
	log, err := c.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	s, err := c.start(log)
	if err != nil {
		return err
	}
	defer s.Kill()
	defer keepHeap()()
	orders, stop := c.orders(cmd.Context(), cmd.InOrStdin(), log)
	defer stop()
	err = c.announce(cmd.OutOrStdout(), ready{
		Role: "server", Addr: s.ListenAddr(), Advertise: s.Addr(), Incarnation: fmt.Sprintf("%x", s.Incarnation()),
	})
	if err != nil {
		return failed(err)
	}
	select {
	case <-s.Done():
		return stoppedByItself(s)
	case o := <-orders:
		if o == leave {
			d := departure{server: s, log: log, within: c.leaveWithin, orders: orders}
			return d.run()
		}
		s.Kill()
		return endedAtOnce("as it was told")
	}
}

// stoppedByItself returns the error for a server that nobody told to end.
func stoppedByItself(s *kvservice.KVServer) error {
	if s.Err() != nil {
		return concluded(broken) // it has logged what it saw
	}
	return failed(kvservice.ErrStopped)
}

// endedAtOnce returns the error for a server that did not leave in order.
func endedAtOnce(why string) error {
	return failed(fmt.Errorf("ended at once, %s, without handing over", why))
}

// departure is a server that was told to leave.
type departure struct {
	server *kvservice.KVServer
	log    *slog.Logger
	within time.Duration // 0: for ever
	orders <-chan order
}

const (
	// firstWord is when a server that is leaving first says what it waits for: a
	// handover that goes well is over by then.
	firstWord = 250 * time.Millisecond
	// remindMin is until it says so again; that doubles from time to time, up to
	// remindMax.
	remindMin = 5 * time.Second
	remindMax = time.Minute
)

// run lets the server leave in order (rule V11), or ends it at once, if that is
// ordered or takes too long.
func (d *departure) run() error {
	d.log.Info("leaving")
	left := make(chan error, 1)
	go func() { left <- d.server.Shutdown(context.Background()) }()
	var overdue <-chan time.Time
	if d.within > 0 {
		timer := time.NewTimer(d.within)
		defer timer.Stop()
		overdue = timer.C
	}
	reminder, again := time.NewTimer(firstWord), remindMin
	defer reminder.Stop()
	for {
		ending := ""
		select {
		case err := <-left:
			return d.outcome(err, "")
		case <-reminder.C:
			// Whoever holds nothing is missed by nobody: where nobody lets it go, it goes.
			st, reminded := d.server.Status(), again > remindMin
			if st.Leaving && !st.HoldsState && (reminded || st.MonitorTrouble != "") {
				return d.vanish(left, st)
			} else if st.Leaving {
				d.tell(st)
			}
			reminder.Reset(again)
			again = min(2*again, remindMax)
		case o := <-d.orders:
			if o == kill {
				ending = "as it was told"
			}
		case <-overdue:
			ending = fmt.Sprintf("since it could not leave within %v", d.within)
		}
		if ending != "" {
			d.server.Kill()
			return d.outcome(<-left, ending)
		}
	}
}

// outcome returns what a departure comes to: it may have succeeded at the last
// moment. Ending is why it was cut short.
func (d *departure) outcome(err error, ending string) error {
	switch {
	case err == nil:
		d.log.Info("left in order")
		return nil
	case d.server.Err() != nil:
		return concluded(broken)
	case ending != "":
		return endedAtOnce(ending)
	}
	return failed(err)
}

// vanish ends a server that nobody would miss, while nobody is there to say so, or
// its name stands in a view that will not be followed (V9).
func (d *departure) vanish(left <-chan error, st kvservice.Status) error {
	d.server.Kill()
	<-left
	d.log.Info("left, though nobody has said that it may: it holds no data", d.waits(st)...)
	return nil
}

// tell logs what the departure waits for.
func (d *departure) tell(st kvservice.Status) {
	message := "still leaving; a further signal ends this server at once, and what only it holds is lost"
	if !st.HoldsState {
		message = "still leaving; it holds no data"
	}
	d.log.Warn(message, d.waits(st)...)
}

// waits returns what stands in the way, for a log.
func (d *departure) waits(st kvservice.Status) []any {
	attrs := []any{"waits", st.LeaveWaitsFor}
	if st.MonitorTrouble != "" {
		attrs = append(attrs, "view service", st.MonitorTrouble)
	}
	return attrs
}

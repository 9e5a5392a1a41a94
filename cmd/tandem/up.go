package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/cluster"
)

// upCommand runs a whole cluster.
type upCommand struct {
	config       string
	servers      int
	dump         string
	runDir       string
	pingInterval time.Duration
	deadPings    int
	logLevel     string
	json         bool
}

// mostServers bounds what one machine is asked to start; a file may have more.
const mostServers = 64

func newUpCommand() *cobra.Command {
	c := new(upCommand)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole cluster: a view service and servers",
		Long: `Run a whole cluster and look after it: a view service and servers, each a process of
its own, on free ports of this machine; the view service on ` + defaultMonitor + `, where all
commands look for it, if that is free. What happens is printed, a line each, with
process ids, so that you can kill one in another terminal and watch. A process that
ends is started again at its port: a server comes back empty, and is brought up to
date as the backup, or stands by until one is needed.

With --config the cluster is what a file says, in TOML:

  [monitor]
  host = "10.0.0.1"          # default 127.0.0.1; where it runs, and how others reach it
  port = 7000                # 0, the default: a free one
  data = "/var/lib/tandem"   # default: in the run folder, if it runs on this host

  [[server]]                 # one such table for each server
  host = "10.0.0.2"          # default 127.0.0.1
  port = 7001                # 0, the default: a free one

  [remote]                         # for hosts that are not this one
  command = "ssh {host} {command}" # the default: how a command is run there
  binary  = "tandem"               # the default: what the binary is called there

The remote command is split into words as a shell would, with '...', "..." and \ to
keep blanks, and nothing else; then {host}, {name} (server-2, say) and {command} are
filled in, the last as one text for the shell of that host. ssh must not have to ask
anything, so it needs a key; with -o ServerAliveInterval=5 it notices a host that is
gone. All hosts and clients must reach each host by what it is called here.

Ctrl-C, or Ctrl-D at a terminal, ends it. The servers leave one after the other, the
primary last, and what they held goes with them: with --dump the table of each is
written to a file first. A second Ctrl-C ends all at once. The processes also end
when this one is killed, on other hosts too.

The run folder gets monitor.log and server-1.log ..., what the processes log;
events.log, what is printed here; and monitor-data, the views. Without --run-dir it
is a new one in the directory for temporary files. It stays.

Exit status: 0 ended in order; 3 it could not start, or a table could not be written,
or it was ended at once; 64 the command line or the file was not understood.`,
		Example: `  tandem up
  tandem up --servers 5 --run-dir ./run
  tandem up --dump ./tables            # write the table of each server when it ends
  tandem up --config cluster.toml
  tandem up --json | jq -r 'select(.kind == "view") | .text'`,
		Args: noArguments,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.config, "config", "", "TOML `file` that says what runs where")
	f.IntVar(&c.servers, "servers", 3, "how many servers, without --config")
	f.StringVar(&c.dump, "dump", "", "write the table of each server to `directory`/server-1.jsonl ... before it ends")
	f.StringVar(&c.runDir, "run-dir", "", "run folder: a `directory`, made if it is not there (default: a new one among temporary files)")
	f.DurationVar(&c.pingInterval, "ping-interval", 0, "how often servers ping the view service (default: as tandem monitor has it)")
	f.IntVar(&c.deadPings, "dead-pings", 0, "ping intervals without a ping after which a server is taken for dead (default: as tandem monitor has it)")
	f.StringVar(&c.logLevel, "log-level", "info", "what the processes log: debug, info, warn or error, and all that is worse")
	completeWords(cmd, "log-level", logLevels...)
	f.BoolVar(&c.json, "json", false, "print each event as one JSON object in a line")
	return cmd
}

// check returns a usageError if the flags make no sense.
func (c *upCommand) check(cmd *cobra.Command) error {
	switch {
	case c.config != "" && cmd.Flags().Changed("servers"):
		return usageErrorf("--servers %d: the file of --config says which servers there are", c.servers)
	case c.servers < 1 || c.servers > mostServers:
		return usageErrorf("--servers %d: must be 1 to %d", c.servers, mostServers)
	case c.pingInterval < 0:
		return usageErrorf("--ping-interval %v: must not be negative", c.pingInterval)
	case c.deadPings < 0:
		return usageErrorf("--dead-pings %d: must not be negative", c.deadPings)
	}
	_, err := (&daemon{logLevel: c.logLevel, logFormat: logText}).logger(io.Discard)
	return err
}

// cluster returns what is to be started.
func (c *upCommand) cluster() (*cluster.Config, error) {
	if c.config == "" {
		return cluster.Loopback(monitorPort(), c.servers), nil
	}
	cfg, err := cluster.ReadFile(c.config)
	if err != nil {
		return nil, &usageError{err}
	}
	return cfg, nil
}

// monitorPort returns the port where commands look for the view service if nobody
// says where, or 0 if somebody has it already.
func monitorPort() int {
	l, err := net.Listen("tcp", defaultMonitor)
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (c *upCommand) run(cmd *cobra.Command, _ []string) error {
	if err := c.check(cmd); err != nil {
		return err
	}
	cfg, err := c.cluster()
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return failed(fmt.Errorf("find this binary: %w", err))
	}
	if err := c.makeFolders(len(cfg.Servers)); err != nil {
		return failed(err)
	}
	told, err := newEventPrinter(cmd.OutOrStdout(), c.runDir, c.json, len(cfg.Servers) == 1)
	if err != nil {
		return failed(err)
	}
	again := furtherSignals(cmd.Context())
	told.note("the run folder is " + c.runDir)
	s, err := cluster.Up(cmd.Context(), cfg, cluster.Settings{Binary: binary, RunDir: c.runDir, PingInterval: c.pingInterval,
		DeadPings: c.deadPings, LogLevel: c.logLevel, Notify: told.event})
	if err != nil && cmd.Context().Err() != nil {
		err = errors.New("interrupted while the cluster was starting")
	}
	if err != nil {
		return whyNotStarted(err, told.close())
	}
	end := c.awaitEnd(cmd, s, told)
	stop, cancel := untilToldAgain(cmd.Context(), end, again)
	defer cancel()
	err = c.finish(stop, s, told)
	return failed(errors.Join(err, told.close()))
}

// whyNotStarted returns the error that ends the command when the cluster could not be
// started. What a process did not understand was told to this one.
func whyNotStarted(err, closing error) error {
	if end := new(cluster.End); errors.As(err, &end) && end.Code == exitUsage {
		return &usageError{err}
	}
	return failed(errors.Join(err, closing))
}

// makeFolders makes the run folder, and that for tables, in which nothing may be
// overwritten: what is there may be all that is left of something.
func (c *upCommand) makeFolders(servers int) (err error) {
	if c.runDir == "" {
		c.runDir, err = os.MkdirTemp("", "tandem-up-")
	} else {
		err = os.MkdirAll(c.runDir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make the run folder: %w", err)
	}
	if c.dump == "" {
		return nil
	}
	if err := os.MkdirAll(c.dump, 0o755); err != nil {
		return fmt.Errorf("make the folder for tables: %w", err)
	}
	for i := range servers {
		path := filepath.Join(c.dump, tableFile(i))
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("--dump: %s is there already, and would be overwritten", path)
		}
	}
	return nil
}

// awaitEnd waits until the cluster is to end, by a signal or by the end of what is
// typed (closed then), and tells what to try meanwhile.
func (c *upCommand) awaitEnd(cmd *cobra.Command, s *cluster.Supervisor, told *eventPrinter) (typed <-chan struct{}) {
	typed = endOfTyping(cmd.InOrStdin())
	for {
		select {
		case e := <-told.settled:
			told.hints(s.MonitorAddr(), e, typed != nil)
		case <-typed:
			return typed
		case <-cmd.Context().Done():
			return nil
		}
	}
}

// untilToldAgain returns the context of an end in order: it ends with the next
// signal, which is the first one if the end was typed.
func untilToldAgain(ctx context.Context, typed, again <-chan struct{}) (context.Context, context.CancelFunc) {
	if typed != nil {
		return context.WithCancel(ctx)
	}
	stop, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-again:
			cancel()
		case <-stop.Done():
		}
	}()
	return stop, cancel
}

// finish ends the cluster, after its tables were written.
func (c *upCommand) finish(ctx context.Context, s *cluster.Supervisor, told *eventPrinter) error {
	var err error
	if c.dump != "" {
		err = dumpTables(ctx, s, c.dump, told.note)
	}
	s.Stop(ctx)
	if ctx.Err() != nil {
		err = errors.Join(err, errors.New("ended at once, as it was told"))
	}
	return err
}

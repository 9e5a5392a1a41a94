package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/sysmonitor"
)

// monitorCommand runs a view service.
type monitorCommand struct {
	daemon
	listen       string
	data         string
	pingInterval time.Duration
	deadPings    int
}

func newMonitorCommand() *cobra.Command {
	c := new(monitorCommand)
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Run a view service",
		Long: `Run the view service of a cluster: it hears the pings of the servers, and decides
which of them is the primary and which the backup. Servers and clients ask it where
to turn; it never sees a key or a value, and while it is away they go on with the
view that they hold.

With --data it keeps its views in a directory, and can be started again there after
whatever ended it: a view is on disk before anybody hears of it. A disk that is full
or broken holds up the next change of view, not the servers. Without --data the
views are in memory alone: once it has ended, no view can follow the last, and all
servers must be started anew, empty.

It prints one line once it serves. A first Ctrl-C or SIGTERM has it answer what it
was asked and end; a second one ends it at once.

Exit status: 0 it was told to end and did; 1 an invariant broke, and it stopped by
itself; 3 it could not start, or was ended at once; 64 the command line was not
understood.`,
		Example: `  tandem monitor
  tandem monitor --listen 10.0.0.1:7000 --data /var/lib/tandem
  tandem monitor start-over --help                            # when the group is down
  tandem monitor --listen 10.0.0.1:7000 --ping-interval 500ms --dead-pings 10  # a slow network`,
		Args: noArguments,
		RunE: c.run,
	}
	cmd.Flags().StringVar(&c.listen, "listen", defaultMonitor,
		"`address` to listen on: host:port, port 0 for a free one, or the path of a Unix socket")
	cmd.Flags().StringVar(&c.data, "data", "", "`directory` to keep the views in, made if it is missing; empty: in memory alone")
	cmd.Flags().DurationVar(&c.pingInterval, "ping-interval", sysmonitor.PingInterval, "how often servers ping; they follow it")
	cmd.Flags().IntVar(&c.deadPings, "dead-pings", sysmonitor.DeadPings, "ping intervals without a ping after which a server is taken for dead")
	c.daemon.addFlags(cmd)
	cmd.AddCommand(newStartOverCommand())
	return cmd
}

func (c *monitorCommand) run(cmd *cobra.Command, _ []string) error {
	if err := checkAddress("--listen", c.listen); err != nil {
		return err
	}
	log, err := c.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if c.data != "" { // whoever reads of it in a status is elsewhere
		if c.data, err = filepath.Abs(c.data); err != nil {
			return failed(fmt.Errorf("--data: %w", err))
		}
	}
	m, err := sysmonitor.Start(c.listen, sysmonitor.WithLogger(log), sysmonitor.WithData(c.data),
		sysmonitor.WithPingInterval(c.pingInterval), sysmonitor.WithDeadPings(c.deadPings),
		sysmonitor.WithListening(c.deadPings+2))
	if errors.Is(err, sysmonitor.ErrBadOption) {
		return &usageError{err}
	}
	if err != nil {
		return failed(err)
	}
	defer m.Kill()
	if c.data == "" {
		log.Warn("views are in memory alone: when this process ends, all servers have to start anew, empty; --data DIR keeps them")
	}
	orders, stop := c.orders(cmd.Context(), cmd.InOrStdin(), log)
	defer stop()
	if err := c.announce(cmd.OutOrStdout(), ready{Role: "monitor", Addr: m.Addr()}); err != nil {
		return failed(err)
	}
	return serveMonitor(m, orders, log)
}

// serveMonitor lets a view service serve until it is told to end, or stops by itself.
func serveMonitor(m *sysmonitor.MonitorServer, orders <-chan order, log *slog.Logger) error {
	var ending sync.WaitGroup
	defer ending.Wait()
	asked := false
	for {
		select {
		case <-m.Done():
			if m.Err() != nil {
				return concluded(broken) // it has logged what it saw
			}
			return nil
		case o := <-orders:
			if o == kill {
				m.Kill()
				return failed(errors.New("ended at once, as it was told"))
			}
			if !asked {
				asked = true
				log.Info("ending: answering what was asked")
				ending.Go(func() {
					if err := m.Close(); err != nil {
						log.Warn("what was left was cut off", "err", err)
					}
				})
			}
		}
	}
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/pause"
)

// statusFlags are the flags of status.
type statusFlags struct {
	connection
	json     bool
	watching bool
	interval time.Duration
	changes  int
}

func newStatusCommand() *cobra.Command {
	f := new(statusFlags)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell who does what in a cluster, and how it is",
		Long: `Status asks the view service, and then each server that it knows, and tells first
whether the group serves: whether its primary may answer requests; after exclamation
marks what somebody should look at; and then

  view          its number, and whether its primary has acknowledged it (active)
  in sync       the servers that hold all the data, so that one may be primary
  INCARNATION   which life of a server this is: drawn anew when it starts
  SYNC          whether it holds all the data
  COMMITS       alone (solo), with its backup (joint), or not (none); or that it does
                not answer (silent), or has left in order (left)
  LAG           entries that a backup has not acknowledged, as its primary knows
  WAITING       requests that wait in a server
  HEARD ...     who heard whom, and how long ago: the view service heard a ping, the
                server an answer to one, a primary its backup or a backup its primary
  PINGS         sent since the server started, and how many had no answer

and the last changes of the view, with the rule of docs/protocol.md by which each was
made, and why. A server that does not answer within ` + serverBound.String() + ` is told as such.

If the group is down, it tells which server's data it waits for. What to do then is told
in docs/operating.md.

With --watch it goes on until Ctrl-C: on a terminal in one place, elsewhere in blocks
with an empty line between.

With --json it is an object, and with --watch one a line: state (serving, waiting, down,
unknown) and why, waits_for, monitor, cluster, view, in_sync, servers (each with what
the view service knows of it under monitor, and what it tells itself under server,
backup, totals and process; null or absent where nothing was told), changes and notes.
Names that end in _ms are milliseconds, in bytes bytes.

Exit status: 0 the group serves; 1 it does not; 2 unknown, as the primary cannot be
asked from here; 3 no view service answers; 64 usage. With --watch that of the last look.`,
		Example: `  tandem status
  tandem status --watch
  tandem status --monitor 10.0.0.1:7000 --json | jq .state
  until tandem status > /dev/null 2>&1; do sleep 1; done   # wait until it serves`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.connection.addFlags(cmd)
	cmd.Flags().Lookup("timeout").Usage = "how long to wait for the view service; 0 for ever"
	cmd.Flags().BoolVar(&f.json, "json", false, "tell the answer as one JSON object")
	cmd.Flags().BoolVarP(&f.watching, "watch", "w", false, "look again and again")
	cmd.Flags().DurationVar(&f.interval, "interval", time.Second, "how long to wait between two looks with --watch")
	cmd.Flags().IntVar(&f.changes, "changes", 6, "how many of the last changes of view to tell")
	return cmd
}

func (f *statusFlags) run(cmd *cobra.Command) error {
	if f.interval <= 0 {
		return usageErrorf("--interval %v: must be more than nothing", f.interval)
	}
	if f.changes < 0 {
		return usageErrorf("--changes %d: must not be negative", f.changes)
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	monitor, err := f.viewService()
	if err != nil {
		return err
	}
	defer monitor.Close()
	s := &surveyor{asked: f.monitor, monitor: monitor, opts: opts, bound: f.timeout}
	if f.watching {
		return f.watchIt(cmd, s)
	}
	r := s.ask(cmd.Context()).report()
	if err := cmd.Context().Err(); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	if f.json {
		err = writeJSON(cmd.OutOrStdout(), r)
	} else if r.Monitor.Error == "" {
		_, err = io.WriteString(cmd.OutOrStdout(), f.text(r, newScreen(cmd.OutOrStdout())))
	}
	if err != nil {
		return err
	}
	return r.conclude()
}

// text puts a report into words for a screen.
func (f *statusFlags) text(r *statusReport, s *screen) string {
	width, _ := s.size()
	t := &statusText{statusReport: r, paint: paletteFor(s.w, os.Getenv("NO_COLOR")), width: max(width, plainWidth/2), changes: f.changes}
	return t.write()
}

// conclude returns what the command ends with.
func (r *statusReport) conclude() error {
	switch {
	case r.Monitor.Error != "":
		return failed(fmt.Errorf("no answer from %s: %s", r.Monitor.Asked, r.Monitor.Error))
	case r.State == serving:
		return nil
	case r.State == unclear:
		return concluded(unknown)
	}
	return concluded(broken)
}

// watchIt looks again and again until the command is interrupted.
func (f *statusFlags) watchIt(cmd *cobra.Command, s *surveyor) error {
	// It must not stand still for long: the next look may find the view service.
	s.bound = min(cmp.Or(s.bound, serverBound), serverBound)
	view := newScreen(cmd.OutOrStdout())
	var last *statusReport
	var picture string
	defer func() { view.close(picture) }()
	for {
		start := time.Now()
		r := s.ask(cmd.Context()).report()
		if cmd.Context().Err() != nil {
			break // what was asked just now was cut off
		}
		last = r
		var err error
		if f.json {
			err = writeJSONLine(cmd.OutOrStdout(), r)
		} else {
			picture = f.text(r, view)
			err = view.show(picture)
		}
		if err != nil {
			return err
		}
		if pause.For(cmd.Context(), f.interval-time.Since(start)) != nil {
			break
		}
	}
	if last == nil {
		return errors.New("stopped before anybody had answered")
	}
	return last.conclude()
}

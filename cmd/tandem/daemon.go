package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// The levels of logs, from the one that has most.
var logLevels = []string{"debug", "info", "warn", "error"}

// The formats of logs.
const (
	logText = "text"
	logJSON = "json"
)

// daemon is what commands have in common that serve until they are told to end.
type daemon struct {
	logLevel  string
	logFormat string
	untilEOF  bool
	json      bool
}

// addFlags adds the flags.
func (d *daemon) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.logLevel, "log-level", "info", "what to log on standard error: debug, info, warn or error, and all that is worse")
	cmd.Flags().StringVar(&d.logFormat, "log-format", logText, "how to log: text or json, a line each")
	completeWords(cmd, "log-level", logLevels...)
	completeWords(cmd, "log-format", logText, logJSON)
	cmd.Flags().BoolVar(&d.untilEOF, "until-eof", false,
		"take orders from standard input, a line each: leave, or kill; its end is kill, so that this process ends with the one that started it, over ssh too")
	cmd.Flags().BoolVar(&d.json, "json", false, "print the line that tells where it listens as one JSON object")
}

// logger returns the logger that the flags ask for.
func (d *daemon) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if !slices.Contains(logLevels, d.logLevel) {
		return nil, usageErrorf("--log-level %q: must be debug, info, warn or error", d.logLevel)
	}
	if err := level.UnmarshalText([]byte(d.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch d.logFormat {
	case logText:
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case logJSON:
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, usageErrorf("--log-format %q: must be text or json", d.logFormat)
}

// ready is what a process prints once it serves.
type ready struct {
	Role        string `json:"role"` // monitor or server
	Addr        string `json:"addr"` // where it listens
	Advertise   string `json:"advertise,omitempty"`
	PID         int    `json:"pid"`
	Incarnation string `json:"incarnation,omitempty"` // of a server, in hexadecimal
}

// announce prints the line that tells that the process serves.
func (d *daemon) announce(w io.Writer, r ready) error {
	r.PID = os.Getpid()
	if d.json {
		return json.NewEncoder(w).Encode(r)
	}
	known := ""
	if r.Advertise != "" && r.Advertise != r.Addr {
		known = ", known as " + r.Advertise
	}
	_, err := fmt.Fprintf(w, "%s listening on %s%s, process %d\n", r.Role, r.Addr, known, r.PID)
	return err
}

// An order tells a process how to end.
type order int

const (
	leave order = iota // in order
	kill               // at once
)

// String returns the word for it on standard input.
func (o order) String() string {
	if o == leave {
		return "leave"
	}
	return "kill"
}

// orders returns the orders that a process gets: the end of the context is leave, a
// further signal kill, and standard input is listened to if --until-eof asks for
// it. The channel is never closed; stop ends all that gives orders but a read of
// standard input, which ends with the process.
func (d *daemon) orders(ctx context.Context, stdin io.Reader, log *slog.Logger) (given <-chan order, stop func()) {
	orders, over := make(chan order), make(chan struct{})
	give := func(o order) {
		select {
		case orders <- o:
		case <-over:
		}
	}
	var wg sync.WaitGroup
	again := furtherSignals(ctx)
	wg.Go(func() {
		select {
		case <-ctx.Done():
			give(leave)
		case <-over:
			return
		}
		select {
		case <-again:
			give(kill)
		case <-over:
		}
	})
	if d.untilEOF {
		go func() {
			listen(stdin, give, log)
			give(kill)
		}()
	}
	return orders, func() {
		close(over)
		wg.Wait()
	}
}

// listen gives the orders that are read, until nothing more can be.
func listen(from io.Reader, give func(order), log *slog.Logger) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		switch word := strings.TrimSpace(lines.Text()); word {
		case leave.String():
			give(leave)
		case kill.String():
			give(kill)
		case "":
		default:
			log.Warn("order not understood: must be leave or kill", "order", word)
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tandemkv/tandem/internal/cluster"
)

// eventPrinter prints the events of a cluster, and keeps them in a file. It is safe
// for concurrent use, and nobody waits for who reads: a terminal that was stopped with
// Ctrl-S, or a pager that nobody scrolls, must not keep the supervisor from its work.
type eventPrinter struct {
	settled chan cluster.Event // gets the first view that is complete and active; has room for it
	printed chan error         // gets how the printing ended; has room for it

	mu     sync.Mutex
	lines  chan string // to be printed
	missed int         // lines since the last one in lines for which there was no room
	log    *os.File
	json   bool
	alone  bool // there is one server: no view will have a backup
	asked  bool // settled has got its event
	failed error
}

const (
	// unprintedMax is how many lines wait to be printed; more are in the log alone.
	unprintedMax = 4096
	// printPatience is how long the end waits for who reads.
	printPatience = 2 * time.Second
)

// newEventPrinter returns a printer that keeps the events in a run folder too.
func newEventPrinter(w io.Writer, runDir string, json, alone bool) (*eventPrinter, error) {
	log, err := os.OpenFile(filepath.Join(runDir, "events.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make the log of events: %w", err)
	}
	p := &eventPrinter{
		settled: make(chan cluster.Event, 1), printed: make(chan error, 1), lines: make(chan string, unprintedMax),
		log: log, json: json, alone: alone,
	}
	go func() { p.printed <- printLines(w, p.lines) }()
	return p, nil
}

// printLines prints until there are no more lines. After an error it prints nothing.
func printLines(w io.Writer, lines <-chan string) (err error) {
	for line := range lines {
		if err == nil {
			_, err = io.WriteString(w, line)
		}
	}
	return err
}

// print has lines printed, or misses them if nobody has read for long. The caller
// holds mu.
func (p *eventPrinter) print(text string) {
	if p.missed > 0 && len(p.lines) < cap(p.lines) {
		missed, err := p.text(cluster.Event{Time: time.Now(), Kind: cluster.Note,
			Text: fmt.Sprintf("nobody read this for a while: %d events are only in %s", p.missed, p.log.Name())})
		p.failed = errors.Join(p.failed, err)
		p.missed = 0
		p.lines <- missed // there is room: nobody else fills it
	}
	select {
	case p.lines <- text:
	default:
		p.missed++
	}
}

// text returns an event as it is printed.
func (p *eventPrinter) text(e cluster.Event) (string, error) {
	if !p.json {
		return fmt.Sprintln(e), nil
	}
	var line strings.Builder
	err := writeJSONLine(&line, e)
	return line.String(), err
}

// event prints an event.
func (p *eventPrinter) event(e cluster.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := p.text(e)
	p.print(text)
	_, logged := fmt.Fprintf(p.log, "%s  %s\n", e.Time.Format(time.RFC3339Nano), e.Text)
	if p.failed == nil {
		p.failed = errors.Join(err, logged)
	}
	if e.Kind == cluster.ViewActive && (p.alone || e.Backup != "") && !p.asked {
		p.asked = true
		p.settled <- e
	}
}

// note prints what is no event of the cluster's.
func (p *eventPrinter) note(text string) {
	p.event(cluster.Event{Time: time.Now(), Kind: cluster.Note, Text: text})
}

// hints prints what to try now that the cluster serves.
func (p *eventPrinter) hints(monitor string, e cluster.Event, typing bool) {
	if p.json {
		return
	}
	where := ""
	if monitor != defaultMonitor {
		where = " --monitor " + monitor
	}
	end := "Ctrl-C"
	if typing {
		end = "Ctrl-C or Ctrl-D"
	}
	self := selfName()
	kill, who := fmt.Sprintf("kill -9 %d", e.PID), e.Primary+", the primary"
	if e.Host != "" {
		who += ", on " + e.Host
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(fmt.Sprintf(`
It serves. Try, in another terminal:

  %s put greeting hello%s
  %-*s # %s
  %[1]s get greeting%[2]s
  %[1]s status%[2]s

%[6]s ends it, and what the servers hold goes with them.

`, self, where, len(self)+len(" put greeting hello"), kill, who, end))
}

// selfName returns how the reader may call this binary.
func selfName() string {
	self, err := os.Executable()
	if err != nil {
		return "tandem"
	}
	if found, err := exec.LookPath("tandem"); err == nil && sameFile(found, self) {
		return "tandem"
	}
	if strings.Contains(self, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/tandem" // go run's own copy goes when it ends
	}
	return self
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// close waits until all is printed, but not for ever for one who does not read, and
// closes the file. The error is the first that came of printing, or of that.
func (p *eventPrinter) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.lines)
	patience := time.NewTimer(printPatience)
	defer patience.Stop()
	var printed error
	select {
	case printed = <-p.printed:
	case <-patience.C: // the goroutine ends with the process
		printed = fmt.Errorf("nobody reads standard output: the last lines are only in %s", p.log.Name())
	}
	if err := errors.Join(p.failed, printed, p.log.Close()); err != nil {
		return fmt.Errorf("tell what happens: %w", err)
	}
	return nil
}

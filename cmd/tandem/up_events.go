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
// for concurrent use.
type eventPrinter struct {
	settled chan cluster.Event // gets the first view that is complete and active; has room for it

	mu     sync.Mutex
	w      io.Writer
	log    *os.File
	json   bool
	alone  bool // there is one server: no view will have a backup
	asked  bool // settled has got its event
	failed error
}

// newEventPrinter returns a printer that keeps the events in a run folder too.
func newEventPrinter(w io.Writer, runDir string, json, alone bool) (*eventPrinter, error) {
	log, err := os.OpenFile(filepath.Join(runDir, "events.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make the log of events: %w", err)
	}
	return &eventPrinter{settled: make(chan cluster.Event, 1), w: w, log: log, json: json, alone: alone}, nil
}

// event prints an event.
func (p *eventPrinter) event(e cluster.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.json {
		err = writeJSONLine(p.w, e)
	} else {
		_, err = fmt.Fprintln(p.w, e)
	}
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
	fmt.Fprintf(p.w, `
It serves. Try, in another terminal:

  %s put greeting hello%s
  %-*s # %s
  %[1]s get greeting%[2]s
  %[1]s status%[2]s

%[6]s ends it, and what the servers hold goes with them.

`, self, where, len(self)+len(" put greeting hello"), kill, who, end)
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

// close closes the file. The error is the first that came of printing, or of that.
func (p *eventPrinter) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := errors.Join(p.failed, p.log.Close()); err != nil {
		return fmt.Errorf("tell what happens: %w", err)
	}
	return nil
}

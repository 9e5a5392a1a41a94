package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress tells how far a command is: on a terminal in one line that is written
// over, elsewhere in a line from time to time. It is safe for concurrent use.
// The nil *progress tells nothing.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	last     time.Time
	length   int // of the line that stands on the terminal
}

// newProgress returns nil if nothing is to be told.
func (o *output) newProgress(w io.Writer) *progress {
	terminal := isTerminal(w)
	if !terminal && !o.progress {
		return nil
	}
	return &progress{w: w, terminal: terminal}
}

// isTerminal reports whether a person may be at the other side of an input or output.
func isTerminal(side any) bool {
	f, ok := side.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	// Nobody is at the other side of the null device, which is of that kind, too.
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// The pauses between two lines of progress.
const (
	terminalPause = 100 * time.Millisecond
	linePause     = 2 * time.Second
)

// tell shows a line, unless it showed one just now.
func (p *progress) tell(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := linePause
	if p.terminal {
		pause = terminalPause
	}
	if time.Since(p.last) < pause {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf(format, args...)
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.length-len(line))))
	p.length = len(line)
}

// clear takes the line off the terminal, before something else is written.
func (p *progress) clear() {
	if p == nil || !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.length))
	p.length, p.last = 0, time.Time{}
}

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// progress tells people on standard error how far the comparison is. It is used by one
// goroutine.
type progress struct {
	terminal bool
	began    time.Time
	total    int // steps
	done     int // steps that have begun
	told     time.Time
}

// newProgress returns a progress that begins now.
func newProgress(total int) *progress {
	info, err := os.Stderr.Stat()
	return &progress{
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		began:    time.Now(), total: total,
	}
}

// linePause is the time between two lines where they are not written over.
const linePause = 10 * time.Second

// step tells that another step begins.
func (p *progress) step(format string, args ...any) {
	p.done++
	line := fmt.Sprintf("[%d/%d, %s] ", p.done, p.total, time.Since(p.began).Round(time.Second)) + fmt.Sprintf(format, args...)
	switch {
	case p.terminal:
		const clear = "\r\x1b[K"
		fmt.Fprint(os.Stderr, clear+line)
	case time.Since(p.told) >= linePause:
		fmt.Fprintln(os.Stderr, line)
		p.told = time.Now()
	}
}

// say tells something that stays.
func (p *progress) say(format string, args ...any) {
	p.clear()
	fmt.Fprintf(os.Stderr, strings.TrimSuffix(format, "\n")+"\n", args...)
}

// clear takes the line off a terminal.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

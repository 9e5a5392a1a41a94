package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// End is how a process ended. As an error it says so in one line, with the end
// of its log.
type End struct {
	Code   int      // the exit status; -1 if a signal ended it
	Signal string   // the signal that ended it, as SIGKILL; empty if it ended by itself
	Tail   []string // the last lines of its log in this life, if it did not end well
}

// OK reports whether the process ended by itself, and well.
func (e End) OK() bool { return e.Code == 0 && e.Signal == "" }

// String says how it ended, without the log.
func (e End) String() string {
	switch {
	case e.Signal != "":
		return "killed by " + e.Signal
	case e.Code == 0:
		return "ended"
	default:
		return fmt.Sprintf("exit status %d", e.Code)
	}
}

// Error is String with the last lines of the log.
func (e *End) Error() string {
	if len(e.Tail) == 0 {
		return e.String()
	}
	return e.String() + ": " + strings.Join(e.Tail, " | ")
}

// endOf returns how a process ended that exec waited for.
func endOf(state *os.ProcessState, err error) End {
	var exit *exec.ExitError
	if state == nil || (err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay)) {
		return End{Code: -1, Signal: fmt.Sprintf("something unknown (%v)", err)}
	}
	return End{Code: state.ExitCode(), Signal: signalOf(state)}
}

// tailMax is how much of the end of a log is looked at for its last lines.
const tailMax = 16 << 10

// tail returns the last n lines of a file that are not empty, of what was
// written to it from the offset on; none if there are none or it cannot be read.
func tail(path string, from int64, n int) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	from = max(from, info.Size()-tailMax)
	b := make([]byte, max(0, info.Size()-from))
	read, _ := f.ReadAt(b, from) // what could be read will do
	var lines []string
	for line := range strings.Lines(string(b[:read])) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}

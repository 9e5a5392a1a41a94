package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Ready is what a process says of itself, in one line of JSON on its standard
// output, when it serves.
type Ready struct {
	Role        string `json:"role"`        // monitor or server
	Addr        string `json:"addr"`        // where it listens, with the port that it got
	Advertise   string `json:"advertise"`   // by which others reach a server; empty: by Addr
	PID         int    `json:"pid"`         // on the host where it runs
	Incarnation string `json:"incarnation"` // of a server, in hexadecimal
}

// Reach returns the address by which others reach the process.
func (r Ready) Reach() string {
	if r.Advertise != "" {
		return r.Advertise
	}
	return r.Addr
}

// readyMax bounds what is kept of a line, in bytes: a ready line is far shorter.
const readyMax = 4096

// readyWriter finds the ready line in what a process writes. Lines before it are
// passed over: the shell of another host may have something to say first.
type readyWriter struct {
	found chan Ready // gets the ready line; has room for it

	mu   sync.Mutex
	line []byte // the present line, as far as it came
	over bool   // it is too long to be the ready line
	done bool   // the ready line was found: the rest does not matter
	last string // the last line that was none
}

func newReadyWriter() *readyWriter { return &readyWriter{found: make(chan Ready, 1)} }

// Write takes the next bytes, and never fails: who writes into a full or broken
// pipe would be killed for it.
func (w *readyWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := b; len(rest) > 0 && !w.done; {
		part, after, whole := bytes.Cut(rest, []byte("\n"))
		if room := readyMax - len(w.line); len(part) > room {
			part, w.over = part[:room], true
		}
		w.line = append(w.line, part...)
		if whole {
			w.take()
		}
		rest = after
	}
	return len(b), nil
}

// take looks at a whole line.
func (w *readyWriter) take() {
	line, over := strings.TrimSpace(string(w.line)), w.over
	w.line, w.over = w.line[:0], false
	var r Ready
	if !over && json.Unmarshal([]byte(line), &r) == nil && r.Role != "" && r.Addr != "" && r.PID != 0 {
		w.done, w.line = true, nil
		w.found <- r
		return
	}
	if line != "" {
		w.last = line
	}
}

// said describes what came instead of the ready line, empty if nothing did.
func (w *readyWriter) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == "" {
		return ""
	}
	return fmt.Sprintf("it wrote %q, which is no ready line", w.last)
}

package rpcnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// progressQuantum is how many bytes of a message must come in a
	// StallTimeout, or its rest if that is less. A peer that sends a byte now and
	// then would otherwise hold its share of the budget for as long as it likes.
	progressQuantum = 1 << 10
	// writePiece is how many bytes are handed to the kernel at a time.
	writePiece = 256 << 10
	// blockedWrite is how long a write takes that had to wait for the peer; one
	// that finds room in the socket's buffer takes microseconds.
	blockedWrite = time.Millisecond
)

// patientReader reads from a server's connection. At rest it waits for ever; within
// a message, no longer than stall for the next progressQuantum bytes.
type patientReader struct {
	nc    net.Conn
	stall time.Duration
	// resting reports whether the peer owes us nothing.
	resting func() bool

	armed  bool // a deadline is set
	credit int  // bytes since it was set
}

func (r *patientReader) Read(p []byte) (int, error) {
	switch resting := r.resting(); {
	case resting && r.armed:
		r.nc.SetReadDeadline(time.Time{})
		r.armed = false
	case !resting && (!r.armed || r.credit >= progressQuantum):
		r.nc.SetReadDeadline(time.Now().Add(r.stall))
		r.armed, r.credit = true, 0
	}
	n, err := r.nc.Read(p)
	r.credit += n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w in the middle of a message", stalled(r.stall))
	}
	return n, err
}

// restart starts the time of the message anew, after a time in which we did not read.
func (r *patientReader) restart() { r.credit = progressQuantum }

// writeAll writes p. It gives up when nothing could be written for stall; if stall is
// zero it never does. moved, if set, is told whenever the peer made room for
// bytes that had been waiting. It returns how many bytes were written.
func writeAll(nc net.Conn, p []byte, stall time.Duration, moved func()) (int, error) {
	const looks = 8 // in a stall: a slow peer must be seen to move before it ends
	written, silent := 0, 0
	for written < len(p) {
		start := time.Now()
		if stall > 0 {
			nc.SetWriteDeadline(start.Add(stall / looks))
		}
		n, err := nc.Write(p[written:min(len(p), written+writePiece)])
		written += n
		if n > 0 {
			silent = 0
			if moved != nil && time.Since(start) > blockedWrite {
				moved()
			}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		if n == 0 {
			silent++
		}
		if silent >= looks {
			return written, fmt.Errorf("%w: the peer does not read", stalled(stall))
		}
	}
	return written, nil
}

// stalled is the reason for which a connection without progress is closed.
func stalled(d time.Duration) error { return fmt.Errorf("nothing moved for %v", d) }

//go:build unix

package rpcnet

import (
	"net"
	"syscall"
)

// tryWriter writes to a connection as much as it takes at once. It is used by one
// goroutine at a time.
type tryWriter struct {
	raw syscall.RawConn
	f   func(uintptr) bool // made once: a closure for each write would be garbage

	p   []byte
	n   int
	err error
}

// newTryWriter returns nil if the connection cannot be written to without waiting.
func newTryWriter(nc net.Conn) *tryWriter {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	w := &tryWriter{raw: raw}
	w.f = w.write
	return w
}

func (w *tryWriter) write(fd uintptr) bool {
	for {
		w.n, w.err = syscall.Write(int(fd), w.p)
		if w.err != syscall.EINTR {
			return true // also if it would have to wait
		}
	}
}

// try returns how many bytes were written; fewer than all without an error means
// that there was no room for more.
func (w *tryWriter) try(p []byte) (int, error) {
	w.p, w.n, w.err = p, 0, nil
	if err := w.raw.Write(w.f); err != nil {
		return 0, err
	}
	w.p = nil
	if w.err == syscall.EAGAIN {
		return 0, nil
	}
	return max(w.n, 0), w.err
}

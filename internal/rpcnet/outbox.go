package rpcnet

import (
	"net"
	"sync"
	"time"
)

// outboxAhead is how many encoded bytes may wait to be written before whoever
// wants to add more must wait. A single message may exceed it.
const outboxAhead = 256 << 10

// outbox is a server connection's way out: replies are encoded into a buffer, and
// one goroutine writes it. It starts as soon as there is a reply, so a lone one is
// not delayed; what is added while it writes goes out together. Safe for
// concurrent use.
type outbox struct {
	nc    net.Conn
	stall time.Duration

	mu      sync.Mutex
	changed sync.Cond // buf has grown or shrunk, or closing or err is set
	enc     *encoder
	written []func() // to be called once what is in enc is written, or never will be
	closing bool     // write what there is, then end
	err     error    // why nothing can be written any more
}

func newOutbox(nc net.Conn, stall time.Duration, maxFrame int) *outbox {
	o := &outbox{nc: nc, stall: stall, enc: newEncoder(maxFrame)}
	o.changed.L = &o.mu
	return o
}

// put adds a message. It waits while the peer reads too slowly. An error for
// which broken is false concerns this message alone, and nothing of it was added.
// Without an error, written (if not nil) is called once the message has been
// written, or never will be.
func (o *outbox) put(header, body any, written func()) (broken bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.enc.buf) > outboxAhead && o.err == nil {
		o.changed.Wait()
	}
	if o.err != nil {
		return true, o.err
	}
	err = o.enc.message(header, body)
	if err == nil && written != nil {
		o.written = append(o.written, written)
	}
	o.changed.Broadcast()
	return false, err
}

// idle reports whether nothing waits to be written.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.enc.buf) == 0
}

// close lets run end when all is written.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	o.changed.Broadcast()
}

// run writes until close, or until the connection fails, whose error it returns.
func (o *outbox) run() error {
	var spare []byte
	for {
		o.mu.Lock()
		for len(o.enc.buf) == 0 && !o.closing {
			o.changed.Wait()
		}
		if len(o.enc.buf) == 0 {
			o.err = ErrClosed
			o.mu.Unlock()
			return nil
		}
		out, written := o.enc.take(spare), o.written
		o.written = nil
		o.changed.Broadcast() // there is room
		o.mu.Unlock()

		_, err := writeAll(o.nc, out, o.stall, nil)
		if err != nil {
			o.mu.Lock()
			o.err = err
			written = append(written, o.written...) // nor will these be
			o.written = nil
			o.enc.buf = nil
			o.changed.Broadcast()
			o.mu.Unlock()
		}
		for _, f := range written {
			f()
		}
		if err != nil {
			return err
		}
		spare = reuse(out)
	}
}

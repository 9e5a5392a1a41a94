package rpcnet

import (
	"net"
	"net/rpc"
	"sync"
	"time"
)

const (
	// outboxAhead is how many encoded bytes may wait to be written before whoever
	// wants to add more must wait. A single message may exceed it.
	outboxAhead = 256 << 10
	// writeInline is up to how many bytes are written by whoever has them, if the
	// socket takes them without waiting. More is left to a goroutine that has the time.
	writeInline = 64 << 10
)

// outbox is a server connection's way out: replies are encoded into a buffer, and
// flush writes what is there. While somebody writes, what is added waits, and goes
// out together. What the peer is slow to take in is written by a goroutine of its
// own, so flush never waits. Safe for concurrent use.
type outbox struct {
	nc    net.Conn
	stall time.Duration
	// released is told of slots that are free again.
	released func(slots int)

	mu      sync.Mutex
	due     sync.Cond // for run: something was handed to it, or it is to end
	drained sync.Cond // for put: there is room, or there never will be
	enc     *encoder
	compact bool       // the peers have agreed on compact frames
	owed    settlement // when what is in enc is written, or never will be
	writing bool       // what was taken from enc is being written
	handed  bool       // there is something to write for run
	rest    []byte     // first this, which follows what was written
	spare   []byte
	try     *tryWriter // nil: nc may make its writers wait
	closing bool       // write what there is, then end
	err     error      // why nothing can be written any more
}

// settlement is what is due when bytes have been written, or never will be.
type settlement struct {
	funcs []func()
	slots int
}

func newOutbox(nc net.Conn, stall time.Duration, maxFrame int) *outbox {
	o := &outbox{nc: nc, stall: stall, enc: newEncoder(maxFrame), try: newTryWriter(nc)}
	o.due.L, o.drained.L = &o.mu, &o.mu
	return o
}

// put adds a reply and sends it on its way. It waits while the peer reads too slowly.
// An error for which broken is false concerns this message alone, and nothing of it
// was added. Without an error, written (if not nil) is called once the message has
// been written, or never will be, and slots are released.
func (o *outbox) put(resp *rpc.Response, body any, written func(), slots int) (broken bool, err error) {
	o.mu.Lock()
	for len(o.enc.buf) > outboxAhead && o.err == nil {
		o.drained.Wait()
	}
	broken, err = o.add(resp, body, written, slots)
	o.mu.Unlock()
	if err == nil {
		o.flush()
	}
	return broken, err
}

// queue is put without waiting or sending: flush must follow. What is queued is
// bounded by whoever queues.
func (o *outbox) queue(resp *rpc.Response, body any, written func(), slots int) (broken bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.add(resp, body, written, slots)
}

// add is called with the lock held.
func (o *outbox) add(resp *rpc.Response, body any, written func(), slots int) (broken bool, err error) {
	if o.err != nil {
		return true, o.err
	}
	if o.compact {
		o.enc.buf, err = compactReply(o.enc.buf, o.enc.max, resp.Seq, resp.Error, body)
	} else {
		err = o.enc.message(resp, body)
	}
	if err != nil {
		return false, err
	}
	if written != nil {
		o.owed.funcs = append(o.owed.funcs, written)
	}
	o.owed.slots += slots
	return false, nil
}

// beat adds a sign of life, unless bytes are moving anyway, or nobody reads them.
func (o *outbox) beat() {
	o.mu.Lock()
	if len(o.enc.buf) == 0 && !o.writing && o.err == nil {
		if o.compact {
			o.enc.buf = compactBeat(o.enc.buf)
		} else {
			o.enc.message(&rpc.Response{ServiceMethod: echoMethod, Seq: beatSeq}, struct{}{}) // cannot fail
		}
	}
	o.mu.Unlock()
	o.flush()
}

// agree adds the last reply in gob; what follows is compact.
func (o *outbox) agree(resp *rpc.Response, reply *CompactReply) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.add(resp, reply, nil, 0)
	o.compact = err == nil
	return err
}

// flush writes what there is, as far as that needs no waiting; the rest is left to
// run. If somebody is writing already, that one goes on with it.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.writing && len(o.enc.buf) > 0 && o.err == nil {
		o.writing = true
		if o.try == nil || len(o.enc.buf) > writeInline {
			o.handed = true
			o.due.Signal()
			return
		}
		out, owed := o.take()
		o.drained.Broadcast()
		o.mu.Unlock()
		n, err := o.try.try(out)
		if err == nil && n == len(out) {
			o.settle(owed)
			o.mu.Lock()
			o.spare = reuse(out)
			o.writing = false
			if o.closing {
				o.due.Signal() // it waits for us
			}
			continue
		}
		o.mu.Lock()
		// What went wrong, run will find again.
		o.rest, o.handed = out[n:], true
		owed.funcs = append(owed.funcs, o.owed.funcs...)
		owed.slots += o.owed.slots
		o.owed = owed
		o.due.Signal()
		return
	}
}

// take is called with the lock held.
func (o *outbox) take() ([]byte, settlement) {
	out, owed := o.enc.take(o.spare), o.owed
	o.spare, o.owed = nil, settlement{}
	return out, owed
}

func (o *outbox) settle(owed settlement) {
	for _, f := range owed.funcs {
		f()
	}
	if owed.slots > 0 && o.released != nil {
		o.released(owed.slots)
	}
}

// close lets run end when all is written.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	o.due.Signal()
}

// run writes what flush left, until close, or until the connection fails, whose
// error it returns.
func (o *outbox) run() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for !o.handed && (!o.closing || o.writing) {
			o.due.Wait()
		}
		if !o.handed && len(o.enc.buf) == 0 {
			o.err = ErrClosed
			return nil
		}
		o.writing = true
		rest := o.rest
		o.rest = nil
		out, owed := o.take()
		o.drained.Broadcast()
		o.mu.Unlock()

		_, err := writeAll(o.nc, rest, o.stall, nil)
		if err == nil {
			_, err = writeAll(o.nc, out, o.stall, nil)
		}
		o.nc.SetWriteDeadline(time.Time{}) // or try would meet the old one
		if err != nil {
			o.mu.Lock()
			o.err = err
			owed.funcs = append(owed.funcs, o.owed.funcs...) // nor will these be
			owed.slots += o.owed.slots
			o.owed = settlement{}
			o.enc.buf = nil
			o.drained.Broadcast()
			o.mu.Unlock()
		}
		o.settle(owed)
		o.mu.Lock()
		if err != nil {
			return err
		}
		o.spare = reuse(out)
		o.writing, o.handed = false, false
		if len(o.enc.buf) > 0 {
			o.writing, o.handed = true, true // it is ours: it came while we wrote
		}
	}
}

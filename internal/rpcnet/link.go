package rpcnet

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemkv/tandem/internal/numbered"
)

// link is one connection of a transport, from before it is dialled until it is
// broken, and the calls that were given to it. A broken link is not mended; the
// next call gets a new one.
//
// It has two goroutines. run dials, writes, and at the end says to every call
// what became of it; read reads the replies and watches for progress. What can be
// written without waiting is written by flush, on the goroutine of whoever calls it.
type link struct {
	hub     *hub
	key     laneKey
	perCall bool
	ctx     context.Context // ends with shut
	cancel  context.CancelFunc
	wake    chan struct{} // holds an element when the writer should look

	// What follows is set before the link is ready, and is then used by one
	// goroutine at a time: the one that has set writing.
	enc     *encoder
	try     *tryWriter // nil: nc may make its writers wait
	spare   []byte
	placed  []placed // what is in enc
	compact bool     // the ends have agreed on compact frames; never changes

	mu      sync.Mutex
	nc      net.Conn
	ready   bool    // requests may be written
	writing bool    // somebody encodes and writes
	rest    []byte  // what flush could not write; the writer goes on with it
	restAt  int     // how much of it is written
	dirty   bool    // the hub's Flush will look at it
	cause   error   // why it was shut
	queue   []*call // not yet written, oldest first
	room    chan struct{}
	unfit   []unfit                    // for the writer to settle
	pending numbered.Map[uint64, call] // handed to the network, by sequence number
	next    uint64                     // the next sequence number
	owed    int                        // requests written that have had no reply, abandoned ones included
	echo    bool                       // a sign of life should be asked for

	moved atomic.Bool // the peer made room for bytes since the last look
}

func newLink(h *hub, key laneKey) *link {
	l := &link{
		hub:     h,
		key:     key,
		perCall: h.cfg.DialPerCall,
		wake:    make(chan struct{}, 1),
	}
	l.ctx, l.cancel = context.WithCancel(h.ctx)
	return l
}

// push adds a call to the queue. If it was not taken, room is not nil, and is closed
// when there is some. It is called with the hub's lock held, and never after
// the link was retired.
func (l *link) push(c *call, force, later bool) (room <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= l.hub.cfg.MaxQueue && !force {
		l.queue = slices.DeleteFunc(l.queue, func(c *call) bool { return c.state.Load() == callSettled && !c.runs() })
		if len(l.queue) >= l.hub.cfg.MaxQueue {
			if l.room == nil {
				l.room = make(chan struct{})
			}
			return l.room
		}
	}
	l.queue = append(l.queue, c)
	switch {
	case !later:
		l.nudge()
	case !l.dirty:
		l.dirty = true
		l.hub.dirty = append(l.hub.dirty, l)
	}
	return nil
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// shut breaks the link; the first reason counts.
func (l *link) shut(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = cause
		l.cancel()
	}
	if l.nc != nil {
		l.nc.Close()
	}
}

// forget drops a call whose caller does not wait any more.
func (l *link) forget(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending.Get(c.seq) == c {
		l.pending.Delete(c.seq)
	}
}

// run is the link's life.
func (l *link) run() {
	defer l.cancel()
	if err := l.dial(); err != nil {
		l.end(err, false)
		return
	}
	frames := newFrameReader(&watchedReader{link: l}, l.hub.cfg.MaxFrame)
	dec := gob.NewDecoder(frames)
	if err := l.agree(frames, dec); err != nil {
		l.shut(err)
		l.end(l.cause, true)
		return
	}
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		if l.compact {
			l.shut(l.readCompact(frames))
		} else {
			l.shut(l.read(frames, dec))
		}
	}()
	unsent, err := l.write()
	l.hub.retire(l)
	l.shut(err)
	<-reader
	for _, c := range unsent {
		l.forget(c)
		c.settle(notSent(l.cause))
	}
	l.end(l.cause, true)
}

// dial connects.
func (l *link) dial() error {
	ctx := l.ctx
	if !l.perCall {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.hub.cfg.DialTimeout)
		defer cancel()
	}
	nc, err := l.hub.cfg.Dial(ctx, Network(l.key.addr), l.key.addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		if err == nil {
			nc.Close()
		}
		return l.cause
	}
	if err != nil && ctx.Err() != nil {
		// Not to be taken for the end of a caller's context.
		return fmt.Errorf("dial %s: no answer within %v", l.key.addr, l.hub.cfg.DialTimeout)
	}
	l.nc = nc
	return err
}

// end says to all calls what became of them. Calls of a link that never was, and
// those not yet written, did not run.
func (l *link) end(cause error, established bool) {
	l.hub.retire(l)
	l.mu.Lock()
	queue, refused, lost := l.queue, l.unfit, slices.Collect(l.pending.All())
	slices.SortFunc(lost, func(a, b *call) int { return int(a.seq) - int(b.seq) })
	l.queue, l.unfit, l.pending = nil, nil, numbered.Map[uint64, call]{}
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	l.mu.Unlock()

	if l.hub.cfg.OnDown != nil && !errors.Is(cause, ErrClosed) && !errors.Is(cause, errDone) && !errors.Is(cause, context.Canceled) {
		why := cause
		if established {
			why = connLost(cause)
		}
		l.hub.cfg.OnDown(l.key.addr, why)
	}
	for _, u := range refused {
		u.call.settleQuietly(u.err)
	}
	for _, c := range lost {
		c.settleQuietly(connLost(cause))
	}
	for _, c := range queue {
		c.settleQuietly(notSent(cause))
	}
	l.hub.settled()
}

// errDone is why a connection for one call ends well.
var errDone = errors.New("done")

// placed is a call and where its request begins among the bytes to be written.
type placed struct {
	call  *call
	start int
}

// agree proposes compact frames, if the transport has methods for them, and makes the
// link ready. An error breaks the link.
func (l *link) agree(frames *frameReader, dec *gob.Decoder) error {
	l.enc = newEncoder(l.hub.cfg.MaxFrame)
	l.try = newTryWriter(l.nc)
	if len(l.hub.cfg.Compact) > 0 && !l.perCall {
		var err error
		if l.compact, err = l.propose(frames, dec); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	if l.cause != nil {
		return l.cause
	}
	return nil
}

// propose asks the other end, and reports what it says. The calls that wait have
// not been sent meanwhile, so they cannot have run.
func (l *link) propose(frames *frameReader, dec *gob.Decoder) (bool, error) {
	l.next++
	args := &CompactArgs{Version: compactVersion, Methods: l.hub.cfg.Compact}
	if err := l.enc.message(&rpc.Request{ServiceMethod: compactMethod, Seq: l.next}, args); err != nil {
		return false, err
	}
	l.mu.Lock()
	l.owed++ // so that silence is noticed
	l.mu.Unlock()
	if _, err := writeAll(l.nc, l.enc.take(nil), l.stall(), nil); err != nil {
		return false, err
	}
	l.nc.SetWriteDeadline(time.Time{}) // or try would meet it later
	var resp rpc.Response
	var reply CompactReply
	for resp.Seq != l.next {
		resp = rpc.Response{}
		if err := dec.Decode(&resp); err != nil {
			return false, readError(err, frames)
		}
		if resp.Seq == l.next && resp.Error == "" {
			if err := dec.Decode(&reply); err != nil {
				return false, readError(err, frames)
			}
		} else if err := skip(dec); err != nil { // of a beat, or the refusal
			return false, readError(err, frames)
		}
	}
	l.answered(resp.Seq)
	return reply.Version == compactVersion, nil
}

// unfit is a call whose request cannot be encoded, and the error for it.
type unfit struct {
	call *call
	err  error
}

// refuse settles the calls that were found unfit. It is for the writer alone: flush runs
// on a goroutine of the caller's, which may be the one that a done function waits for.
func (l *link) refuse() {
	l.mu.Lock()
	calls := l.unfit
	l.unfit = nil
	l.mu.Unlock()
	if len(calls) == 0 {
		return
	}
	for _, u := range calls {
		u.call.settleQuietly(u.err)
	}
	l.hub.settled()
	if l.perCall {
		l.shut(errDone) // it has no other call to wait for
	}
}

// write writes what waits and what flush left, until the link breaks. It returns
// the error and the calls of which certainly not a byte was handed to the network.
func (l *link) write() (unsent []*call, err error) {
	for {
		l.refuse()
		out, at, mine := l.claim()
		if !mine {
			select {
			case <-l.wake:
				continue
			case <-l.ctx.Done():
				return nil, l.ctx.Err()
			}
		}
		for ; ; out, at = nil, 0 {
			if out == nil {
				if out = l.encode(); out == nil {
					break // and nobody has the pen
				}
			}
			n, err := writeAll(l.nc, out[at:], l.stall(), func() { l.moved.Store(true) })
			if err != nil {
				for _, p := range l.placed {
					if p.start >= at+n {
						unsent = append(unsent, p.call)
					}
				}
				return unsent, err
			}
			if l.try != nil {
				l.nc.SetWriteDeadline(time.Time{}) // or try would meet the old one
			}
			l.spare = reuse(out)
			if l.ctx.Err() != nil {
				return nil, l.ctx.Err()
			}
		}
	}
}

// claim takes the pen for the writer, if it is free and there is something to
// write, or if flush has left it something.
func (l *link) claim() (out []byte, at int, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rest != nil {
		out, at = l.rest, l.restAt
		l.rest = nil
		return out, at, true
	}
	if l.writing || (len(l.queue) == 0 && !l.echo) {
		return nil, 0, false
	}
	l.writing = true
	return nil, 0, true
}

// flush writes what waits, as far as that needs no waiting itself; the writer has the
// rest. Whoever is writing already takes it along.
func (l *link) flush() {
	l.mu.Lock()
	l.dirty = false
	if l.writing {
		l.mu.Unlock()
		return
	}
	if !l.ready || l.try == nil {
		l.mu.Unlock()
		l.nudge()
		return
	}
	l.writing = true
	l.mu.Unlock()
	for {
		out := l.encode()
		if out == nil {
			return
		}
		n := 0
		if len(out) <= writeInline {
			var err error
			if n, err = l.try.try(out); err == nil && n == len(out) {
				l.spare = reuse(out)
				continue
			}
		}
		l.mu.Lock() // what went wrong, the writer will find again
		l.rest, l.restAt = out, n
		l.mu.Unlock()
		l.nudge()
		return
	}
}

// encode encodes what waits, about writeInline bytes at most. If there is nothing, it
// puts the pen down and returns nil. What it returned before has been written.
func (l *link) encode() []byte {
	for i := range l.placed {
		l.placed[i].call.written.Store(true)
	}
	clear(l.placed) // answered calls should not be kept alive by it
	l.placed = l.placed[:0]
	for {
		for len(l.enc.buf) < writeInline && l.encodeNext(l.enc, &l.placed) {
		}
		if len(l.enc.buf) > 0 {
			out := l.enc.take(l.spare)
			l.spare = nil
			return out
		}
		l.mu.Lock()
		if len(l.queue) == 0 && !l.echo {
			l.writing = false
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
	}
}

// stall returns the time without progress after which the connection is closed, zero for
// never.
func (l *link) stall() time.Duration {
	if l.perCall {
		return 0
	}
	return l.hub.cfg.StallTimeout
}

// encodeNext encodes the next request, and reports whether there was one.
func (l *link) encodeNext(enc *encoder, batch *[]placed) bool {
	start := len(enc.buf)
	c, seq := l.handOver()
	if c == nil {
		if seq == 0 {
			return false
		}
		// What is encoded before it goes out as well, so this is not lost.
		if l.compact {
			enc.buf, _ = closeFrame(openFrame(enc.buf, seq, requestEcho), start, enc.max)
		} else {
			enc.message(&rpc.Request{ServiceMethod: echoMethod, Seq: seq}, struct{}{})
		}
		return true
	}
	err := l.encodeCall(enc, c, seq)
	if err != nil {
		l.mu.Lock()
		l.pending.Delete(seq)
		l.owed--
		l.unfit = append(l.unfit, unfit{c, notSent(err)})
		l.mu.Unlock()
		l.nudge()
		return true
	}
	*batch = append(*batch, placed{c, start})
	return true
}

func (l *link) encodeCall(enc *encoder, c *call, seq uint64) (err error) {
	if !l.compact {
		return enc.message(&rpc.Request{ServiceMethod: c.method, Seq: seq}, c.args)
	}
	method := slices.Index(l.hub.cfg.Compact, c.method) // they are few
	enc.buf, err = compactRequest(enc.buf, enc.max, seq, method, c.method, c.args)
	return err
}

// handOver takes the next call from the queue, numbers it, and enters it among
// the pending; from here on it may run. Without a call, seq is that of an Echo to
// send, or zero if there is nothing to do. Numbers start at 1.
func (l *link) handOver() (c *call, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.echo {
		l.echo = false
		l.next++
		l.owed++
		return nil, l.next
	}
	for len(l.queue) > 0 {
		c := l.queue[0]
		l.queue[0] = nil
		if len(l.queue) > 1 {
			l.queue = l.queue[1:]
		} else {
			l.queue = l.queue[:0] // its memory is used again
		}
		if l.room != nil {
			close(l.room)
			l.room = nil
		}
		c.link.Store(l)
		if !c.state.CompareAndSwap(callQueued, callHanded) && !c.runs() {
			continue // abandoned in time
		}
		l.next++
		l.owed++
		c.seq = l.next
		if c.state.Load() != callSettled {
			l.pending.Put(c.seq, c)
		}
		return c, c.seq
	}
	return nil, 0
}

// serverError returns what a server answered in place of a reply. That it knows no
// such service means that some other server was meant.
func serverError(text string) error {
	err := rpc.ServerError(text)
	if strings.HasPrefix(text, "rpc: can't find service ") {
		return fmt.Errorf("another kind of server answers there: %w", err)
	}
	return err
}

var errClosedByPeer = errors.New("closed by the peer")

// readError says what a failure to read a reply in gob means.
func readError(err error, frames *frameReader) error {
	switch {
	case err == io.EOF:
		return errClosedByPeer
	case frames.err == nil: // what came whole is no reply
		return fmt.Errorf("the peer speaks another protocol: %w", err)
	}
	return err
}

// compactError says what a failure to read a compact frame means.
func compactError(err error) error {
	if err == io.EOF {
		return errClosedByPeer
	}
	return err
}

// readCompact reads replies in compact frames until the connection breaks.
func (l *link) readCompact(frames *frameReader) error {
	in := &compactReader{frames: frames}
	for {
		if !in.ready() {
			l.hub.settled()
		}
		seq, kind, payload, err := in.next()
		if err != nil {
			return compactError(err)
		}
		c := l.answered(seq)
		if c == nil || c.state.Load() == callSettled {
			continue
		}
		l.deliver(c, c.takeCompact(kind, payload))
	}
}

// takeCompact decodes a reply. Frames are read whole, so that it fails leaves the
// stream in step.
func (c *call) takeCompact(kind byte, payload []byte) error {
	own, ok := c.reply.(Compact)
	var err error
	switch {
	case kind == replyError:
		return serverError(string(payload))
	case kind == replyCompact && ok:
		err = own.DecodeCompact(payload)
	case kind == replyGob:
		err = decodeGob(payload, c.reply)
	default:
		err = errBadFrame
	}
	if err != nil {
		return fmt.Errorf("cannot understand the reply: %w", err)
	}
	return nil
}

// read reads replies in gob until the connection breaks.
func (l *link) read(frames *frameReader, dec *gob.Decoder) error {
	for {
		frames.begun = false
		var resp rpc.Response
		if err := dec.Decode(&resp); err != nil {
			return readError(err, frames)
		}
		c := l.answered(resp.Seq)
		var outcome error
		switch {
		case c == nil || c.state.Load() == callSettled:
			outcome = skip(dec)
		case resp.Error != "":
			if outcome = skip(dec); outcome == nil {
				outcome = serverError(resp.Error)
			}
		default:
			if err := dec.Decode(c.reply); err != nil {
				// That alone leaves the stream in step, for frames are read whole.
				outcome = fmt.Errorf("cannot understand the reply: %w", err)
			}
		}
		if frames.err != nil {
			if c != nil {
				c.settle(connLost(frames.err))
			}
			return frames.err
		}
		frames.relieve(dec)
		if c != nil {
			l.deliver(c, outcome)
			l.hub.settled()
		}
		if l.perCall && resp.Seq == 1 {
			return errDone
		}
	}
}

// answered returns the call with a sequence number, if it is still waited for.
func (l *link) answered(seq uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq == 0 || seq > l.next {
		return nil // a beat, or nonsense
	}
	l.owed--
	return l.pending.Delete(seq)
}

// deliver gives a call its reply, by way of the faults.
func (l *link) deliver(c *call, outcome error) {
	if c.fate != nil {
		l.hub.cfg.Faults.reply(c, outcome)
		return
	}
	c.settleQuietly(outcome) // the reader says when it has no more
}

// watchedReader reads from a link's connection, and breaks it when nothing has
// moved for StallTimeout although replies are owed.
//
// Time is counted in looks, an eighth of StallTimeout each, at which a read came back
// empty. A process that was itself suspended, or held up by a done function, finds that one
// look has passed and not a whole StallTimeout.
type watchedReader struct {
	link   *link
	until  time.Time // of the deadline that is set
	silent int       // looks since something moved
}

// looks is the number of looks in a StallTimeout.
const looks = 8

func (r *watchedReader) Read(p []byte) (int, error) {
	l := r.link
	if l.perCall {
		return l.nc.Read(p)
	}
	look := max(l.stall()/looks, 1)
	for {
		// A deadline that is good for half a look more is not set again.
		if now := time.Now(); r.until.Sub(now) < look/2 {
			r.until = now.Add(look)
			l.nc.SetReadDeadline(r.until)
		}
		n, err := l.nc.Read(p)
		if n > 0 {
			if !l.severed() {
				r.silent = 0
			}
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		r.until = time.Time{}
		if err := r.look(); err != nil {
			return 0, err
		}
	}
}

// look counts a look at which nothing had come.
func (r *watchedReader) look() error {
	l := r.link
	moved := l.moved.Swap(false) && !l.severed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owed == 0 || moved {
		r.silent = 0
		return nil
	}
	r.silent++
	switch {
	case r.silent > looks:
		return stalled(l.stall())
	case r.silent == looks/2:
		l.echo = true
		l.nudge()
	}
	return nil
}

// severed reports whether faults keep everything from passing between the two
// ends, in which case what passes all the same is no sign of life.
func (l *link) severed() bool {
	f := l.hub.cfg.Faults
	return f != nil && f.severed(l.hub.cfg.Name, l.key.addr)
}

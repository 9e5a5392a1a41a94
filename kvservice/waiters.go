package kvservice

import "github.com/tandemkv/tandem/kvservice/replica"

// waiter is who waits for the core's answer to a request: a goroutine, if answer is
// not nil, or else a connection.
type waiter struct {
	handler *handler
	answer  chan replica.Reply // has room for one

	method method // of a call in compact frames
	seq    uint64
}

// waiters holds those whose requests the core has, in places that are used again. A
// request's id is its place, and above it a number that tells one use of the place
// from the next, since the core may answer what was forgotten. It belongs to
// whoever has the turn.
type waiters struct {
	places []place
	free   []uint32
}

type place struct {
	waiter
	use   uint32
	taken bool
}

func (w *waiters) add(who waiter) (id uint64) {
	var at uint32
	if n := len(w.free); n > 0 {
		at = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		at = uint32(len(w.places))
		w.places = append(w.places, place{})
	}
	p := &w.places[at]
	p.waiter, p.taken = who, true
	p.use++
	return uint64(p.use)<<32 | uint64(at)
}

// remove returns who waits for the answer to a request, which then is nobody any more.
func (w *waiters) remove(id uint64) (who waiter, ok bool) {
	at := uint32(id)
	p := &w.places[at]
	if !p.taken || p.use != uint32(id>>32) {
		return waiter{}, false
	}
	who = p.waiter
	p.waiter, p.taken = waiter{}, false
	w.free = append(w.free, at)
	return who, true
}

// some reports whether there are any.
func (w *waiters) some() bool { return len(w.free) < len(w.places) }

func (l *loop) submit(req *replica.Request, who waiter) {
	req.ID = l.waiters.add(who)
	l.core.Submit(*req)
}

// forget forgets one request of a connection, or with a nil answer all that came in
// compact frames.
func (l *loop) forget(h *handler, answer chan replica.Reply) {
	var gone []uint64
	for at := range l.waiters.places {
		p := &l.waiters.places[at]
		if !p.taken || p.handler != h || p.answer != answer {
			continue
		}
		id := uint64(p.use)<<32 | uint64(at)
		l.waiters.remove(id)
		gone = append(gone, id)
		if answer != nil {
			break
		}
	}
	if answer != nil && len(gone) == 0 { // it came too late to be taken
		r := <-answer
		l.server.answersGone.Add(int64(len(r.Payload)))
		return
	}
	l.core.Forget(gone...)
}

func (l *loop) reply(r replica.Reply) {
	who, ok := l.waiters.remove(r.ID)
	switch {
	case !ok:
		l.server.answersGone.Add(int64(len(r.Payload)))
	case who.answer != nil:
		who.answer <- r
	default:
		l.answer(who, r)
	}
}

// toFlush makes the connection's answers go out with the end of this batch.
func (l *loop) toFlush(h *handler) {
	if !h.answered {
		h.answered = true
		l.answered = append(l.answered, h)
	}
}

// answer answers a call in compact frames.
func (l *loop) answer(who waiter, r replica.Reply) {
	l.toFlush(who.handler)
	conn, n := who.handler.conn, int64(len(r.Payload))
	var written func()
	if n < smallAnswer {
		l.server.answersGone.Add(n)
	} else {
		gone := &l.server.answersGone
		written = func() { gone.Add(n) }
	}
	reply, err := l.decodeAnswer(who.method, r)
	if err != nil {
		if written != nil {
			written()
		}
		conn.Refuse(who.seq, err)
		return
	}
	conn.Answer(who.seq, reply, written)
}

package simulation

import (
	"strconv"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// reference tells what the commands of the global log come to, from the words of
// rules S1 to S6 and not with the store's code. It is as plain as it can be.
type reference struct {
	data     map[string]string
	sessions map[uint64]*referenceSession
	opened   map[uint64]bool             // sessions that were ever opened
	results  map[requestName]writeResult // what each request came to when it ran
}

type referenceSession struct {
	number uint64
	used   int64 // the log's time when it was last named
}

type writeResult struct {
	err      tandem.Err
	previous string
	swapped  bool
	index    uint64 // of the entry that executed it
}

func (r *reference) init() {
	r.data = make(map[string]string)
	r.sessions = make(map[uint64]*referenceSession)
	r.opened = make(map[uint64]bool)
	r.results = make(map[requestName]writeResult)
}

// apply folds an entry in, and compares the reply that the store gave.
func (r *reference) apply(w *World, e replica.Entry, reply []byte) {
	c, err := store.DecodeCommand(e.Payload)
	if err != nil {
		w.fail("CommandUnderstood", "entry %d: %v", e.Index, err)
	}
	got, err := store.DecodeReply(reply)
	if err != nil {
		w.fail("ReplyUnderstood", "entry %d: %v", e.Index, err)
	}
	switch c.Kind {
	case store.OpenSession:
		w.cover.rule("S4")
		r.open(w, &c, e, got)
	case store.Expire:
		r.expire(w, e, c.AgeMillis)
	case store.Update:
		r.update(w, &c, e, got)
	}
}

func (r *reference) expire(w *World, e replica.Entry, age uint64) {
	// order does not matter: each session is looked at on its own
	for id, s := range r.sessions {
		if e.Time-s.used >= int64(age) {
			delete(r.sessions, id)
			w.cover.count(Expiries)
		}
	}
}

func (r *reference) open(w *World, c *store.Command, e replica.Entry, got store.Reply) {
	if uint64(len(r.sessions)) >= c.MaxSessions && c.AgeMillis > 0 {
		r.expire(w, e, c.AgeMillis)
	}
	if uint64(len(r.sessions)) >= c.MaxSessions {
		if got.Err != tandem.ErrTooManySessions {
			w.fail("S4", "entry %d opened a session beyond the bound of %d", e.Index, c.MaxSessions)
		}
		return
	}
	if got.Err != tandem.OK || r.opened[got.Session] {
		w.fail("S4", "entry %d opened no session, or one that had been open: %+v", e.Index, got)
	}
	r.sessions[got.Session] = &referenceSession{used: e.Time}
	r.opened[got.Session] = true
}

func (r *reference) update(w *World, c *store.Command, e replica.Entry, got store.Reply) {
	name := requestName{c.Session, c.Number}
	if c.Session != 0 {
		s, known := r.sessions[c.Session]
		switch {
		case !known:
			if got.Err != tandem.ErrSessionExpired {
				w.fail("S3", "entry %d is of session %d, which is not open, and was executed: %+v", e.Index, c.Session, got)
			}
			return
		case c.Number < s.number:
			s.used = e.Time
			if got.Err != tandem.ErrStaleRequest {
				w.fail("S3", "entry %d is of a request that session %d left behind, and was executed: %+v", e.Index, c.Session, got)
			}
			return
		case c.Number == s.number:
			s.used = e.Time
			w.cover.count(DuplicatesApplied)
			if want := r.results[name]; !same(got, want) {
				w.fail("I10", "entry %d is request %d.%d again, which came to %+v, and now to %+v", e.Index, c.Session, c.Number, want, got)
			}
			return
		}
		s.number, s.used = c.Number, e.Time
	}
	want := r.write(c.Writes[0], c.MaxValue)
	want.index = e.Index
	if c.Session != 0 {
		if was, ran := r.results[name]; ran {
			w.fail("I10", "entry %d executes request %d.%d, which entry %d executed", e.Index, c.Session, c.Number, was.index)
		}
		r.results[name] = want
	}
	if !same(got, want) {
		w.fail("I12", "entry %d, %+v, came to %+v and not to %+v", e.Index, c.Writes[0], got, want)
	}
}

// write carries out a write.
func (r *reference) write(x store.Write, most uint64) writeResult {
	old, present := r.data[x.Key]
	next, result := x.Value, writeResult{err: tandem.OK}
	switch x.Op {
	case tandem.OpPutHash:
		next = strconv.Itoa(int(tandem.Hash(old + x.Value)))
		result.previous = old
	case tandem.OpAppend:
		next = old + x.Value
		if most > 0 && uint64(len(next)) > most {
			return writeResult{err: tandem.ErrTooLarge}
		}
	case tandem.OpDelete:
		delete(r.data, x.Key)
		if !present {
			result.err = tandem.ErrNoKey
		}
		return result
	case tandem.OpCompareAndSwap:
		if old != x.Expected {
			return result
		}
		result.swapped = true
	}
	r.data[x.Key] = next
	return result
}

// same tells whether a store's reply says what the reference found.
func same(got store.Reply, want writeResult) bool {
	if got.Err != tandem.OK {
		return got.Err == want.err
	}
	if len(got.Results) != 1 {
		return false
	}
	x := got.Results[0]
	return x.Err == want.err && x.Previous == want.previous && x.Swapped == want.swapped
}

package replica

import "github.com/tandemkv/tandem"

// Effects is what a Replica wants done, in no order among the kinds. Messages
// and replies are immutable and owned by the taker, who may hand the slices back
// with Reuse.
type Effects struct {
	Messages []Message
	Replies  []Reply
	// Ping, if not nil, goes to the view service, and what it answers to PingReplied.
	Ping *tandem.PingArgs
	// Keep holds what must be made durable; when it is, call Durable with its
	// Generation and Last. Nil if there is nothing new to keep.
	Keep *Record
	// Departed: the server has left (rule V11) and may stop.
	Departed bool
}

// Record is what a Replica wants kept: all of a new state, or entries that
// follow what is kept already, or some of it. Records become durable in the
// order in which they were made.
type Record struct {
	Generation uint64
	// Installed, if not nil, is the state as of index Base that replaces
	// everything kept before.
	Installed Snapshot
	// Cut: of the entries kept before, those above Base are dropped (rule T4).
	Cut     bool
	Base    uint64
	Entries []Entry // follow Base or what was kept before
	Last    uint64  // the index up to which this Record keeps the log
}

// TakeEffects returns what has collected since it was last called. It is here
// that forwards, acknowledgements and probes are made, so that one message
// serves everything that arrived in between.
func (r *Replica) TakeEffects() Effects {
	r.forward()
	r.sendChunks()
	r.answerPrimary()
	if r.pingNow {
		r.ping()
	}
	e := r.out
	r.out = r.spare.effects()
	r.requests.portion = 0
	return e
}

// Reuse hands back effects that have been carried out: the slices Messages, Replies
// and Keep.Entries, and Keep itself, become those of later effects, which then cost
// no allocations. Whoever took the effects must not look at these any more; what
// the messages, replies and entries point to stays as it is. Nobody need call it.
func (r *Replica) Reuse(e Effects) {
	s := &r.spare
	if cap(e.Messages) <= maxSpare {
		clear(e.Messages)
		s.messages = e.Messages[:0]
	}
	if cap(e.Replies) <= maxSpare {
		clear(e.Replies)
		s.replies = e.Replies[:0]
	}
	if k := e.Keep; k != nil && cap(k.Entries) <= maxSpare {
		clear(k.Entries)
		*k = Record{Entries: k.Entries[:0]}
		s.keep = k
	}
}

// maxSpare bounds, in items, the slices that are kept for later effects: one that
// grew in a burst must not take its memory for ever.
const maxSpare = 4096

// spare is what Reuse was given.
type spare struct {
	messages []Message
	replies  []Reply
	keep     *Record
}

// effects returns empty effects.
func (s *spare) effects() Effects {
	e := Effects{Messages: s.messages, Replies: s.replies}
	s.messages, s.replies = nil, nil
	return e
}

// record returns an empty record.
func (s *spare) record() *Record {
	k := s.keep
	if s.keep = nil; k == nil {
		k = new(Record)
	}
	return k
}

package store

import (
	"strconv"

	"github.com/tandemkv/tandem"
)

// undo is how to take back one write.
type undo struct {
	key string
	old record // "": there was none
}

// execute carries out the writes of a command in order and returns the reply.
// If one would make a value larger than c.MaxValue (bytes; zero: no bound), none
// has any effect and the reply says ErrTooLarge. sole is what decodeCommand returns.
func (s *Store) execute(c *Command, sole record) []byte {
	if len(c.Writes) == 1 && c.Writes[0].Op == tandem.OpPut {
		s.put(sole)
		return okReply
	}
	var one [1]Result
	p := Reply{Err: tandem.OK, Results: one[:0]}
	var undone []undo
	for i := range c.Writes {
		w := &c.Writes[i]
		present := s.data.get(w.Key)
		old := ""
		if present != "" {
			old = present.value()
		}
		if w.Op == tandem.OpAppend && c.MaxValue > 0 && uint64(len(old))+uint64(len(w.Value)) > c.MaxValue {
			for n := len(undone) - 1; n >= 0; n-- {
				s.revert(undone[n])
			}
			return bareReply(tandem.ErrTooLarge)
		}
		if len(c.Writes) > 1 {
			undone = append(undone, undo{w.Key, present})
		}
		p.Results = append(p.Results, s.write(w, old, present != ""))
	}
	return p.Append(nil)
}

// okReply is the reply of an update of one write with nothing to say: it is that of
// most, so they share it.
var okReply = (&Reply{Err: tandem.OK, Results: []Result{{Err: tandem.OK}}}).Append(nil)

func (s *Store) revert(u undo) {
	if u.old != "" {
		s.put(u.old)
	} else {
		s.delete(u.key)
	}
}

// write carries out one write. old is the present value, "" if there is none.
func (s *Store) write(w *Write, old string, present bool) Result {
	switch w.Op {
	case tandem.OpPut:
		s.set(w.Key, w.Value)
	case tandem.OpPutHash:
		// strconv.Itoa(int(hash)), as the lab has it where int has 64 bits.
		// Where it has 32, Itoa would make another string, and replicas differ.
		s.set(w.Key, strconv.FormatUint(uint64(tandem.Hash(old+w.Value)), 10))
		return Result{Err: tandem.OK, Previous: old}
	case tandem.OpAppend:
		s.set(w.Key, old+w.Value)
	case tandem.OpDelete:
		if !present {
			return Result{Err: tandem.ErrNoKey}
		}
		s.delete(w.Key)
	case tandem.OpCompareAndSwap:
		if old != w.Expected {
			return Result{Err: tandem.OK}
		}
		s.set(w.Key, w.Value)
		return Result{Err: tandem.OK, Swapped: true}
	}
	return Result{Err: tandem.OK}
}

func (s *Store) set(key, value string) { s.put(makeRecord(key, value)) }

func (s *Store) put(r record) {
	s.bytes += r.size()
	if old := s.data.set(r); old != "" {
		s.bytes -= old.size()
	}
}

func (s *Store) delete(key string) {
	if old := s.data.delete(key); old != "" {
		s.bytes -= old.size()
	}
}

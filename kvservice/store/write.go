package store

import (
	"strconv"

	"github.com/tandemkv/tandem"
)

// undo is how to take back one write.
type undo struct {
	key, value string
	present    bool
}

// execute carries out the writes of a command in order and returns the reply.
// If one would make a value larger than maxValue (bytes; zero: no bound), none
// has any effect and the reply says ErrTooLarge.
func (s *Store) execute(writes []Write, maxValue uint64) []byte {
	p := Reply{Err: tandem.OK, Results: make([]Result, 0, len(writes))}
	var undone []undo
	for i := range writes {
		w := &writes[i]
		old, present := s.data.Get(w.Key)
		if w.Op == tandem.OpAppend && maxValue > 0 && uint64(len(old))+uint64(len(w.Value)) > maxValue {
			for n := len(undone) - 1; n >= 0; n-- {
				s.revert(undone[n])
			}
			return bareReply(tandem.ErrTooLarge)
		}
		if len(writes) > 1 {
			undone = append(undone, undo{w.Key, old, present})
		}
		p.Results = append(p.Results, s.write(w, old, present))
	}
	return p.Append(nil)
}

func (s *Store) revert(u undo) {
	if u.present {
		s.set(u.key, u.value)
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

func (s *Store) set(key, value string) {
	if old, ok := s.data.Set(key, value); ok {
		s.bytes -= uint64(len(key) + len(old))
	}
	s.bytes += uint64(len(key) + len(value))
}

func (s *Store) delete(key string) {
	if old, ok := s.data.Delete(key); ok {
		s.bytes -= uint64(len(key) + len(old))
	}
}

package bench

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
)

// keysMax bounds the keys: their numbers stand in ten digits.
const keysMax = 1_000_000_000

// KeySize is the bytes of a key that is read and put.
const KeySize = 16

// registers are the keys that are read and put. Each has one writer, which writes
// numbers that grow by one.
type registers struct {
	tags   uint32 // drawn for this load: what another left behind is recognised
	states []register
	filler string // the end of each value
}

// register is what is known of a key. asked and floor are also read by others than its
// writer, and asked >= floor >= acked.
type register struct {
	asked atomic.Uint32 // the number that was asked to be written last
	floor atomic.Uint32 // the greatest that was acknowledged or read

	// Of its writer, or of who reads back.
	acked   uint32 // the greatest that was acknowledged
	given   bool   // up: an outcome is unknown
	touched bool   // written since it was read back
}

func newRegisters(l *Load, tags uint32) *registers {
	return &registers{tags: tags, states: make([]register, l.Keys), filler: strings.Repeat("v", l.ValueSize-ValueSizeMin)}
}

// key returns a key. Nobody keeps them: millions of strings would be looked at by every
// garbage collection, and what is measured would wait for that.
func (r *registers) key(i int) string {
	key := [KeySize]byte([]byte("bench-0000000000"))
	for at := len(key) - 1; i > 0; at-- {
		key[at] = byte('0' + i%10)
		i /= 10
	}
	return string(key[:])
}

// tag returns what all values of a key begin with.
func (r *registers) tag(i int) uint32 { return r.tags ^ uint32(i)*0x9e3779b1 }

// value returns the value that is a number of a key.
func (r *registers) value(i int, number uint32) string {
	var b strings.Builder
	b.Grow(ValueSizeMin + len(r.filler))
	writeHex(&b, r.tag(i))
	writeHex(&b, number)
	b.WriteString(r.filler)
	return b.String()
}

func writeHex(b *strings.Builder, n uint32) {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b.WriteByte(digits[n>>shift&15])
	}
}

// number returns the number that a value of a key is, false if it is none.
func (r *registers) number(i int, value string) (uint32, bool) {
	if len(value) != ValueSizeMin+len(r.filler) || value[ValueSizeMin:] != r.filler {
		return 0, false
	}
	tag, err := strconv.ParseUint(value[:8], 16, 32)
	if err != nil || uint32(tag) != r.tag(i) {
		return 0, false
	}
	n, err := strconv.ParseUint(value[8:16], 16, 32)
	return uint32(n), err == nil
}

// put writes a key's next number.
func (r *registers) put(ctx context.Context, c Client, i int) error {
	s := &r.states[i]
	n := s.acked + 1
	s.asked.Store(n)
	return s.wrote(n, c.Put(ctx, r.key(i), r.value(i, n)))
}

// wrote notes what became of writing a number, and returns the error.
func (s *register) wrote(n uint32, err error) error {
	s.touched = true
	switch {
	case err == nil:
		s.acked = n
		raise(&s.floor, n)
	case errors.Is(err, ErrDidNotRun):
		s.asked.Store(s.acked) // a read that finds n all the same has found it wrong
	default:
		s.given = true
	}
	return err
}

// swap writes a key's next number in the place of the last one.
func (r *registers) swap(ctx context.Context, c Extended, i int, found *found) error {
	s := &r.states[i]
	n := s.acked + 1
	s.asked.Store(n)
	swapped, err := c.CompareAndSwap(ctx, r.key(i), r.value(i, s.acked), r.value(i, n))
	if err == nil && !swapped {
		found.lost("CompareAndSwap of %s did not find number %d, which was acknowledged", r.key(i), s.acked)
		s.given = true
		return nil
	}
	return s.wrote(n, err)
}

// get reads a key, which any client may.
func (r *registers) get(ctx context.Context, c Client, i int, found *found) error {
	s := &r.states[i]
	floor := s.floor.Load()
	value, ok, err := c.Get(ctx, r.key(i))
	if err != nil {
		return err
	}
	n, known := r.number(i, value)
	switch asked := s.asked.Load(); {
	case !ok && floor > 0:
		found.stale("a read of %s found nothing, and number %d was there", r.key(i), floor)
	case !ok:
	case !known:
		found.wrong("a read of %s found %.40q, which nobody wrote", r.key(i), value)
	case n > asked:
		found.wrong("a read of %s found number %d, and %d was the last that anybody wrote", r.key(i), n, asked)
	case n < floor:
		found.stale("a read of %s found number %d, and %d was there before", r.key(i), n, floor)
	default:
		raise(&s.floor, n)
	}
	return nil
}

// readBack reads a key of which nothing is under way, for its writer.
func (r *registers) readBack(ctx context.Context, c Client, i int, found *found) error {
	s := &r.states[i]
	value, ok, err := c.Get(ctx, r.key(i))
	if err != nil {
		return err
	}
	n, known := r.number(i, value)
	switch asked := s.asked.Load(); {
	case !ok && s.acked > 0:
		found.lost("%s is absent, and number %d was acknowledged", r.key(i), s.acked)
	case !ok:
	case !known || n > asked:
		found.wrong("%s has %.40q, which nobody wrote", r.key(i), value)
	case n < s.acked:
		found.lost("%s has number %d, and %d was acknowledged", r.key(i), n, s.acked)
	case n < s.floor.Load():
		found.stale("%s has number %d, and %d was read before", r.key(i), n, s.floor.Load())
	}
	return nil
}

// raise makes a number at least n.
func raise(a *atomic.Uint32, n uint32) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}

// Marks are the numbers that the keys have at a moment.
type Marks []uint32

// Mark notes the numbers that the keys have, for Overwritten.
func (r *Running) Mark() Marks {
	m := make(Marks, len(r.keys.states))
	for i := range m {
		m[i] = r.keys.states[i].floor.Load()
	}
	return m
}

// Overwritten returns how many keys have been written between two moments.
func Overwritten(before, after Marks) (n int) {
	for i := range before {
		if after[i] != before[i] {
			n++
		}
	}
	return n
}

// Package compact reads and writes the pieces of which the compact encodings of
// requests, replies and replica messages are made: numbers, in as many bytes as
// they need, and strings behind their lengths. What the pieces mean, and in which
// order they stand, is said where they are put together.
//
// A Reader takes nothing on trust: it reads no byte that is not there, and what a
// length or a count claims is compared with what is left before anybody allocates
// for it. The package is pure and nothing in it is safe for concurrent use.
package compact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// AppendBytes appends the bytes of s behind their length.
func AppendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendUint64 appends a number in eight bytes: for those that are drawn at
// random, which a varint makes longer.
func AppendUint64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendDelta appends by how much v differs from a number that the reader knows by
// then. It is short when they are close, whichever is larger, and exact always.
func AppendDelta(b []byte, v, base uint64) []byte {
	return binary.AppendVarint(b, int64(v-base))
}

// ErrMalformed is wrapped by every error of a Reader's.
var ErrMalformed = errors.New("malformed encoding")

// Reader takes an encoding apart from the front. The first error sticks, and all
// that is read after it is zero, so that only the end needs a check.
//
// Invariant: 0 <= at <= len(b).
type Reader struct {
	b   []byte
	at  int
	err error
}

// NewReader returns a reader of b, which it does not change.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Fail makes the reader fail, unless it has already. The error says where.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: byte %d of %d: %s", ErrMalformed, r.at, len(r.b), fmt.Sprintf(format, args...))
	}
	r.at = len(r.b)
}

// Err returns the first error, nil if there was none.
func (r *Reader) Err() error { return r.err }

// Left returns how many bytes have not been read.
func (r *Reader) Left() int { return len(r.b) - r.at }

// Rest returns what has not been read, shared with the reader's bytes: nil after
// an error.
func (r *Reader) Rest() []byte {
	if r.err != nil {
		return nil
	}
	return r.b[r.at:]
}

// Done returns the first error, or one if bytes are left.
func (r *Reader) Done() error {
	if r.at < len(r.b) {
		r.Fail("%d bytes follow the end", r.Left())
	}
	return r.err
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.at >= len(r.b) {
		r.Fail("the encoding ends early")
		return 0
	}
	c := r.b[r.at]
	r.at++
	return c
}

// Flags reads a byte of bits, of which only the known ones may be set: a later
// version says with the others what this one cannot understand.
func (r *Reader) Flags(known byte) byte {
	f := r.Byte()
	if f&^known != 0 {
		r.Fail("flags %08b, known are %08b", f, known)
		return 0
	}
	return f
}

// Uvarint reads a number of variable length. It must be as short as it can be.
func (r *Reader) Uvarint() uint64 {
	if r.at < len(r.b) && r.b[r.at] < 0x80 { // most are small
		c := r.b[r.at]
		r.at++
		return uint64(c)
	}
	return r.longUvarint()
}

func (r *Reader) longUvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	switch {
	case n == 0:
		r.Fail("the encoding ends early, within a number")
		return 0
	case n < 0:
		r.Fail("a number beyond 64 bits")
		return 0
	case r.b[r.at+n-1] == 0:
		r.Fail("the number %d in %d bytes, more than it needs", v, n)
		return 0
	}
	r.at += n
	return v
}

// Varint reads a signed number, as binary.AppendVarint writes it.
func (r *Reader) Varint() int64 {
	v := r.Uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// Int reads what binary.AppendVarint wrote of an int.
func (r *Reader) Int() int {
	v := r.Varint()
	if int64(int(v)) != v {
		r.Fail("the number %d, beyond an int", v)
		return 0
	}
	return int(v)
}

// Uint reads a number that a uint holds.
func (r *Reader) Uint() uint { return uint(r.upTo(math.MaxUint)) }

// Uint32 reads a number, of variable length, of at most 32 bits.
func (r *Reader) Uint32() uint32 { return uint32(r.upTo(math.MaxUint32)) }

func (r *Reader) upTo(limit uint64) uint64 {
	v := r.Uvarint()
	if v > limit {
		r.Fail("the number %d, at most %d can be", v, limit)
		return 0
	}
	return v
}

// Uint64 reads what AppendUint64 wrote.
func (r *Reader) Uint64() uint64 {
	if r.Left() < 8 {
		r.Fail("the encoding ends early, within a number of 8 bytes")
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b[r.at:])
	r.at += 8
	return v
}

// Delta reads what AppendDelta wrote with the same base.
func (r *Reader) Delta(base uint64) uint64 { return base + uint64(r.Varint()) }

// Count reads how many items follow that take at least size bytes each, size
// being one or more. A count of more than there is room for is an error.
func (r *Reader) Count(size int) int {
	n := r.Uvarint()
	if n > uint64(r.Left()/size) {
		r.Fail("%d items of %d bytes or more, %d bytes are left", n, size, r.Left())
		return 0
	}
	return int(n)
}

// Next reads n bytes and returns them, shared with the reader's.
func (r *Reader) Next(n int) []byte {
	if n < 0 || n > r.Left() {
		r.Fail("%d bytes wanted, %d are left", n, r.Left())
		return nil
	}
	s := r.b[r.at : r.at+n]
	r.at += n
	return s
}

// Text reads n bytes as a string of its own.
func (r *Reader) Text(n int) string { return string(r.Next(n)) }

// Bytes reads what AppendBytes wrote, into a slice of its own, of just that
// length: nil if it is empty, as gob leaves it.
func (r *Reader) Bytes() []byte {
	n := r.Count(1)
	if n == 0 {
		return nil
	}
	s := make([]byte, n)
	copy(s, r.Next(n))
	return s
}

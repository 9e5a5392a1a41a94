package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// version begins every encoding. It changes when a decoder of the older one
// would misread the newer.
const version = 1

// The tags that follow the version, one for each thing that is encoded, so
// that bytes of one kind are not taken for another.
const (
	tagUpdate      = 'U'
	tagOpenSession = 'O'
	tagExpire      = 'X'
	tagReply       = 'R'
	tagGet         = 'G'
	tagGetReply    = 'g'
	tagScan        = 'S'
	tagScanReply   = 's'
	tagStats       = 'T'
	tagStatsReply  = 't'
	tagChunk       = 'C'
)

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendBytes(b, s []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// stringSize is how many bytes a string of n bytes takes when encoded.
func stringSize(n int) int {
	size := 1
	for v := uint64(n); v >= 0x80; v >>= 7 {
		size++
	}
	return size + n
}

var (
	errShort    = errors.New("ends early")
	errTrailing = errors.New("has bytes after its end")
	errLongForm = errors.New("holds a number in a longer form than needed, or beyond 64 bits")
)

// reader takes an encoding apart. The first error sticks, and everything read
// after it is zero. Strings and bytes are copied, never shared with b: what is
// decoded may outlive a buffer much larger than itself.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bool() bool {
	switch c := r.byte(); c {
	case 0:
		return false
	case 1:
		return true
	default:
		r.fail(fmt.Errorf("has %d for a truth value", c))
		return false
	}
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	switch {
	case n == 0:
		r.fail(errShort)
		return 0
	case n < 0, n > 1 && r.b[n-1] == 0:
		r.fail(errLongForm)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// raw returns the next string's bytes, shared with b. Its length is compared
// with what is there before anything is allocated.
func (r *reader) raw() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) string() string { return string(r.raw()) }

func (r *reader) bytes() []byte { return append([]byte(nil), r.raw()...) }

// count reads the number of items that follow, each of at least size bytes, so
// that a claimed count cannot make anyone allocate for more than is there.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

// header reads the version and the tag.
func (r *reader) header() (tag byte) {
	if v := r.byte(); r.err == nil && v != version {
		r.fail(fmt.Errorf("has version %d, known is %d", v, version))
	}
	return r.byte()
}

// expect reads the version and the given tag.
func (r *reader) expect(tag byte) {
	if t := r.header(); r.err == nil && t != tag {
		r.fail(fmt.Errorf("has tag %q, wanted %q", t, tag))
	}
}

// done returns the first error, or one if bytes are left.
func (r *reader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errTrailing
	}
	return r.err
}

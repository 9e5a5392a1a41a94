package rpcnet

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"
)

const (
	// largeFrame is the size, in bytes, above which a frame needs a share of
	// the budget, and above which buffers are not kept for the next one.
	largeFrame = 64 << 10
	// maxDefinitions bounds the bytes of type definitions on one connection. A
	// decoder keeps them for ever; an honest peer sends a few hundred bytes.
	maxDefinitions = 1 << 20
	// readBuffer is the size of a connection's read buffer, in bytes.
	readBuffer = 16 << 10
)

var errMalformed = errors.New("malformed frame")

// frameReader stands beneath a gob decoder. It parses the length before each gob
// message, so that a message beyond the limit is refused before the decoder
// allocates anything, and a large one waits for its share of a budget.
//
// gob's frame is a length and as many bytes. The length is an unsigned integer:
// one byte below 128, or the negated count of the bytes that follow, most
// significant first.
//
// It is used by one goroutine. After an error it returns the same for ever.
type frameReader struct {
	src *bufio.Reader
	max int
	// begun is set when the first byte of something has been read, and cleared
	// by whoever is content to wait for the next first byte.
	begun bool
	// wait, if set, is called before the payload of a frame above largeFrame
	// is read, and done after its last byte.
	wait func(bytes int) error
	done func()

	head    []byte // what is left to hand out before the payload, of headBuf
	headBuf [9]byte
	left    int  // payload bytes left in the frame
	large   bool // whether the frame is above largeFrame
	sawBig  bool // whether any was since the last call of relieve
	defined int  // bytes of type definitions so far
	err     error
}

func newFrameReader(r io.Reader, max int) *frameReader {
	return &frameReader{src: bufio.NewReaderSize(r, readBuffer), max: max}
}

// Read reads from within one frame at a time.
func (r *frameReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	if len(r.head) == 0 && r.left == 0 {
		if err := r.next(); err != nil {
			r.err = err
			return 0, err
		}
	}
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	n, err := r.src.Read(p[:min(len(p), r.left)])
	r.left -= n
	if r.left == 0 {
		r.end()
	}
	if err != nil && n == 0 {
		r.fail(err)
		return 0, r.err
	}
	return n, nil
}

// ReadByte keeps the decoder from putting a buffer of its own between us.
func (r *frameReader) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return b[0], err
}

func (r *frameReader) fail(err error) {
	if err == io.EOF && r.begun {
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	r.end()
}

// next reads the head of a frame.
func (r *frameReader) next() error {
	first, err := r.src.ReadByte()
	if err != nil {
		if err == io.EOF && r.begun {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	r.begun = true
	r.headBuf[0] = first
	length, size := uint64(first), 1
	if first > 0x7f {
		size += -int(int8(first))
		if size > len(r.headBuf) {
			return fmt.Errorf("%w: length of %d bytes", errMalformed, size-1)
		}
		length = 0
		for i := 1; i < size; i++ {
			b, err := r.src.ReadByte()
			if err != nil {
				return unexpected(err)
			}
			r.headBuf[i] = b
			length = length<<8 | uint64(b)
		}
	}
	if length > uint64(r.max) {
		return fmt.Errorf("%w: %d bytes announced, the limit is %d", ErrFrameTooLarge, length, r.max)
	}
	if length == 0 {
		return fmt.Errorf("%w: empty", errMalformed)
	}
	if err := r.countDefinition(int(length)); err != nil {
		return err
	}
	r.head, r.left = r.headBuf[:size], int(length)
	if r.left > largeFrame {
		r.large, r.sawBig = true, true
		if r.wait != nil {
			if err := r.wait(r.left); err != nil {
				return err
			}
		}
	}
	return nil
}

// countDefinition keeps account of type definitions: messages that begin with a
// negative type id.
func (r *frameReader) countDefinition(length int) error {
	first, err := r.src.Peek(1)
	if err != nil {
		return unexpected(err)
	}
	last := 0 // of the id's bytes
	if first[0] > 0x7f {
		last = -int(int8(first[0]))
	}
	if last >= length || last > 8 {
		return fmt.Errorf("%w: no type id", errMalformed)
	}
	id, err := r.src.Peek(last + 1)
	if err != nil {
		return unexpected(err)
	}
	if id[last]&1 == 0 { // gob keeps the sign in the lowest bit
		return nil
	}
	if r.defined += length; r.defined > maxDefinitions {
		return fmt.Errorf("%w: more than %d bytes of type definitions", ErrFrameTooLarge, maxDefinitions)
	}
	return nil
}

// end ends the frame, if it is large, for the budget.
func (r *frameReader) end() {
	if r.large {
		r.large = false
		if r.done != nil {
			r.done()
		}
	}
}

// relieve makes dec let go of the buffer that a large frame left in it, which it
// would keep until the next frame, on an idle connection for ever. It does so
// by having it skip a tiny value.
func (r *frameReader) relieve(dec *gob.Decoder) {
	if !r.sawBig || r.err != nil || r.left > 0 || len(r.head) > 0 {
		return
	}
	r.sawBig = false
	r.head = smallestValue
	skip(dec) // cannot fail: the value is well-formed
}

// skip reads the next value and forgets it.
func skip(dec *gob.Decoder) error { return dec.DecodeValue(reflect.Value{}) }

// smallestValue is a gob message: three bytes, the type id of int, the mark of a value
// that is not a struct, and zero.
var smallestValue = []byte{3, 4, 0, 0}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

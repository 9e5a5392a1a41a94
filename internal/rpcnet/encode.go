package rpcnet

import (
	"encoding/gob"
	"fmt"
	"io"
	"reflect"
)

// encoder encodes net/rpc messages, a header and a body each, into a buffer:
// both or neither. A plain gob.Encoder on a connection would be out of step with
// its peer for ever after a body that cannot be encoded or is too large. It is
// used by one goroutine at a time.
type encoder struct {
	buf []byte // what is encoded and not yet taken; whoever takes it may swap it
	max int    // bytes of a message

	gob *gob.Encoder
	// values are the places in buf of the message at hand that are values and
	// not type definitions, which must be kept: the gob encoder sends each once.
	values   []span
	tooLarge int  // bytes of a value that was left out, zero if none
	dry      bool // count definitions, write nothing
	defined  int  // bytes of definitions that gob has made

	types []reflect.Type // of all that was encoded, for shed
	known map[reflect.Type]bool
}

type span struct{ from, to int }

func newEncoder(max int) *encoder {
	e := &encoder{max: max, known: make(map[reflect.Type]bool)}
	e.gob = gob.NewEncoder((*gobSink)(e))
	return e
}

// gobSink is the encoder as gob's writer: one Write is one gob message.
type gobSink encoder

func (s *gobSink) Write(p []byte) (int, error) {
	definition := isDefinition(p)
	if definition {
		s.defined += len(p)
	}
	switch {
	case s.dry:
	case !definition && len(p) > s.max:
		s.tooLarge = len(p)
	default:
		if !definition {
			s.values = append(s.values, span{len(s.buf), len(s.buf) + len(p)})
		}
		s.buf = append(s.buf, p...)
	}
	return len(p), nil
}

// isDefinition reports whether a gob message defines a type: its type id, which
// follows the length, is negative then.
func isDefinition(msg []byte) bool {
	i := 0
	for range 2 { // the last byte of the length, then of the id
		if msg[i] > 0x7f {
			i += -int(int8(msg[i]))
		}
		i++
	}
	return msg[i-1]&1 == 1
}

// message appends a header and a body to the buffer. After an error it has
// appended nothing but type definitions, and both ends are in step.
func (e *encoder) message(header, body any) error {
	mark := len(e.buf)
	e.values, e.tooLarge = e.values[:0], 0
	err := e.encode(header)
	if err == nil {
		err = e.encode(body)
	}
	if err == nil && e.tooLarge > 0 {
		err = fmt.Errorf("%w: %d bytes, the limit is %d", ErrFrameTooLarge, e.tooLarge, e.max)
	}
	big := len(e.buf)-mark > largeFrame || e.tooLarge > 0
	if err != nil {
		for i := len(e.values) - 1; i >= 0; i-- {
			v := e.values[i]
			e.buf = append(e.buf[:v.from], e.buf[v.to:]...)
		}
	}
	if big {
		e.shed()
	}
	return err
}

// encode encodes one value. gob panics at a nil pointer, and so may a type that
// encodes itself; neither must take the process with it.
func (e *encoder) encode(v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encode %T: %v", v, p)
		}
	}()
	if t := reflect.TypeOf(v); t != nil && !e.known[t] {
		e.known[t] = true
		e.types = append(e.types, t)
	}
	return e.gob.Encode(v)
}

// shed replaces the gob encoder by one that has not grown. gob keeps a buffer of
// the size of the largest message for as long as the encoder lives, and a
// thousand idle connections that each carried one large value would hold them all. The
// new one learns which types the peer knows by encoding empty values of them
// into nothing; type ids are the same for all encoders of a process. Should that
// define other types than those already sent, which values behind interfaces can
// cause, the old encoder stays.
func (e *encoder) shed() {
	old, defined := e.gob, e.defined
	e.gob = gob.NewEncoder((*gobSink)(e))
	e.dry, e.defined = true, 0
	for _, t := range e.types {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if e.encode(reflect.New(t).Interface()) != nil {
			break
		}
	}
	e.dry = false
	if e.defined != defined {
		e.gob, e.defined = old, defined
	}
}

// take returns what is encoded, and goes on in a spare buffer.
func (e *encoder) take(spare []byte) []byte {
	full := e.buf
	e.buf = spare
	return full
}

// reuse returns a buffer emptied, or nil if it has grown too large to be kept.
func reuse(buf []byte) []byte {
	if cap(buf) > 4*largeFrame {
		return nil
	}
	return buf[:0]
}

var _ io.Writer = (*gobSink)(nil)

package rpcnet

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math"
)

// Two ends that both know how may agree to leave gob behind: the client's first
// call on a connection is Conn.Compact, in gob, and after its reply both send
// compact frames. A plain net/rpc server answers that it knows no such method,
// a plain net/rpc client never asks, and with either everything stays as net/rpc
// has it. What a compact frame says is what net/rpc's Request and Response say.
//
//	frame   = length of what follows (4 bytes, least significant first)
//	          sequence number (uvarint), kind (1 byte), payload
//	request   kind 0: length of the method's name (uvarint), the name, arguments in gob
//	          kind 1: Conn.Echo
//	          kind 2+i: method i of the agreement, arguments in their own encoding
//	reply     kind 0: the reply in its own encoding
//	          kind 1: the text of an error
//	          kind 2: the reply in gob
//
// A reply with sequence number 0 was not asked for and says that the server is
// alive. gob in a frame stands by itself, definitions included.

// Compact is implemented by pointers to arguments and replies that have an
// encoding of their own.
type Compact interface {
	// AppendCompact appends the encoding to b.
	AppendCompact(b []byte) []byte
	// DecodeCompact sets the receiver to what b encodes, and keeps no part of b.
	// b may have come from anybody: after an error the receiver's content is
	// unspecified.
	DecodeCompact(b []byte) error
}

// compactMethod is the method by which a client proposes compact frames.
const compactMethod = "Conn.Compact"

// compactVersion is that of the format above.
const compactVersion = 1

// CompactArgs are the arguments of Conn.Compact.
type CompactArgs struct {
	Version int
	Methods []string // with arguments and replies that are Compact; a request names them by their place here
}

// CompactReply is the reply of Conn.Compact; an agreement is that there is one.
type CompactReply struct {
	Version int
}

// The kinds of frames.
const (
	requestNamed   = 0
	requestEcho    = 1
	requestCompact = 2 // and above
	replyCompact   = 0
	replyError     = 1
	replyGob       = 2

	maxCompactMethods = math.MaxUint8 - requestCompact + 1
)

const frameHead = 4 // bytes of a frame's length

// openFrame appends the head of a frame, for closeFrame to complete.
func openFrame(b []byte, seq uint64, kind byte) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, seq)
	return append(b, kind)
}

// closeFrame completes the frame that begins at mark and ends with b. If it is larger
// than max, it is taken out again.
func closeFrame(b []byte, mark, max int) ([]byte, error) {
	n := len(b) - mark - frameHead
	if n > max {
		return b[:mark], fmt.Errorf("%w: %d bytes, the limit is %d", ErrFrameTooLarge, n, max)
	}
	binary.LittleEndian.PutUint32(b[mark:], uint32(n))
	return b, nil
}

// compactRequest appends a request; method is its place in the agreement, below
// zero if it has none.
func compactRequest(b []byte, max int, seq uint64, method int, name string, args any) ([]byte, error) {
	mark := len(b)
	if c, ok := args.(Compact); ok && method >= 0 {
		b = openFrame(b, seq, byte(requestCompact+method))
		return closeFrame(c.AppendCompact(b), mark, max)
	}
	b = openFrame(b, seq, requestNamed)
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	b, err := appendGob(b, args)
	if err != nil {
		return b[:mark], err
	}
	return closeFrame(b, mark, max)
}

// compactReply appends a reply, or an error if text is not empty.
func compactReply(b []byte, max int, seq uint64, text string, reply any) ([]byte, error) {
	mark := len(b)
	if text != "" {
		return closeFrame(append(openFrame(b, seq, replyError), text...), mark, max)
	}
	if c, ok := reply.(Compact); ok {
		return closeFrame(c.AppendCompact(openFrame(b, seq, replyCompact)), mark, max)
	}
	b, err := appendGob(openFrame(b, seq, replyGob), reply)
	if err != nil {
		return b[:mark], err
	}
	return closeFrame(b, mark, max)
}

// compactBeat appends what says that a server is alive.
func compactBeat(b []byte) []byte {
	mark := len(b)
	b, _ = closeFrame(openFrame(b, 0, replyError), mark, math.MaxInt)
	return b
}

// appendGob appends a value in gob. gob panics at a nil pointer, and so may a type
// that encodes itself; neither must take the process with it.
func appendGob(b []byte, v any) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = b, fmt.Errorf("encode %T: %v", v, p)
		}
	}()
	w := bytes.NewBuffer(b)
	err = gob.NewEncoder(w).Encode(v)
	return w.Bytes(), err
}

// decodeGob decodes a value that appendGob has encoded. gob makes room for what a message
// announces before it has come, so the lengths are looked at first.
func decodeGob(b []byte, v any) error {
	for rest := b; len(rest) > 0; {
		length, size, err := gobLength(rest)
		if err != nil {
			return err
		}
		if length > uint64(len(rest)-size) {
			return fmt.Errorf("%w: a gob message of %d bytes, where %d are left", errBadFrame, length, len(rest)-size)
		}
		rest = rest[size+int(length):]
	}
	return gob.NewDecoder(bytes.NewReader(b)).Decode(v)
}

// gobLength returns the length of the gob message that b begins with, and how many bytes
// it is told in.
func gobLength(b []byte) (length uint64, size int, err error) {
	if b[0] <= 0x7f {
		return uint64(b[0]), 1, nil
	}
	size = 1 - int(int8(b[0]))
	if size > 9 || size > len(b) {
		return 0, 0, fmt.Errorf("%w: a length of %d bytes", errBadFrame, size-1)
	}
	for _, d := range b[1:size] {
		length = length<<8 | uint64(d)
	}
	return length, size, nil
}

// compactReader reads frames, on the buffer that gob's were read from. It is used by
// one goroutine. After an error it is not used again.
type compactReader struct {
	frames *frameReader // for its buffer, its limits and its budget
	own    []byte       // for frames that are larger than the buffer
	skip   int          // bytes of the buffer that the last frame took
}

var errBadFrame = errors.New("malformed compact frame")

// ready reports whether a whole frame is in the buffer, so that next will not wait.
func (r *compactReader) ready() bool {
	src := r.frames.src
	if src.Buffered()-r.skip < frameHead {
		return false
	}
	head, _ := src.Peek(r.skip + frameHead) // no more than is there
	n := binary.LittleEndian.Uint32(head[r.skip:])
	return uint64(src.Buffered()-r.skip-frameHead) >= uint64(n)
}

// next reads a frame. The payload is good until the next call.
func (r *compactReader) next() (seq uint64, kind byte, payload []byte, err error) {
	src := r.frames.src
	src.Discard(r.skip) // it is in the buffer
	r.skip = 0
	if cap(r.own) > 4*largeFrame {
		r.own = nil // an idle connection keeps no large buffer
	}
	r.frames.begun = false
	if _, err := src.Peek(1); err != nil {
		return 0, 0, nil, err
	}
	r.frames.begun = true
	head, err := src.Peek(frameHead)
	if err != nil {
		return 0, 0, nil, unexpected(err)
	}
	n := binary.LittleEndian.Uint32(head)
	if uint64(n) > uint64(r.frames.max) {
		return 0, 0, nil, fmt.Errorf("%w: %d bytes announced, the limit is %d", ErrFrameTooLarge, n, r.frames.max)
	}
	frame, err := r.body(int(n))
	if err != nil {
		return 0, 0, nil, unexpected(err)
	}
	seq, k := binary.Uvarint(frame)
	if k <= 0 || k >= len(frame) {
		return 0, 0, nil, errBadFrame
	}
	return seq, frame[k], frame[k+1:], nil
}

// body returns the n bytes after a frame's head.
func (r *compactReader) body(n int) ([]byte, error) {
	src := r.frames.src
	if frameHead+n <= src.Size() {
		b, err := src.Peek(frameHead + n)
		if err != nil {
			return nil, err
		}
		r.skip = frameHead + n
		return b[frameHead:], nil
	}
	src.Discard(frameHead)
	if n > largeFrame && r.frames.wait != nil {
		if err := r.frames.wait(n); err != nil {
			return nil, err
		}
		defer r.frames.done()
	}
	// Memory grows with what has come, not with what was announced.
	r.own = r.own[:0]
	for len(r.own) < n {
		piece := min(n-len(r.own), max(cap(r.own)-len(r.own), len(r.own), largeFrame))
		r.own = append(r.own, make([]byte, piece)...)
		if _, err := io.ReadFull(src, r.own[len(r.own)-piece:]); err != nil {
			return nil, err
		}
	}
	return r.own, nil
}

// methodName splits the payload of a request that names its method.
func methodName(payload []byte) (name string, args []byte, err error) {
	n, k := binary.Uvarint(payload)
	if k <= 0 || n > uint64(len(payload)-k) {
		return "", nil, errBadFrame
	}
	return string(payload[k : k+int(n)]), payload[k+int(n):], nil
}

package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tandemkv/tandem"
)

// codes are the errors that a reply can hold, encoded by their place: add at
// the end only.
var codes = [...]tandem.Err{
	tandem.OK,
	tandem.ErrNoKey,
	tandem.ErrTooLarge,
	tandem.ErrSessionExpired,
	tandem.ErrStaleRequest,
	tandem.ErrTooManySessions,
	tandem.ErrScanLost,
}

func appendCode(b []byte, e tandem.Err) []byte {
	i := slices.Index(codes[:], e)
	if i < 0 {
		panic(&tandem.InvariantError{Invariant: "ReplyCode", Detail: fmt.Sprintf("no code for %q", string(e))})
	}
	return append(b, byte(i))
}

func (r *reader) code() tandem.Err {
	i := r.byte()
	if int(i) >= len(codes) {
		r.fail(fmt.Errorf("has unknown error code %d", i))
		return ""
	}
	return codes[i]
}

// Result is what one Write came to.
type Result struct {
	Err      tandem.Err // OK, or ErrNoKey from OpDelete
	Swapped  bool       // OpCompareAndSwap: whether the value was set
	Previous string     // OpPutHash: the value before
}

// Reply is the reply of a Command.
type Reply struct {
	// Err is OK if the command was executed. Any other says that it was not,
	// and changed no data: ErrTooLarge, ErrSessionExpired, ErrStaleRequest,
	// ErrTooManySessions.
	Err     tandem.Err
	Session uint64   // OpenSession: the new session's id
	Results []Result // Update: one for each write, if it was executed
}

// minResult is the least a result takes when encoded.
const minResult = 3

// Append appends the reply's encoding. It panics if an error in it is none
// that a reply can hold.
func (p *Reply) Append(b []byte) []byte {
	b = append(b, version, tagReply)
	b = appendCode(b, p.Err)
	b = binary.AppendUvarint(b, p.Session)
	b = binary.AppendUvarint(b, uint64(len(p.Results)))
	for i := range p.Results {
		b = appendCode(b, p.Results[i].Err)
		b = appendBool(b, p.Results[i].Swapped)
		b = appendString(b, p.Results[i].Previous)
	}
	return b
}

// DecodeReply decodes a reply; it encodes to the same bytes again.
func DecodeReply(b []byte) (Reply, error) {
	r := reader{b: b}
	r.expect(tagReply)
	p := Reply{Err: r.code(), Session: r.uvarint()}
	if n := r.count(minResult); n > 0 {
		p.Results = make([]Result, n)
	}
	for i := range p.Results {
		p.Results[i] = Result{Err: r.code(), Swapped: r.bool(), Previous: r.string()}
	}
	if err := r.done(); err != nil {
		return Reply{}, fmt.Errorf("reply of %d bytes %w", len(b), err)
	}
	return p, nil
}

// bareReply returns the encoding of a reply that says no more than this.
func bareReply(e tandem.Err) []byte {
	p := Reply{Err: e}
	return p.Append(nil)
}

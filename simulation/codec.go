package simulation

import (
	"bytes"
	"encoding/gob"
	"fmt"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// codec encodes and decodes messages as they go over real sockets: in gob, one
// stream in which the types are described once, and in compact encodings.
type codec struct {
	buffer  bytes.Buffer
	encoder *gob.Encoder
	decoder *gob.Decoder
	compact []byte // of the message before, to be overwritten
}

func newCodec() *codec {
	c := new(codec)
	c.encoder, c.decoder = gob.NewEncoder(&c.buffer), gob.NewDecoder(&c.buffer)
	c.throughGob(new(body)) // with the description of the types
	return c
}

// recode returns a copy of a message that shares nothing with it. Of those that
// have a compact encoding every other one goes through that, and the rest through
// gob, as where programs of both kinds meet.
func (c *codec) recode(b *body, id uint64) *body {
	if id%2 == 0 {
		if copied := c.throughCompact(b); copied != nil {
			return copied
		}
	}
	return c.throughGob(b)
}

func (c *codec) throughGob(b *body) *body {
	c.encode(b)
	copied := new(body)
	if err := c.decoder.Decode(copied); err != nil {
		panic(fmt.Sprintf("decoding a message: %v", err))
	}
	return copied
}

// throughCompact returns nil of a message that has no compact encoding.
func (c *codec) throughCompact(b *body) *body {
	copied := &body{Kind: b.Kind, Life: b.Life, Call: b.Call}
	switch b.Kind {
	case peerMessage:
		copied.Peer = c.peerThroughCompact(b.Peer)
	case putArgs:
		copied.Put = compactly(c, b.Put, new(tandem.PutArgs))
	case putReply:
		copied.PutReply = compactly(c, b.PutReply, new(tandem.PutReply))
	case getArgs:
		copied.Get = compactly(c, b.Get, new(tandem.GetArgs))
	case getReply:
		copied.GetReply = compactly(c, b.GetReply, new(tandem.GetReply))
	case scanArgs:
		copied.Scan = compactly(c, b.Scan, new(tandem.ScanArgs))
	case scanReply:
		copied.ScanReply = compactly(c, b.ScanReply, new(tandem.ScanReply))
	default:
		return nil
	}
	return copied
}

// compactly sends a request or a reply through its compact encoding. The bytes are
// used again for the next.
func compactly[T interface {
	AppendCompact([]byte) []byte
	DecodeCompact([]byte) error
}](c *codec, from, to T) T {
	c.compact = from.AppendCompact(c.compact[:0])
	if err := to.DecodeCompact(c.compact); err != nil {
		panic(fmt.Sprintf("decoding a message: %v", err))
	}
	return to
}

func (c *codec) peerThroughCompact(m *replica.Message) *replica.Message {
	c.compact = m.Append(c.compact[:0])
	copied, rest, err := replica.DecodeMessage(c.compact)
	if err != nil || len(rest) > 0 {
		panic(fmt.Sprintf("decoding a message, %d of %d bytes left: %v", len(rest), len(c.compact), err))
	}
	return &copied
}

// seal returns a message's encoding.
func (c *codec) seal(b *body) []byte {
	c.encode(b)
	sealed := bytes.Clone(c.buffer.Bytes())
	c.buffer.Reset()
	return sealed
}

func (c *codec) encode(b *body) {
	if err := c.encoder.Encode(b); err != nil {
		panic(fmt.Sprintf("encoding a message: %v", err))
	}
}

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/tandemkv/tandem"
)

// Kind is the kind of a Command.
type Kind uint8

const (
	// Update changes data.
	Update Kind = iota + 1
	// OpenSession opens a session (rule S4). Its id is the entry's index.
	OpenSession
	// Expire drops the sessions that have not been used for Command.AgeMillis
	// of the log's time (rule S4).
	Expire
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Update:
		return "Update"
	case OpenSession:
		return "OpenSession"
	case Expire:
		return "Expire"
	}
	return "unknown kind"
}

// Write is one change of an Update.
type Write struct {
	Op       tandem.Op // what to do; not OpOpenSession
	Key      string
	Value    string // empty for OpDelete
	Expected string // empty unless Op is OpCompareAndSwap
}

// Command is the payload of an entry. Only the fields of its Kind may be other
// than zero. It holds everything that decides its effect, but for the entry's
// index and time (rule L6).
type Command struct {
	Kind Kind

	// Session and Number identify the request of an Update (rule S1): both are
	// zero (rule S6), or neither.
	Session, Number uint64
	// Writes of an Update are carried out in order, each seeing those before
	// it: all of them, or none if one is too large. There is at least one.
	Writes []Write
	// MaxValue bounds the value that an Append of this Update makes, in bytes;
	// zero is no bound.
	MaxValue uint64
	// ReplyBudget is what the stored replies may hold once the reply of this
	// Update is stored, in bytes; zero is no bound. See Limits.ReplyBudget.
	ReplyBudget uint64

	// MaxSessions bounds the table to which an OpenSession adds.
	MaxSessions uint64

	// AgeMillis is what an Expire counts as too long without use, and what an
	// OpenSession does that finds the table full; there zero is never.
	AgeMillis uint64
}

var (
	errKind     = errors.New("is of no known kind")
	errFields   = errors.New("has a field that its kind or operation does not have")
	errNoWrites = errors.New("is an Update without writes")
	errIdentity = errors.New("names a session without a number, or a number without a session")
	errAge      = errors.New("has an age beyond 63 bits")
)

// Check returns what is wrong with a command, nil if it can be encoded.
func (c *Command) Check() error {
	only := Command{Kind: c.Kind}
	switch c.Kind {
	case Update:
		if len(c.Writes) == 0 {
			return errNoWrites
		}
		for i := range c.Writes {
			if err := c.Writes[i].check(); err != nil {
				return err
			}
		}
		if (c.Session == 0) != (c.Number == 0) {
			return errIdentity
		}
		only.Session, only.Number = c.Session, c.Number
		only.MaxValue, only.ReplyBudget = c.MaxValue, c.ReplyBudget
	case OpenSession:
		only.MaxSessions, only.AgeMillis = c.MaxSessions, c.AgeMillis
	case Expire:
		only.AgeMillis = c.AgeMillis
	default:
		return errKind
	}
	if c.AgeMillis > math.MaxInt64 {
		return errAge
	}
	if c.Session != only.Session || c.Number != only.Number ||
		c.MaxValue != only.MaxValue || c.ReplyBudget != only.ReplyBudget ||
		c.MaxSessions != only.MaxSessions || c.AgeMillis != only.AgeMillis ||
		c.Kind != Update && len(c.Writes) > 0 {
		return errFields
	}
	return nil
}

func (w *Write) check() error {
	switch w.Op {
	case tandem.OpCompareAndSwap:
		return nil
	case tandem.OpPut, tandem.OpPutHash, tandem.OpAppend:
		if w.Expected != "" {
			return errFields
		}
	case tandem.OpDelete:
		if w.Value != "" || w.Expected != "" {
			return errFields
		}
	default:
		return fmt.Errorf("has a write of operation %d", w.Op)
	}
	return nil
}

// Append appends the encoding of a command for which Check returns nil; for
// another it panics, since what is not understood must not reach the log.
func (c *Command) Append(b []byte) []byte {
	if err := c.Check(); err != nil {
		panic(&tandem.InvariantError{
			Invariant: "CommandWellFormed",
			Detail:    fmt.Sprintf("a %v command %v", c.Kind, err),
		})
	}
	b = append(b, version)
	switch c.Kind {
	case Update:
		b = append(b, tagUpdate)
		b = binary.AppendUvarint(b, c.Session)
		b = binary.AppendUvarint(b, c.Number)
		b = binary.AppendUvarint(b, c.MaxValue)
		b = binary.AppendUvarint(b, c.ReplyBudget)
		b = binary.AppendUvarint(b, uint64(len(c.Writes)))
		for i := range c.Writes {
			b = c.Writes[i].append(b)
		}
	case OpenSession:
		b = append(b, tagOpenSession)
		b = binary.AppendUvarint(b, c.MaxSessions)
		b = binary.AppendUvarint(b, c.AgeMillis)
	case Expire:
		b = append(b, tagExpire)
		b = binary.AppendUvarint(b, c.AgeMillis)
	}
	return b
}

// minWrite is the least a write takes when encoded: its operation and the
// lengths of three strings.
const minWrite = 4

func (w *Write) append(b []byte) []byte {
	b = append(b, byte(w.Op))
	b = appendString(b, w.Key)
	b = appendString(b, w.Value)
	return appendString(b, w.Expected)
}

// DecodeCommand decodes a command. The result passes Check, shares nothing
// with b, and encodes to the same bytes again.
func DecodeCommand(b []byte) (Command, error) {
	c, _, err := decodeCommand(b, nil)
	return c, err
}

// decodeCommand is DecodeCommand, with room for writes. sole is, of an Update of one
// OpPut, the record that it makes, which is then all the memory that is taken.
func decodeCommand(b []byte, writes []Write) (c Command, sole record, err error) {
	r := reader{b: b}
	switch tag := r.header(); tag {
	case tagUpdate:
		c.Kind = Update
		c.Session = r.uvarint()
		c.Number = r.uvarint()
		c.MaxValue = r.uvarint()
		c.ReplyBudget = r.uvarint()
		n := r.count(minWrite)
		if c.Writes = writes; n > cap(writes) {
			c.Writes = make([]Write, 0, n)
		}
		for range n {
			w := Write{Op: tandem.Op(r.byte())}
			if n == 1 && w.Op == tandem.OpPut {
				if sole = r.record(); sole != "" {
					w.Key, w.Value = sole.key(), sole.value()
				}
			} else {
				w.Key, w.Value = r.string(), r.string()
			}
			w.Expected = r.string()
			c.Writes = append(c.Writes, w)
		}
	case tagOpenSession:
		c.Kind = OpenSession
		c.MaxSessions = r.uvarint()
		c.AgeMillis = r.uvarint()
	case tagExpire:
		c.Kind = Expire
		c.AgeMillis = r.uvarint()
	default:
		r.fail(errKind)
	}
	err = r.done()
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return Command{}, "", fmt.Errorf("command of %d bytes %w", len(b), err)
	}
	return c, sole, nil
}

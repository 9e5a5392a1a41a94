package store

import (
	"fmt"
	"math"

	"github.com/tandemkv/tandem"
)

// PutCommand returns the command that a client's update asks for, encoded. It
// is where local limits and the check of what clients send have their place:
// what passes is understood by every replica alike (rule L6).
//
// The error, if any, is definite, for nothing has been ordered. It wraps the
// tandem.Err to answer with, to be found with errors.As: ErrTooLarge for a key
// above l.MaxKey, a value or expected value above l.MaxValue; ErrBadRequest for
// an unknown operation, DoHash with anything but OpPut and OpPutHash, and a
// session without a number. The value of an OpDelete is ignored, as is the
// number of a request without a session (rule S6).
func PutCommand(args *tandem.PutArgs, l Limits) ([]byte, error) {
	l = l.withDefaults()
	op := args.Op
	if args.DoHash {
		if op != tandem.OpPut && op != tandem.OpPutHash {
			return nil, fmt.Errorf("DoHash with operation %v: %w", op, tandem.ErrBadRequest)
		}
		op = tandem.OpPutHash
	}
	if op == tandem.OpOpenSession {
		c := Command{Kind: OpenSession, MaxSessions: uint64(l.MaxSessions), AgeMillis: uint64(l.SpareIdleMillis)}
		return c.Append(nil), nil
	}
	w := Write{Op: op, Key: args.Key, Value: args.Value}
	c := Command{Kind: Update}
	switch op {
	case tandem.OpPut:
	case tandem.OpPutHash:
		c.ReplyBudget = uint64(l.ReplyBudget)
	case tandem.OpAppend:
		c.MaxValue = uint64(l.MaxValue)
	case tandem.OpDelete:
		w.Value = ""
	case tandem.OpCompareAndSwap:
		w.Expected = args.Expected
	default:
		return nil, fmt.Errorf("operation %d: %w", op, tandem.ErrBadRequest)
	}
	if err := checkSize("key", w.Key, l.MaxKey); err != nil {
		return nil, err
	}
	if err := checkSize("value", w.Value, l.MaxValue); err != nil {
		return nil, err
	}
	if err := checkSize("expected value", w.Expected, l.MaxValue); err != nil {
		return nil, err
	}
	if args.Session != 0 {
		if args.Number == 0 {
			return nil, fmt.Errorf("session %d without a number: %w", args.Session, tandem.ErrBadRequest)
		}
		c.Session, c.Number = args.Session, args.Number
	}
	c.Writes = []Write{w}
	b := make([]byte, 0, commandOverhead+len(w.Key)+len(w.Value)+len(w.Expected))
	return c.Append(b), nil
}

// commandOverhead is the most that a command of one write takes beyond its
// strings.
const commandOverhead = 80

func checkSize(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s of %d bytes, limit %d: %w", what, len(s), limit, tandem.ErrTooLarge)
	}
	return nil
}

// PutReply decodes the reply of a command that PutCommand returned. Its Outcome
// is that of this attempt: a command that a session refused did not run, though
// an earlier attempt at the same request may have (rule S5).
func PutReply(reply []byte) (tandem.PutReply, error) {
	p, err := DecodeReply(reply)
	if err != nil {
		return tandem.PutReply{}, err
	}
	out := tandem.PutReply{Err: p.Err, Session: p.Session, Outcome: tandem.DidNotRun}
	if p.Err == tandem.OK {
		out.Outcome = tandem.DidRun
	}
	switch len(p.Results) {
	case 0:
	case 1:
		out.Err = p.Results[0].Err
		out.Swapped = p.Results[0].Swapped
		out.PreviousValue = p.Results[0].Previous
	default:
		return tandem.PutReply{}, fmt.Errorf("reply of %d bytes has %d results, wanted one", len(reply), len(p.Results))
	}
	return out, nil
}

// GetQuery returns the query that a client's Get asks for, encoded. A key above
// l.MaxKey is refused with ErrTooLarge, wrapped as by PutCommand: a client
// that builds such keys should hear of it from the first call it makes.
func GetQuery(args *tandem.GetArgs, l Limits) ([]byte, error) {
	l = l.withDefaults()
	if err := checkSize("key", args.Key, l.MaxKey); err != nil {
		return nil, err
	}
	q := getQuery{key: args.Key}
	return q.append(nil), nil
}

// GetReply decodes the reply of a GetQuery.
func GetReply(reply []byte) (tandem.GetReply, error) {
	r := reader{b: reply}
	r.expect(tagGetReply)
	p := tandem.GetReply{Err: r.code(), Value: r.string()}
	if err := r.done(); err != nil {
		return tandem.GetReply{}, fmt.Errorf("reply to Get of %d bytes %w", len(reply), err)
	}
	return p, nil
}

// ScanQuery returns the query that a client's Scan asks for, encoded. A prefix
// above l.MaxKey is ErrTooLarge, a negative limit ErrBadRequest, both wrapped as
// by PutCommand. (After is not measured: it was given out by a server, whose
// limit may be higher.)
func ScanQuery(args *tandem.ScanArgs, l Limits) ([]byte, error) {
	l = l.withDefaults()
	if err := checkSize("prefix", args.Prefix, l.MaxKey); err != nil {
		return nil, err
	}
	if args.Limit < 0 {
		return nil, fmt.Errorf("limit of %d pairs: %w", args.Limit, tandem.ErrBadRequest)
	}
	q := scanQuery{
		prefix: args.Prefix,
		limit:  min(args.Limit, math.MaxInt32),
		scan:   args.Scan,
		after:  args.After,
	}
	return q.append(nil), nil
}

// ScanReply decodes the reply of a ScanQuery.
func ScanReply(reply []byte) (tandem.ScanReply, error) {
	r := reader{b: reply}
	r.expect(tagScanReply)
	p := tandem.ScanReply{Err: r.code(), Scan: r.uvarint(), Index: r.uvarint(), More: r.bool()}
	if n := r.count(minPair); n > 0 {
		p.Pairs = make([]tandem.Pair, n)
	}
	for i := range p.Pairs {
		p.Pairs[i] = tandem.Pair{Key: r.string(), Value: r.string()}
	}
	if err := r.done(); err != nil {
		return tandem.ScanReply{}, fmt.Errorf("reply to Scan of %d bytes %w", len(reply), err)
	}
	return p, nil
}

// StatsQuery returns the query that asks for Stats, encoded.
func StatsQuery() []byte { return []byte{version, tagStats} }

// StatsReply decodes the reply of a StatsQuery.
func StatsReply(reply []byte) (Stats, error) {
	r := reader{b: reply}
	r.expect(tagStatsReply)
	p := Stats{Index: r.uvarint(), TimeMillis: r.varint()}
	for _, field := range [...]*uint64{&p.Keys, &p.Bytes, &p.Sessions, &p.ReplyBytes, &p.Cursors} {
		*field = r.uvarint()
	}
	if err := r.done(); err != nil {
		return Stats{}, fmt.Errorf("reply to Stats of %d bytes %w", len(reply), err)
	}
	return p, nil
}

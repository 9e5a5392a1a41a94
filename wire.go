package tandem

import (
	"encoding/binary"
	"fmt"

	"github.com/tandemkv/tandem/internal/compact"
)

// The compact encoding of requests and replies, for connections whose ends have
// agreed on it; gob goes on being understood beside it. A value that went through
// either is the same afterwards: an empty slice arrives as nil.
//
// A byte of flags comes first. It says which fields are there, those that are not
// being zero, and it is the version, too: a flag that is not known is refused.
// Then follow the numbers, with the lengths of the strings among them, and then
// all the strings' bytes, so that one allocation holds them.

// The flags of a Target, with which those of every request begin.
const (
	hasCluster = 1 << iota
	hasGroup
	hasViewnum
	ownFlags // the first of a request's own

	targetFlags = ownFlags - 1
)

func (t *Target) flags() byte {
	return set(t.Cluster != 0, hasCluster) | set(t.Group != 0, hasGroup) | set(t.Viewnum != 0, hasViewnum)
}

func (t *Target) append(b []byte) []byte {
	if t.Cluster != 0 {
		b = compact.AppendUint64(b, t.Cluster) // drawn at random
	}
	if t.Group != 0 {
		b = binary.AppendUvarint(b, uint64(t.Group))
	}
	if t.Viewnum != 0 {
		b = binary.AppendUvarint(b, uint64(t.Viewnum))
	}
	return b
}

func (t *Target) read(r *compact.Reader, flags byte) {
	if flags&hasCluster != 0 {
		t.Cluster = r.Uint64()
	}
	if flags&hasGroup != 0 {
		t.Group = r.Uint32()
	}
	if flags&hasViewnum != 0 {
		t.Viewnum = r.Uint()
	}
}

const (
	putDoHash = ownFlags << iota
	putOp
	putExpected
	putSession

	putFlags = targetFlags | putDoHash | putOp | putExpected | putSession
)

// AppendCompact appends the compact encoding.
func (a *PutArgs) AppendCompact(b []byte) []byte {
	flags := a.flags() | set(a.DoHash, putDoHash) | set(a.Op != OpPut, putOp) |
		set(a.Expected != "", putExpected) | set(a.Session != 0 || a.Number != 0, putSession)
	b = a.Target.append(append(b, flags))
	if flags&putOp != 0 {
		b = append(b, byte(a.Op))
	}
	if flags&putSession != 0 {
		b = binary.AppendUvarint(b, a.Session)
		b = binary.AppendUvarint(b, a.Number)
	}
	b = appendLength(b, a.Key)
	b = appendLength(b, a.Value)
	if flags&putExpected != 0 {
		b = appendLength(b, a.Expected)
	}
	b = append(b, a.Key...)
	b = append(b, a.Value...)
	return append(b, a.Expected...)
}

// DecodeCompact sets all fields to what AppendCompact encoded, in b and nothing
// else. They share no memory with b. After an error they are zero; the error wraps
// compact.ErrMalformed and says what was wrong.
func (a *PutArgs) DecodeCompact(b []byte) error {
	r := compact.NewReader(b)
	*a = PutArgs{}
	flags := r.Flags(putFlags)
	a.DoHash = flags&putDoHash != 0
	a.Target.read(&r, flags)
	if flags&putOp != 0 {
		a.Op = Op(r.Byte())
	}
	if flags&putSession != 0 {
		a.Session, a.Number = r.Uvarint(), r.Uvarint()
	}
	key, value, expected := r.Count(1), r.Count(1), 0
	if flags&putExpected != 0 {
		expected = r.Count(1)
	}
	s := r.Text(total(key, value, expected))
	if err := r.Done(); err != nil {
		*a = PutArgs{}
		return fmt.Errorf("decoding a Put: %w", err)
	}
	a.Key, a.Value, a.Expected = s[:key], s[key:key+value], s[key+value:]
	return nil
}

const (
	replyOK = 1 << iota // or else a code follows
	putReplyRan
	putReplyOutcome
	putReplySwapped
	putReplySession
	putReplyPrevious

	putReplyFlags = 1<<iota - 1
)

// AppendCompact appends the compact encoding.
func (p *PutReply) AppendCompact(b []byte) []byte {
	flags := set(p.Err == OK, replyOK) | set(p.Outcome == DidRun, putReplyRan) |
		set(p.Outcome != DidRun && p.Outcome != OutcomeUnknown, putReplyOutcome) |
		set(p.Swapped, putReplySwapped) | set(p.Session != 0, putReplySession) |
		set(p.PreviousValue != "", putReplyPrevious)
	b = p.Err.append(append(b, flags))
	if flags&putReplyOutcome != 0 {
		b = append(b, byte(p.Outcome))
	}
	if flags&putReplySession != 0 {
		b = binary.AppendUvarint(b, p.Session)
	}
	if flags&putReplyPrevious != 0 {
		b = compact.AppendBytes(b, p.PreviousValue)
	}
	return b
}

// DecodeCompact does for a PutReply what it does for PutArgs.
func (p *PutReply) DecodeCompact(b []byte) error {
	r := compact.NewReader(b)
	*p = PutReply{}
	flags := r.Flags(putReplyFlags)
	p.Err = readErr(&r, flags)
	switch flags & (putReplyRan | putReplyOutcome) {
	case 0:
	case putReplyRan:
		p.Outcome = DidRun
	case putReplyOutcome:
		p.Outcome = Outcome(r.Byte())
	default:
		r.Fail("two outcomes")
	}
	p.Swapped = flags&putReplySwapped != 0
	if flags&putReplySession != 0 {
		p.Session = r.Uvarint()
	}
	if flags&putReplyPrevious != 0 {
		p.PreviousValue = r.Text(r.Count(1))
	}
	if err := r.Done(); err != nil {
		*p = PutReply{}
		return fmt.Errorf("decoding a Put's reply: %w", err)
	}
	return nil
}

// AppendCompact appends the compact encoding.
func (a *GetArgs) AppendCompact(b []byte) []byte {
	b = a.Target.append(append(b, a.flags()))
	return compact.AppendBytes(b, a.Key)
}

// DecodeCompact does for GetArgs what it does for PutArgs.
func (a *GetArgs) DecodeCompact(b []byte) error {
	r := compact.NewReader(b)
	*a = GetArgs{}
	a.Target.read(&r, r.Flags(targetFlags))
	a.Key = r.Text(r.Count(1))
	if err := r.Done(); err != nil {
		*a = GetArgs{}
		return fmt.Errorf("decoding a Get: %w", err)
	}
	return nil
}

// AppendCompact appends the compact encoding.
func (p *GetReply) AppendCompact(b []byte) []byte {
	b = p.Err.append(append(b, set(p.Err == OK, replyOK)))
	return compact.AppendBytes(b, p.Value)
}

// DecodeCompact does for a GetReply what it does for PutArgs.
func (p *GetReply) DecodeCompact(b []byte) error {
	r := compact.NewReader(b)
	*p = GetReply{}
	p.Err = readErr(&r, r.Flags(replyOK))
	p.Value = r.Text(r.Count(1))
	if err := r.Done(); err != nil {
		*p = GetReply{}
		return fmt.Errorf("decoding a Get's reply: %w", err)
	}
	return nil
}

const (
	scanMore  = ownFlags << iota // whether a scan is gone on with
	scanLimit                    // whether there is one
	scanFlags = targetFlags | scanMore | scanLimit
)

// AppendCompact appends the compact encoding.
func (a *ScanArgs) AppendCompact(b []byte) []byte {
	flags := a.flags() | set(a.Scan != 0 || a.After != "", scanMore) | set(a.Limit != 0, scanLimit)
	b = a.Target.append(append(b, flags))
	if flags&scanLimit != 0 {
		b = binary.AppendVarint(b, int64(a.Limit))
	}
	b = appendLength(b, a.Prefix)
	if flags&scanMore != 0 {
		b = binary.AppendUvarint(b, a.Scan)
		b = appendLength(b, a.After)
	}
	b = append(b, a.Prefix...)
	return append(b, a.After...)
}

// DecodeCompact does for ScanArgs what it does for PutArgs.
func (a *ScanArgs) DecodeCompact(b []byte) error {
	r := compact.NewReader(b)
	*a = ScanArgs{}
	flags := r.Flags(scanFlags)
	a.Target.read(&r, flags)
	if flags&scanLimit != 0 {
		a.Limit = r.Int()
	}
	prefix, after := r.Count(1), 0
	if flags&scanMore != 0 {
		a.Scan = r.Uvarint()
		after = r.Count(1)
	}
	s := r.Text(total(prefix, after))
	if err := r.Done(); err != nil {
		*a = ScanArgs{}
		return fmt.Errorf("decoding a Scan: %w", err)
	}
	a.Prefix, a.After = s[:prefix], s[prefix:]
	return nil
}

const (
	scanReplyMore  = replyOK << 1
	scanReplyFlags = replyOK | scanReplyMore
)

// AppendCompact appends the compact encoding. The keys stand together, and so do
// the values.
func (p *ScanReply) AppendCompact(b []byte) []byte {
	b = append(b, set(p.Err == OK, replyOK)|set(p.More, scanReplyMore))
	b = p.Err.append(b)
	b = binary.AppendUvarint(b, p.Scan)
	b = binary.AppendUvarint(b, p.Index)
	b = binary.AppendUvarint(b, uint64(len(p.Pairs)))
	for i := range p.Pairs {
		b = appendLength(b, p.Pairs[i].Key)
		b = appendLength(b, p.Pairs[i].Value)
	}
	for i := range p.Pairs {
		b = append(b, p.Pairs[i].Key...)
	}
	for i := range p.Pairs {
		b = append(b, p.Pairs[i].Value...)
	}
	return b
}

// DecodeCompact does for a ScanReply what it does for PutArgs. A page's keys share
// one allocation, and its values another: whoever keeps the keys alone does not
// keep the values.
func (p *ScanReply) DecodeCompact(b []byte) error {
	r := compact.NewReader(b)
	*p = ScanReply{}
	flags := r.Flags(scanReplyFlags)
	p.More = flags&scanReplyMore != 0
	p.Err = readErr(&r, flags)
	p.Scan, p.Index = r.Uvarint(), r.Uvarint()
	p.readPairs(&r)
	if err := r.Done(); err != nil {
		*p = ScanReply{}
		return fmt.Errorf("decoding a Scan's reply: %w", err)
	}
	return nil
}

// minPair is the least that a pair takes: two lengths.
const minPair = 2

func (p *ScanReply) readPairs(r *compact.Reader) {
	n := r.Count(minPair)
	if n == 0 {
		return
	}
	lengths := *r // to be read again, when the strings are there
	var keys, values int
	for range n {
		keys, values = total(keys, r.Count(1)), total(values, r.Count(1))
	}
	key, value := r.Text(keys), r.Text(values)
	if r.Err() != nil {
		return
	}
	p.Pairs = make([]Pair, n)
	for i := range p.Pairs {
		k, v := lengths.Count(1), lengths.Count(1)
		p.Pairs[i] = Pair{key[:k], value[:v]}
		key, value = key[k:], value[v:]
	}
}

// codes are the codes that a byte stands for: its place, from 0. One that is new
// is put at the end.
var codes = [...]Err{
	"", OK, ErrNoKey, ErrWrongServer, ErrTooLarge, ErrBadRequest, ErrSessionExpired, ErrStaleRequest,
	ErrTooManySessions, ErrBusy, ErrScanLost, ErrWrongCluster, ErrLostMemory,
}

// spelledOut stands before a code that is not among codes.
const spelledOut = 0xff

// append appends a code unless it is OK, for which there is a flag.
func (e Err) append(b []byte) []byte {
	if e == OK {
		return b
	}
	for i, c := range codes {
		if e == c {
			return append(b, byte(i))
		}
	}
	return compact.AppendBytes(append(b, spelledOut), string(e))
}

func readErr(r *compact.Reader, flags byte) Err {
	if flags&replyOK != 0 {
		return OK
	}
	switch c := r.Byte(); {
	case c == spelledOut:
		return Err(r.Text(r.Count(1)))
	case int(c) < len(codes):
		return codes[c]
	default:
		r.Fail("error code %d is not known", c)
		return ""
	}
}

// set returns a flag if v, or else none.
func set(v bool, flag byte) byte {
	if v {
		return flag
	}
	return 0
}

func appendLength(b []byte, s string) []byte { return binary.AppendUvarint(b, uint64(len(s))) }

// total adds up lengths, none of which is more than the encoding's. A sum that an
// int cannot hold is negative, and stays it, which a Reader refuses.
func total(lengths ...int) int {
	sum := 0
	for _, n := range lengths {
		if sum += n; sum < 0 {
			return -1
		}
	}
	return sum
}

package replica

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/compact"
)

// The compact encoding of messages: the kind, two bytes of flags, who speaks to
// whom in which view, and then those fields that are not zero. Numbers that are
// close to others are told as differences. A flag that is not known is refused,
// so the flags are the version, too.

const (
	// Who speaks to whom: the view's primary to its backup, the other way round,
	// or as it is written out.
	flagToBackup = 1 << iota
	flagToPrimary
	// flagSameEnds: View, From and To are those of the message before, of which
	// only a list of messages has one.
	flagSameEnds

	flagIndex
	flagCommit
	flagGrace
	flagEntries
	flagOneEpoch  // all the entries' epochs are equal
	flagFollowing // the entries' indexes go up by one

	flagChunk // any of the numbers by which chunks are known
	flagChunkLast
	flagChunkSum
	flagData
	flagDelta
	flagDeltaStart // what a delta follows

	flagsKnown = 1<<iota - 1
)

// Append appends the message's compact encoding to b. It says where it ends, so
// that others can follow.
func (m *Message) Append(b []byte) []byte { return m.append(b, nil) }

// AppendMessages appends the compact encoding of messages, which are shorter
// together than one by one.
func AppendMessages(b []byte, messages []Message) []byte {
	b = binary.AppendUvarint(b, uint64(len(messages)))
	var before *Message
	for i := range messages {
		b = messages[i].append(b, before)
		before = &messages[i]
	}
	return b
}

func (m *Message) append(b []byte, before *Message) []byte {
	flags := m.flags(before)
	b = append(b, byte(m.Kind))
	b = binary.LittleEndian.AppendUint16(b, flags)
	if flags&flagSameEnds == 0 {
		b = m.appendEnds(b, flags)
	}
	b = binary.AppendUvarint(b, m.Seq)
	if flags&flagIndex != 0 {
		b = binary.AppendUvarint(b, m.Index)
	}
	if flags&flagCommit != 0 {
		b = compact.AppendDelta(b, m.Commit, m.Index)
	}
	if flags&flagGrace != 0 {
		b = binary.AppendVarint(b, int64(m.Grace))
	}
	if flags&flagEntries != 0 {
		b = m.appendEntries(b, flags)
	}
	return m.appendChunk(b, flags)
}

func (m *Message) flags(before *Message) uint16 {
	primary, backup := m.View.PrimaryServer(), m.View.BackupServer()
	oneEpoch, following := m.regular()
	return set(m.From == primary && m.To == backup, flagToBackup) |
		set(m.From == backup && m.To == primary && primary != backup, flagToPrimary) |
		set(before != nil && m.View == before.View && m.From == before.From && m.To == before.To, flagSameEnds) |
		set(m.Index != 0, flagIndex) |
		set(m.Commit != 0, flagCommit) |
		set(m.Grace != 0, flagGrace) |
		set(len(m.Entries) > 0, flagEntries) |
		set(oneEpoch, flagOneEpoch) |
		set(following, flagFollowing) |
		set(m.ChunkNumber|m.SnapIndex|m.SnapEpoch|uint64(m.SnapTime) != 0, flagChunk) |
		set(m.ChunkLast, flagChunkLast) |
		set(m.ChunkSum != 0, flagChunkSum) |
		set(len(m.Data) > 0, flagData) |
		set(m.Delta, flagDelta) |
		set(m.DeltaIndex|m.DeltaEpoch != 0, flagDeltaStart)
}

// regular says whether the entries are all of one epoch, and whether they follow
// one another, as those of one Forward mostly do.
func (m *Message) regular() (oneEpoch, following bool) {
	if len(m.Entries) == 0 {
		return false, false
	}
	oneEpoch, following = true, true
	for i := 1; i < len(m.Entries); i++ {
		e, last := &m.Entries[i], &m.Entries[i-1]
		oneEpoch = oneEpoch && e.Epoch == last.Epoch
		following = following && e.Index == last.Index+1
	}
	return oneEpoch, following
}

// appendEnds appends the view, and the sender and the receiver unless flags tell
// them. Incarnations and the cluster are drawn at random; hence their fixed size.
func (m *Message) appendEnds(b []byte, flags uint16) []byte {
	v := &m.View
	b = binary.AppendUvarint(b, uint64(v.Viewnum))
	b = compact.AppendUint64(b, v.Cluster)
	b = binary.AppendUvarint(b, uint64(v.Group))
	b = compact.AppendUint64(b, v.PrimaryIncarnation)
	b = compact.AppendUint64(b, v.BackupIncarnation)
	b = binary.AppendUvarint(b, uint64(len(v.Primary)))
	b = binary.AppendUvarint(b, uint64(len(v.Backup)))
	b = append(append(b, v.Primary...), v.Backup...)
	if flags&(flagToBackup|flagToPrimary) != 0 {
		return b
	}
	for _, s := range [...]*tandem.Server{&m.From, &m.To} {
		b = compact.AppendUint64(b, s.Incarnation)
		b = compact.AppendBytes(b, s.Addr)
	}
	return b
}

// appendEntries appends the entries, each by how it differs from the one before;
// the first follows the message's Index in its epoch at time 0.
func (m *Message) appendEntries(b []byte, flags uint16) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.Entries)))
	last := Entry{Epoch: uint64(m.View.Viewnum), Index: m.Index}
	for i := range m.Entries {
		e := &m.Entries[i]
		if i == 0 || flags&flagOneEpoch == 0 {
			b = compact.AppendDelta(b, e.Epoch, last.Epoch)
		}
		if i == 0 || flags&flagFollowing == 0 {
			b = compact.AppendDelta(b, e.Index, last.Index+1)
		}
		b = compact.AppendDelta(b, uint64(e.Time), uint64(last.Time))
		b = compact.AppendBytes(b, e.Payload)
		last = *e
	}
	return b
}

func (m *Message) appendChunk(b []byte, flags uint16) []byte {
	if flags&flagChunk != 0 {
		b = binary.AppendUvarint(b, m.ChunkNumber)
		b = binary.AppendUvarint(b, m.SnapIndex)
		b = binary.AppendUvarint(b, m.SnapEpoch)
		b = binary.AppendVarint(b, m.SnapTime)
	}
	if flags&flagChunkSum != 0 {
		b = binary.AppendUvarint(b, uint64(m.ChunkSum))
	}
	if flags&flagDeltaStart != 0 {
		b = binary.AppendUvarint(b, m.DeltaIndex)
		b = binary.AppendUvarint(b, m.DeltaEpoch)
	}
	if flags&flagData != 0 {
		b = compact.AppendBytes(b, m.Data)
	}
	return b
}

// DecodeMessage decodes the message with which b begins and returns what follows
// it. The message shares no memory with b, and an entry that outlives the others
// keeps at most slabBytes beside its payload. What is empty is nil. An error wraps
// compact.ErrMalformed and says what was wrong; nothing else is returned then.
func DecodeMessage(b []byte) (m Message, rest []byte, err error) {
	r := compact.NewReader(b)
	m.read(&r, nil)
	if err := r.Err(); err != nil {
		return Message{}, nil, fmt.Errorf("decoding a message: %w", err)
	}
	return m, r.Rest(), nil
}

// DecodeMessages does for AppendMessages what DecodeMessage does for Append. No
// messages are nil.
func DecodeMessages(b []byte) (messages []Message, rest []byte, err error) {
	r := compact.NewReader(b)
	if n := r.Count(minMessage); n > 0 {
		messages = make([]Message, n)
	}
	var before *Message
	for i := range messages {
		messages[i].read(&r, before)
		if err := r.Err(); err != nil {
			return nil, nil, fmt.Errorf("decoding message %d of %d: %w", i+1, len(messages), err)
		}
		before = &messages[i]
	}
	if err := r.Err(); err != nil {
		return nil, nil, fmt.Errorf("decoding messages: %w", err)
	}
	return messages, r.Rest(), nil
}

const (
	// minMessage is the least that a message takes, in bytes: its kind, its flags
	// and its Seq.
	minMessage = 4
	// minEntry is the least that an entry takes: its time and the length of its
	// payload.
	minEntry = 2
)

// read sets the fields of a zero message.
func (m *Message) read(r *compact.Reader, before *Message) {
	m.Kind = Kind(r.Byte())
	flags := uint16(r.Byte()) | uint16(r.Byte())<<8
	if flags&^flagsKnown != 0 {
		r.Fail("flags %016b, known are %016b", flags, flagsKnown)
		return
	}
	switch {
	case flags&flagSameEnds == 0:
		m.readEnds(r, flags)
	case before == nil:
		r.Fail("the first message says that it is between those of the one before")
	default:
		m.View, m.From, m.To = before.View, before.From, before.To
	}
	m.Seq = r.Uvarint()
	if flags&flagIndex != 0 {
		m.Index = r.Uvarint()
	}
	if flags&flagCommit != 0 {
		m.Commit = r.Delta(m.Index)
	}
	if flags&flagGrace != 0 {
		m.Grace = time.Duration(r.Varint())
	}
	if flags&flagEntries != 0 {
		m.readEntries(r, flags)
	}
	m.readChunk(r, flags)
}

func (m *Message) readEnds(r *compact.Reader, flags uint16) {
	v := &m.View
	v.Viewnum = r.Uint()
	v.Cluster = r.Uint64()
	v.Group = r.Uint32()
	v.PrimaryIncarnation = r.Uint64()
	v.BackupIncarnation = r.Uint64()
	primary, backup := r.Count(1), r.Count(1)
	if addrs := r.Text(primary + backup); r.Err() == nil { // one allocation for both
		v.Primary, v.Backup = addrs[:primary], addrs[primary:]
	}
	switch flags & (flagToBackup | flagToPrimary) {
	case flagToBackup:
		m.From, m.To = v.PrimaryServer(), v.BackupServer()
	case flagToPrimary:
		m.From, m.To = v.BackupServer(), v.PrimaryServer()
	case 0:
		for _, s := range [...]*tandem.Server{&m.From, &m.To} {
			s.Incarnation = r.Uint64()
			s.Addr = r.Text(r.Count(1))
		}
	default:
		r.Fail("a message in both directions")
	}
}

func (m *Message) readEntries(r *compact.Reader, flags uint16) {
	n := r.Count(minEntry)
	if n == 0 {
		return
	}
	m.Entries = make([]Entry, n)
	last := Entry{Epoch: uint64(m.View.Viewnum), Index: m.Index}
	for i := range m.Entries {
		e := &m.Entries[i]
		e.Epoch, e.Index = last.Epoch, last.Index+1
		if i == 0 || flags&flagOneEpoch == 0 {
			e.Epoch = r.Delta(last.Epoch)
		}
		if i == 0 || flags&flagFollowing == 0 {
			e.Index = r.Delta(last.Index + 1)
		}
		e.Time = int64(r.Delta(uint64(last.Time)))
		e.Payload = r.Next(r.Count(1))
		last = *e
	}
	if r.Err() == nil {
		ownPayloads(m.Entries)
	}
}

// slabBytes is how much memory the payloads of neighbouring entries may share, and
// so the most that one of them keeps from being given back. A log drops its entries
// in order, neighbours together; and what is kept for a server that returns
// is many small entries, of which the garbage collector then finds fewer pieces.
const slabBytes = 4 << 10

// ownPayloads gives entries memory of their own, whose payloads lie one behind the
// other in a buffer. Neighbours are copied in one go with the few bytes that stand
// between them: to gather the payloads alone takes memory that is cleared first.
func ownPayloads(entries []Entry) {
	for len(entries) > 0 {
		first := entries[0].Payload
		// All of them reach to the end of the buffer, so their capacities tell their places.
		place := func(i int) int { return cap(first) - cap(entries[i].Payload) }
		n, size := 1, len(first)
		for n < len(entries) {
			end := place(n) + len(entries[n].Payload)
			if end > slabBytes {
				break
			}
			n, size = n+1, end
		}
		slab := append([]byte(nil), first[:size]...)
		for i := range entries[:n] {
			start, e := place(i), &entries[i]
			if end := start + len(e.Payload); end > start {
				e.Payload = slab[start:end:end]
			} else {
				e.Payload = nil // as gob leaves it
			}
		}
		entries = entries[n:]
	}
}

func (m *Message) readChunk(r *compact.Reader, flags uint16) {
	if flags&flagChunk != 0 {
		m.ChunkNumber, m.SnapIndex, m.SnapEpoch = r.Uvarint(), r.Uvarint(), r.Uvarint()
		m.SnapTime = r.Varint()
	}
	m.ChunkLast = flags&flagChunkLast != 0
	if flags&flagChunkSum != 0 {
		m.ChunkSum = r.Uint32()
	}
	m.Delta = flags&flagDelta != 0
	if flags&flagDeltaStart != 0 {
		m.DeltaIndex, m.DeltaEpoch = r.Uvarint(), r.Uvarint()
	}
	if flags&flagData != 0 {
		m.Data = r.Bytes()
	}
}

// set returns a flag if v, or else none.
func set(v bool, flag uint16) uint16 {
	if v {
		return flag
	}
	return 0
}

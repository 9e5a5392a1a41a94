package replica_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// recorder is a Machine that remembers every entry it was given, so that its
// state is the fold of the log and any difference shows. A command is
// "session/number verb key value" with the verb put or append; a query is a key.
type recorder struct {
	history []replica.Entry
	replies []string // of history

	values   map[string]string
	sessions map[uint64]storedReply

	// every, if not zero, makes Housekeeping ask for a sweep that often, in
	// milliseconds.
	every int64
	swept int64
}

type storedReply struct {
	number uint64
	reply  string
}

func newRecorder() *recorder {
	return &recorder{values: map[string]string{}, sessions: map[uint64]storedReply{}}
}

// command returns the payload of an update.
func command(session, number uint64, text string) []byte {
	return fmt.Appendf(nil, "%d/%d %s", session, number, text)
}

// parseCommand takes a payload apart; a malformed one, which a fuzz test may
// bring, is a command without a session.
func parseCommand(payload []byte) (session, number uint64, words []string) {
	words = strings.Fields(string(payload))
	if len(words) == 0 {
		return 0, 0, nil
	}
	s, n, _ := strings.Cut(words[0], "/")
	session, _ = strconv.ParseUint(s, 10, 64)
	number, _ = strconv.ParseUint(n, 10, 64)
	return session, number, words[1:]
}

// Apply answers "index:old", or "stale" for a request that was superseded.
func (m *recorder) Apply(e replica.Entry) []byte {
	reply := m.fold(e)
	m.history = append(m.history, e)
	m.replies = append(m.replies, reply)
	return []byte(reply)
}

func (m *recorder) fold(e replica.Entry) string {
	session, number, words := parseCommand(e.Payload)
	if session != 0 {
		switch s := m.sessions[session]; {
		case number == s.number:
			return s.reply
		case number < s.number:
			return "stale"
		}
	}
	reply := fmt.Sprintf("%d:", e.Index)
	if len(words) >= 2 {
		key, value := words[1], strings.Join(words[2:], " ")
		reply += m.values[key]
		if words[0] == "append" {
			value = m.values[key] + value
		}
		m.values[key] = value
	}
	if session != 0 {
		m.sessions[session] = storedReply{number, reply}
	}
	return reply
}

// Read answers "index:value".
func (m *recorder) Read(query []byte) []byte {
	return fmt.Appendf(nil, "%d:%s", m.index(), m.values[string(query)])
}

func (m *recorder) index() uint64 { return uint64(len(m.history)) }

func (m *recorder) Duplicate(session, number uint64) ([]byte, bool) {
	s, ok := m.sessions[session]
	return []byte(s.reply), ok && s.number == number
}

func (m *recorder) Housekeeping(now int64) []byte {
	if m.every == 0 || now < m.swept+m.every {
		return nil
	}
	m.swept = now
	return command(0, 0, "sweep")
}

func (m *recorder) Tick() {}

func (m *recorder) Snapshot() replica.Snapshot { return recorded(slices.Clip(m.history)) }

func (m *recorder) Empty() replica.Machine {
	e := newRecorder()
	e.every = m.every
	return e
}

func (m *recorder) Load(chunk []byte) error {
	for len(chunk) > 0 {
		e, rest, ok := decodeEntry(chunk)
		if !ok || e.Index != m.index()+1 {
			return fmt.Errorf("malformed chunk after entry %d", m.index())
		}
		m.Apply(e)
		chunk = rest
	}
	return nil
}

func (m *recorder) Loaded() bool { return true }

func (m *recorder) Clone() replica.Machine {
	c := *m
	c.history = slices.Clone(m.history)
	c.replies = slices.Clone(m.replies)
	c.values = maps.Clone(m.values)
	c.sessions = maps.Clone(m.sessions)
	return &c
}

func (m *recorder) AppendState(b []byte) []byte {
	b = binary.AppendUvarint(b, m.index())
	for _, e := range m.history {
		b = appendEntry(b, e)
	}
	return b
}

// recorded is a recorder's history up to a moment.
type recorded []replica.Entry

// Chunk's positions are indexes in decimal.
func (s recorded) Chunk(pos []byte, max int) (chunk, next []byte) {
	i, _ := strconv.Atoi(string(pos))
	for first := i; i < len(s); i++ {
		with := appendEntry(slices.Clip(chunk), s[i])
		if i > first && len(with) > max {
			return chunk, strconv.AppendInt(nil, int64(i), 10)
		}
		chunk = with
	}
	return chunk, nil
}

func (s recorded) Size() (size int) {
	for _, e := range s {
		size += len(appendEntry(nil, e))
	}
	return size
}

func appendEntry(b []byte, e replica.Entry) []byte {
	b = binary.AppendUvarint(b, e.Epoch)
	b = binary.AppendUvarint(b, e.Index)
	b = binary.AppendVarint(b, e.Time)
	b = binary.AppendUvarint(b, uint64(len(e.Payload)))
	return append(b, e.Payload...)
}

func decodeEntry(b []byte) (e replica.Entry, rest []byte, ok bool) {
	var size uint64
	for _, v := range []*uint64{&e.Epoch, &e.Index, nil, &size} {
		n := 0
		if v != nil {
			*v, n = binary.Uvarint(b)
		} else {
			e.Time, n = binary.Varint(b)
		}
		if n <= 0 {
			return e, nil, false
		}
		b = b[n:]
	}
	if size > uint64(len(b)) {
		return e, nil, false
	}
	e.Payload = b[:size:size]
	return e, b[size:], true
}

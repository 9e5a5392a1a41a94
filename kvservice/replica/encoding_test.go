package replica_test

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/compact"
	"github.com/tandemkv/tandem/internal/compact/compacttest"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// numbers are those that messages are full of, with what lies at the bounds.
var numbers = rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64Range(100, 200), rapid.Uint64())

func drawFields(t *rapid.T, v reflect.Value, path string) {
	compacttest.Fields(t, v, path, func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(rapid.Bool().Draw(t, path))
		case reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
			v.SetUint(numbers.Draw(t, path) & (math.MaxUint64 >> (64 - v.Type().Bits())))
		case reflect.Int64:
			v.SetInt(int64(numbers.Draw(t, path)))
		case reflect.String:
			v.SetString(rapid.SampledFrom([]string{"", "a", "b", "/run/tandem/b.sock"}).Draw(t, path))
		case reflect.Slice:
			n := rapid.IntRange(0, 5).Draw(t, path)
			if n == 0 && rapid.Bool().Draw(t, path+" nil") {
				return
			}
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				drawFields(t, v.Index(i), path)
			}
		}
	})
}

// drawMessages draws messages of which most are between members of one view, with
// entries that follow one another, as they are in truth.
func drawMessages(t *rapid.T) []replica.Message {
	messages := make([]replica.Message, rapid.IntRange(0, 5).Draw(t, "messages"))
	for i := range messages {
		m := &messages[i]
		drawFields(t, reflect.ValueOf(m).Elem(), "")
		ends := rapid.IntRange(0, 5).Draw(t, "ends")
		if ends > 0 && i > 0 {
			m.View = messages[i-1].View
		}
		switch ends {
		case 1:
			m.From, m.To = m.View.PrimaryServer(), m.View.BackupServer()
		case 2:
			m.From, m.To = m.View.BackupServer(), m.View.PrimaryServer()
		case 3, 4, 5:
			if i > 0 && ends != 4 {
				m.From = messages[i-1].From
			}
			if i > 0 && ends != 5 {
				m.To = messages[i-1].To
			}
		}
		oneEpoch, following := rapid.Bool().Draw(t, "one epoch"), rapid.Bool().Draw(t, "following")
		for j := 1; j < len(m.Entries); j++ {
			if oneEpoch {
				m.Entries[j].Epoch = m.Entries[0].Epoch
			}
			if following {
				m.Entries[j].Index = m.Entries[j-1].Index + 1
			}
		}
	}
	return messages
}

func flip(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

func TestEncodingCarriesWhatGobCarries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := drawMessages(t)
		var want []replica.Message
		compacttest.ThroughGob(t, &sent, &want)
		if len(sent) == 0 {
			want = nil // as a field of a struct would be
		}
		tail := []byte("tail")

		b := append(replica.AppendMessages([]byte("head"), sent), tail...)
		require.Equal(t, "head", string(b[:4]))
		got, rest, err := replica.DecodeMessages(b[4:])
		require.NoError(t, err)
		require.Equal(t, tail, rest)
		flip(b)
		require.Equal(t, want, got)

		for i := range sent {
			b := append(sent[i].Append([]byte("head")), tail...)
			require.Equal(t, "head", string(b[:4]))
			got, rest, err := replica.DecodeMessage(b[4:])
			require.NoError(t, err)
			require.Equal(t, tail, rest)
			flip(b)
			require.Equal(t, want[i], got)
		}
	})
}

// TestEncodingCarriesEveryField sets each field alone, so that none hides behind
// another's flag, and finds it again.
func TestEncodingCarriesEveryField(t *testing.T) {
	var paths []string
	compacttest.Fields(t, reflect.ValueOf(new(replica.Message)).Elem(), "", func(_ reflect.Value, path string) { paths = append(paths, path) })
	entry := reflect.ValueOf(new(replica.Entry)).Elem()
	compacttest.Fields(t, entry, ".Entries", func(_ reflect.Value, path string) { paths = append(paths, path) })
	for _, only := range paths {
		var sent replica.Message
		set := func(v reflect.Value, path string) {
			if path == only {
				compacttest.SetExtreme(t, v)
			}
		}
		compacttest.Fields(t, reflect.ValueOf(&sent).Elem(), "", set)
		e := replica.Entry{}
		if compacttest.Fields(t, reflect.ValueOf(&e).Elem(), ".Entries", set); !reflect.ValueOf(e).IsZero() {
			sent.Entries = []replica.Entry{{}, e, {}, e}
		}
		require.False(t, reflect.ValueOf(sent).IsZero(), only)
		got, rest, err := replica.DecodeMessage(sent.Append(nil))
		require.NoError(t, err, only)
		require.Empty(t, rest, only)
		require.Equal(t, sent, got, only)
	}
}

func TestEncodingRefusesWhatIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := drawMessages(t)
		b := replica.AppendMessages(nil, sent)
		for n := range b {
			got, rest, err := replica.DecodeMessages(b[:n:n])
			require.ErrorIs(t, err, compact.ErrMalformed, "%d of %d bytes", n, len(b))
			require.Nil(t, got)
			require.Nil(t, rest)
		}
		for i := range sent {
			b := sent[i].Append(nil)
			for n := range b {
				got, rest, err := replica.DecodeMessage(b[:n:n])
				require.ErrorIs(t, err, compact.ErrMalformed, "%d of %d bytes", n, len(b))
				require.Zero(t, got)
				require.Nil(t, rest)
			}
		}
	})
}

var encodedView = tandem.View{
	Viewnum: 5, Primary: "127.0.0.1:41001", Backup: "127.0.0.1:41002",
	PrimaryIncarnation: 0x9e3779b97f4a7c15, BackupIncarnation: 0xc2b2ae3d27d4eb4f, Cluster: 0x165667b19e3779f9,
}

// forward returns what a primary under load sends to its backup: entries of one
// command each, with a value of 100 bytes.
func forward(entries int) replica.Message {
	m := replica.Message{
		Kind: replica.Forward, View: encodedView, From: encodedView.PrimaryServer(), To: encodedView.BackupServer(),
		Seq: 70_000, Index: 1_000_000, Commit: 999_990,
	}
	for i := range entries {
		m.Entries = append(m.Entries, replica.Entry{Epoch: 5, Index: m.Index + 1 + uint64(i), Time: 1_790_000_000_000, Payload: make([]byte, 130)})
	}
	return m
}

// TestEncodingIsShort says how many bytes messages take beyond their entries'
// commands. They are part of what a write costs.
func TestEncodingIsShort(t *testing.T) {
	ack := replica.Message{
		Kind: replica.Acknowledge, View: encodedView, From: encodedView.BackupServer(), To: encodedView.PrimaryServer(),
		Seq: 70_000, Index: 1_000_000, Grace: time.Second,
	}
	one, many := forward(1), forward(64)
	require.Len(t, ack.Append(nil), 72)
	require.Len(t, one.Append(nil), 79+130)
	require.Len(t, many.Append(nil), 79+130+63*(3+130))
	first := len(replica.AppendMessages(nil, []replica.Message{one}))
	require.Len(t, replica.AppendMessages(nil, []replica.Message{one, one}), first+21+130)
}

// FuzzDecodeMessages decodes whatever it is given. What is taken for messages is
// encoded again to bytes that mean the same.
func FuzzDecodeMessages(f *testing.F) {
	gap := forward(3)
	gap.Entries[1].Index += 7
	gap.Entries[2].Epoch++
	chunk := replica.Message{
		Kind: replica.Chunk, View: encodedView, From: encodedView.PrimaryServer(), To: encodedView.BackupServer(), Seq: 1,
		ChunkNumber: 1, ChunkLast: true, ChunkSum: 0xdeadbeef, SnapIndex: 9, SnapEpoch: 4, SnapTime: 1_790_000_000_000, Data: []byte("data"),
	}
	stranger := replica.Message{
		Kind: replica.Holds, View: encodedView, From: tandem.Server{Addr: "c", Incarnation: 3}, To: tandem.Server{Addr: "d", Incarnation: 4},
		Delta: true, DeltaIndex: 3, DeltaEpoch: 2, Grace: time.Second,
	}
	for _, messages := range [][]replica.Message{nil, {{}}, {forward(1)}, {forward(2), forward(0), gap}, {chunk, stranger, stranger}} {
		f.Add(replica.AppendMessages(nil, messages))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, rest, err := replica.DecodeMessages(b)
		if err != nil {
			require.ErrorIs(t, err, compact.ErrMalformed)
			return
		}
		again, none, err := replica.DecodeMessages(replica.AppendMessages(nil, messages))
		require.NoError(t, err)
		require.Empty(t, none)
		require.Equal(t, messages, again)
		require.LessOrEqual(t, len(rest), len(b))
		for i := range messages {
			alone, none, err := replica.DecodeMessage(messages[i].Append(nil))
			require.NoError(t, err)
			require.Empty(t, none)
			require.Equal(t, messages[i], alone)
		}
	})
}

func TestEncodingRefusesWhatCannotBe(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x7f} // 2^42-1
	ends := make([]byte, 1+8+1+8+8+1+1)                // of nobody and nobody
	for _, c := range []struct {
		says string
		b    []byte
	}{
		{"flags 1000000000000000", []byte{1, 0, 0x80, 0}},
		{"the first message says that it is between those of the one before", []byte{1, 4, 0, 0}},
		{"a message in both directions", slices.Concat([]byte{1, 3, 0}, ends, []byte{0})},
		{"4398046511103 items of 2 bytes", slices.Concat([]byte{1, 1 | 1<<6, 0}, ends, []byte{0}, huge)},
		{"4398046511103 items of 1 bytes", slices.Concat([]byte{1, 1, 1 << 4}, ends, []byte{0}, huge)},
		{"the number 4398046511103, at most 4294967295", slices.Concat([]byte{1, 1, 1 << 3}, ends, []byte{0}, huge)},
	} {
		_, _, err := replica.DecodeMessage(c.b)
		require.ErrorIs(t, err, compact.ErrMalformed)
		require.ErrorContains(t, err, c.says)
		_, _, err = replica.DecodeMessages(append([]byte{1}, c.b...))
		require.ErrorContains(t, err, "decoding message 1 of 1: ")
		require.ErrorContains(t, err, c.says)
	}
	_, _, err := replica.DecodeMessages(huge)
	require.ErrorContains(t, err, "4398046511103 items of 4 bytes or more, 0 bytes are left")
}

// TestDecodingAllocatesLittle: one allocation for the messages, one for the
// addresses, and for each Forward one for the list of entries and one for 4 KiB of
// payloads, or for one that is larger; encoding makes none.
func TestDecodingAllocatesLittle(t *testing.T) {
	large := forward(3)
	for i, size := range []int{4000, 5000, 4000} {
		large.Entries[i].Payload = make([]byte, size)
	}
	sent := []replica.Message{forward(64), forward(0), forward(1), large}
	b := replica.AppendMessages(nil, sent)
	require.Zero(t, int(testing.AllocsPerRun(100, func() { b = replica.AppendMessages(b[:0], sent) })))
	require.Equal(t, 1+1+(1+3)+(1+1)+(1+3), int(testing.AllocsPerRun(100, func() {
		if _, _, err := replica.DecodeMessages(b); err != nil {
			panic(err)
		}
	})))
}

// TestPayloadsDoNotTouch: whoever appends to a payload does not write into the next.
func TestPayloadsDoNotTouch(t *testing.T) {
	sent := forward(3)
	got, _, err := replica.DecodeMessage(sent.Append(nil))
	require.NoError(t, err)
	for _, e := range got.Entries {
		require.Len(t, append(e.Payload, "more"...), len(e.Payload)+4)
	}
	require.Equal(t, sent, got)
}

func BenchmarkMessages(b *testing.B) {
	ack := replica.Message{
		Kind: replica.Acknowledge, View: encodedView, From: encodedView.BackupServer(), To: encodedView.PrimaryServer(),
		Seq: 70_000, Index: 1_000_000,
	}
	chunk := replica.Message{
		Kind: replica.Chunk, View: encodedView, From: encodedView.PrimaryServer(), To: encodedView.BackupServer(),
		Seq: 70_000, ChunkNumber: 100, SnapIndex: 1_000_000, SnapEpoch: 5, Data: make([]byte, 256<<10),
	}
	for _, c := range []struct {
		name     string
		messages []replica.Message
	}{
		{"one entry", []replica.Message{forward(1)}},
		{"64 entries", []replica.Message{forward(64)}},
		{"acknowledgement", []replica.Message{ack}},
		{"chunk", []replica.Message{chunk}},
	} {
		b.Run(c.name, func(b *testing.B) {
			buf := replica.AppendMessages(nil, c.messages)
			compacttest.BenchmarkCompact(b, len(buf),
				func() { buf = replica.AppendMessages(buf[:0], c.messages) },
				func() error {
					_, _, err := replica.DecodeMessages(buf)
					return err
				})
			b.Run("gob", func(b *testing.B) { compacttest.BenchmarkGob(b, &c.messages) })
		})
	}
}

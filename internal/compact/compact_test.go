package compact_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem/internal/compact"
)

func TestWhatIsAppendedIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, base := rapid.Uint64().Draw(t, "number"), rapid.Uint64().Draw(t, "base")
		s := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		b := binary.AppendUvarint(nil, v)
		b = binary.AppendVarint(b, int64(v))
		b = binary.AppendVarint(b, int64(int(v)))
		b = compact.AppendUint64(b, v)
		b = compact.AppendDelta(b, v, base)
		b = compact.AppendDelta(b, base, v)
		b = compact.AppendBytes(b, s)
		b = compact.AppendBytes(b, string(s))
		b = binary.AppendUvarint(b, v&math.MaxUint32)
		b = append(b, 0b101, 7)
		b = append(b, "rest"...)

		r := compact.NewReader(b)
		require.Equal(t, v, r.Uvarint())
		require.Equal(t, int64(v), r.Varint())
		require.Equal(t, int(v), r.Int())
		require.Equal(t, v, r.Uint64())
		require.Equal(t, v, r.Delta(base))
		require.Equal(t, base, r.Delta(v))
		if len(s) == 0 {
			s = nil
		}
		require.Equal(t, s, r.Bytes())
		require.Equal(t, string(s), r.Text(r.Count(1)))
		require.Equal(t, uint32(v), r.Uint32())
		require.Equal(t, byte(0b101), r.Flags(0b111))
		require.Equal(t, byte(7), r.Byte())
		require.Equal(t, "rest", string(r.Rest()))
		require.Equal(t, 4, r.Left())
		require.Equal(t, "rest", string(r.Next(4)))
		require.NoError(t, r.Done())
	})
}

func TestBytesAreOfTheirOwnAndOfTheirLength(t *testing.T) {
	b := compact.AppendBytes(nil, "payload")
	r := compact.NewReader(b)
	s := r.Bytes()
	require.NoError(t, r.Done())
	require.Equal(t, len(s), cap(s))
	b[1] = 'x'
	require.Equal(t, "payload", string(s))
}

// TestTheFirstErrorSticks: what is read after it is zero, and does not replace it.
func TestTheFirstErrorSticks(t *testing.T) {
	r := compact.NewReader([]byte{5, 1, 2, 3})
	require.Zero(t, r.Count(1))
	require.EqualError(t, r.Err(), "malformed encoding: byte 1 of 4: 5 items of 1 bytes or more, 3 bytes are left")
	first := r.Err()
	require.Zero(t, r.Byte())
	require.Zero(t, r.Uvarint())
	require.Zero(t, r.Uint64())
	require.Zero(t, r.Int())
	require.Nil(t, r.Next(2))
	require.Nil(t, r.Bytes())
	require.Empty(t, r.Text(1))
	require.Zero(t, r.Left())
	require.Nil(t, r.Rest())
	r.Fail("something else")
	require.Equal(t, first, r.Done())
	require.ErrorIs(t, first, compact.ErrMalformed)
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		read func(r *compact.Reader)
		says string
	}{
		{nil, func(r *compact.Reader) { r.Byte() }, "ends early"},
		{nil, func(r *compact.Reader) { r.Uvarint() }, "ends early, within a number"},
		{[]byte{0x80}, func(r *compact.Reader) { r.Uvarint() }, "ends early, within a number"},
		{[]byte{0x80, 0}, func(r *compact.Reader) { r.Uvarint() }, "the number 0 in 2 bytes, more than it needs"},
		{[]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 2}, func(r *compact.Reader) { r.Uvarint() }, "a number beyond 64 bits"},
		{[]byte{0x80, 0x80, 0x80, 0x80, 0x10}, func(r *compact.Reader) { r.Uint32() }, "the number 4294967296, at most 4294967295 can be"},
		{make([]byte, 7), func(r *compact.Reader) { r.Uint64() }, "within a number of 8 bytes"},
		{[]byte{0b1000}, func(r *compact.Reader) { r.Flags(0b0111) }, "flags 00001000, known are 00000111"},
		{[]byte{2, 0, 0, 0}, func(r *compact.Reader) { r.Count(2) }, "2 items of 2 bytes or more, 3 bytes are left"},
		{[]byte{1, 2}, func(r *compact.Reader) { r.Next(3) }, "3 bytes wanted, 2 are left"},
		{[]byte{1, 2}, func(r *compact.Reader) { r.Next(-1) }, "-1 bytes wanted, 2 are left"},
		{[]byte{1, 2}, func(r *compact.Reader) { r.Byte() }, "byte 1 of 2: 1 bytes follow the end"},
	} {
		r := compact.NewReader(c.b)
		c.read(&r)
		err := r.Done()
		require.ErrorIs(t, err, compact.ErrMalformed)
		require.ErrorContains(t, err, c.says, "%x", c.b)
	}
}

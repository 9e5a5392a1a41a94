package tandem_test

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/compact"
	"github.com/tandemkv/tandem/internal/compact/compacttest"
)

// compactValue is a request or a reply that has a compact encoding.
type compactValue interface {
	AppendCompact([]byte) []byte
	DecodeCompact([]byte) error
}

// compactKinds makes an empty one of each.
var compactKinds = []func() compactValue{
	func() compactValue { return new(tandem.PutArgs) },
	func() compactValue { return new(tandem.PutReply) },
	func() compactValue { return new(tandem.GetArgs) },
	func() compactValue { return new(tandem.GetReply) },
	func() compactValue { return new(tandem.ScanArgs) },
	func() compactValue { return new(tandem.ScanReply) },
}

// drawn fills a value with what rapid draws: mostly what is usual, sometimes what
// is at the bounds.
func drawn(t *rapid.T, v reflect.Value, path string) {
	compacttest.Fields(t, v, path, func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(rapid.Bool().Draw(t, path))
		case reflect.Int:
			v.SetInt(rapid.Int64().Draw(t, path))
		case reflect.Uint, reflect.Uint64:
			v.SetUint(rapid.Uint64().Draw(t, path))
		case reflect.Uint32:
			v.SetUint(uint64(rapid.Uint32().Draw(t, path)))
		case reflect.Uint8:
			v.SetUint(uint64(rapid.OneOf(rapid.Uint8Range(0, 4), rapid.Uint8()).Draw(t, path)))
		case reflect.String:
			if v.Type() == reflect.TypeFor[tandem.Err]() && rapid.Bool().Draw(t, path+" known") {
				v.SetString(string(rapid.SampledFrom(knownCodes).Draw(t, path)))
				return
			}
			v.SetString(string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, path)))
		case reflect.Slice:
			n := rapid.IntRange(0, 20).Draw(t, path)
			if n == 0 && rapid.Bool().Draw(t, path+" nil") {
				return
			}
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				drawn(t, v.Index(i), path)
			}
		}
	})
}

// knownCodes are in the order in which they are encoded.
var knownCodes = []tandem.Err{
	"", tandem.OK, tandem.ErrNoKey, tandem.ErrWrongServer, tandem.ErrTooLarge, tandem.ErrBadRequest,
	tandem.ErrSessionExpired, tandem.ErrStaleRequest, tandem.ErrTooManySessions, tandem.ErrBusy,
	tandem.ErrScanLost, tandem.ErrWrongCluster, tandem.ErrLostMemory,
}

func TestCompactCarriesWhatGobCarries(t *testing.T) {
	for _, empty := range compactKinds {
		t.Run(reflect.TypeOf(empty()).Elem().Name(), rapid.MakeCheck(func(t *rapid.T) {
			sent, byGob, byCompact := empty(), empty(), empty()
			drawn(t, reflect.ValueOf(sent).Elem(), "")
			compacttest.ThroughGob(t, sent, byGob)
			drawn(t, reflect.ValueOf(byCompact).Elem(), "left over") // of what was decoded into it before
			before := []byte("before")
			b := sent.AppendCompact(before)
			require.Equal(t, before, b[:len(before)])
			encoding := b[len(before):]
			require.NoError(t, byCompact.DecodeCompact(encoding))
			require.Equal(t, byGob, byCompact)
			for i := range encoding {
				encoding[i] ^= 0xff
			}
			require.Equal(t, byGob, byCompact, "it shares memory with the encoding")
		}))
	}
}

// TestCompactCarriesEveryField sets each field alone, so that none hides behind
// another's flag, and finds it again.
func TestCompactCarriesEveryField(t *testing.T) {
	for _, empty := range compactKinds {
		var paths []string
		compacttest.Fields(t, reflect.ValueOf(empty()).Elem(), reflect.TypeOf(empty()).Elem().Name(), func(_ reflect.Value, path string) {
			paths = append(paths, path)
		})
		for _, only := range paths {
			sent, got := empty(), empty()
			compacttest.Fields(t, reflect.ValueOf(sent).Elem(), reflect.TypeOf(sent).Elem().Name(), func(v reflect.Value, path string) {
				if path == only {
					compacttest.SetExtreme(t, v)
				}
			})
			require.NotEqual(t, empty(), sent, only)
			require.NoError(t, got.DecodeCompact(sent.AppendCompact(nil)), only)
			require.Equal(t, sent, got, only)
		}
	}
}

func TestCompactRefusesWhatIsCutOrFollowed(t *testing.T) {
	for _, empty := range compactKinds {
		t.Run(reflect.TypeOf(empty()).Elem().Name(), rapid.MakeCheck(func(t *rapid.T) {
			sent := empty()
			drawn(t, reflect.ValueOf(sent).Elem(), "")
			b := sent.AppendCompact(nil)
			got := empty()
			for n := range b {
				require.NoError(t, got.DecodeCompact(b))
				require.ErrorIs(t, got.DecodeCompact(b[:n:n]), compact.ErrMalformed, "%d of %d bytes", n, len(b))
				require.Equal(t, empty(), got, "after an error")
			}
			require.NoError(t, got.DecodeCompact(b))
			require.ErrorIs(t, got.DecodeCompact(append(b, 0)), compact.ErrMalformed)
			require.Equal(t, empty(), got, "after an error")
		}))
	}
}

// FuzzDecodeCompact decodes whatever it is given as each kind of request and reply.
// What is taken for one is encoded again to bytes that mean the same.
func FuzzDecodeCompact(f *testing.F) {
	for _, v := range wireSamples() {
		if b := v.AppendCompact(nil); len(b) < 1000 {
			f.Add(b)
		}
	}
	for _, v := range []compactValue{
		&tandem.PutArgs{Op: tandem.OpCompareAndSwap, Key: "k", Value: "v", Expected: "w", DoHash: true, Target: tandem.Target{Group: 300}},
		&tandem.PutReply{Err: "ErrNew", PreviousValue: "v", Swapped: true, Session: 1, Outcome: 77},
		&tandem.ScanArgs{Limit: -1, Prefix: "p"},
		&tandem.ScanReply{Err: tandem.ErrScanLost, Pairs: []tandem.Pair{{Key: "a", Value: "1"}, {}, {Key: "bb"}}},
	} {
		f.Add(v.AppendCompact(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, empty := range compactKinds {
			decoded, again := empty(), empty()
			if err := decoded.DecodeCompact(b); err != nil {
				require.ErrorIs(t, err, compact.ErrMalformed)
				require.Equal(t, empty(), decoded, "after an error")
				continue
			}
			require.NoError(t, again.DecodeCompact(decoded.AppendCompact(nil)))
			require.Equal(t, decoded, again)
		}
	})
}

// TestCompactCodesStay: the byte that stands for a code is the same for ever, since
// programs of different age meet.
func TestCompactCodesStay(t *testing.T) {
	for i, code := range knownCodes {
		want := []byte{0, byte(i), 0}
		if code == tandem.OK {
			want = []byte{1, 0}
		}
		require.Equal(t, want, (&tandem.GetReply{Err: code}).AppendCompact(nil), code)
	}
	require.Equal(t, []byte("\x00\xff\x03New\x00"), (&tandem.GetReply{Err: "New"}).AppendCompact(nil))
}

// TestCompactSaysWhatIsWrong: each way to be malformed is told by what was there,
// and where.
func TestCompactSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		of   compactValue
		b    []byte
		says string
	}{
		{&tandem.PutArgs{}, nil, "decoding a Put: malformed encoding: byte 0 of 0: the encoding ends early"},
		{&tandem.PutArgs{}, []byte{0x80, 0, 0}, "flags 10000000, known are 01111111"},
		{&tandem.PutArgs{}, []byte{0, 1, 1, 'k'}, "byte 3 of 4: 2 bytes wanted, 1 are left"},
		{&tandem.PutArgs{}, []byte{0, 1, 1, 'k', 'v', 'x'}, "byte 5 of 6: 1 bytes follow the end"},
		{&tandem.GetArgs{}, []byte{0, 0x81, 0x00, 'k'}, "the number 1 in 2 bytes"},
		{&tandem.GetArgs{}, []byte{2, 0xff, 0xff, 0xff, 0xff, 0x1f, 0}, "the number 8589934591, at most 4294967295 can be"},
		{&tandem.GetArgs{}, append([]byte{4}, bytes.Repeat([]byte{0xff}, 11)...), "a number beyond 64 bits"},
		{&tandem.PutReply{}, []byte{0b110, 0}, "two outcomes"},
		{&tandem.GetReply{}, []byte{0, 200, 0}, "error code 200 is not known"},
		{&tandem.ScanReply{}, []byte{1, 0, 0, 9, 0, 0}, "9 items of 2 bytes or more, 2 bytes are left"},
	} {
		require.ErrorContains(t, c.of.DecodeCompact(c.b), c.says, "%x", c.b)
	}
}

// TestCompactAllocatesForWhatIsThere: lengths and counts that are not true make
// nobody allocate for them.
func TestCompactAllocatesForWhatIsThere(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x7f} // 2^42-1
	for _, c := range []struct {
		of   compactValue
		head []byte
	}{
		{&tandem.PutArgs{}, []byte{0}}, {&tandem.PutReply{}, []byte{1 | 1<<5}}, {&tandem.GetArgs{}, []byte{0}},
		{&tandem.GetReply{}, []byte{1}}, {&tandem.ScanArgs{}, []byte{0}}, {&tandem.ScanReply{}, []byte{1, 0, 0}},
	} {
		b := append(append(c.head, huge...), make([]byte, 100)...)
		require.LessOrEqual(t, allocated(func() { require.Error(t, c.of.DecodeCompact(b)) }), uint64(1<<20), "%T", c.of)
	}
}

// allocated returns how many bytes the process allocated while f ran.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

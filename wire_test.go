package tandem_test

import (
	"bytes"
	"encoding/gob"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/compact"
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

// fill gives every field that can be set, at any depth, what draw says for it. A
// kind of field that it does not know is a failure: so a new one is not forgotten.
func fill(t require.TestingT, v reflect.Value, path string, draw func(v reflect.Value, path string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(t, v.Field(i), path+"."+f.Name, draw)
			}
		}
	case reflect.Bool, reflect.Int, reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64, reflect.String, reflect.Slice:
		draw(v, path)
	default:
		require.FailNow(t, "a field of a kind that the test cannot fill", "%s %v", path, v.Kind())
	}
}

// drawn fills a value with what rapid draws: mostly what is usual, sometimes what
// is at the bounds.
func drawn(t *rapid.T, v reflect.Value, path string) {
	fill(t, v, path, func(v reflect.Value, path string) {
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

var knownCodes = []tandem.Err{
	"", tandem.OK, tandem.ErrNoKey, tandem.ErrWrongServer, tandem.ErrTooLarge, tandem.ErrBadRequest,
	tandem.ErrSessionExpired, tandem.ErrStaleRequest, tandem.ErrTooManySessions, tandem.ErrBusy,
	tandem.ErrScanLost, tandem.ErrWrongCluster, tandem.ErrLostMemory,
}

// throughGob returns a value as gob carries it.
func throughGob(t require.TestingT, v, into any) {
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(v))
	require.NoError(t, gob.NewDecoder(&b).Decode(into))
}

func TestCompactCarriesWhatGobCarries(t *testing.T) {
	for _, empty := range compactKinds {
		t.Run(reflect.TypeOf(empty()).Elem().Name(), rapid.MakeCheck(func(t *rapid.T) {
			sent, byGob, byCompact := empty(), empty(), empty()
			drawn(t, reflect.ValueOf(sent).Elem(), "")
			throughGob(t, sent, byGob)
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
		fill(t, reflect.ValueOf(empty()).Elem(), reflect.TypeOf(empty()).Elem().Name(), func(_ reflect.Value, path string) {
			paths = append(paths, path)
		})
		for _, only := range paths {
			sent, got := empty(), empty()
			fill(t, reflect.ValueOf(sent).Elem(), reflect.TypeOf(sent).Elem().Name(), func(v reflect.Value, path string) {
				if path == only {
					setExtreme(v)
				}
			})
			require.NotEqual(t, empty(), sent, only)
			require.NoError(t, got.DecodeCompact(sent.AppendCompact(nil)), only)
			require.Equal(t, sent, got, only)
		}
	}
}

func setExtreme(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(math.MinInt)
	case reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
	case reflect.String:
		v.SetString(strings.Repeat("long", 100))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			for j := range v.Index(i).NumField() {
				setExtreme(v.Index(i).Field(j))
			}
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

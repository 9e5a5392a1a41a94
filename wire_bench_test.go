package tandem_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/compact/compacttest"
)

// wireSamples are requests and replies as a client with sessions makes and gets
// them, with values of 100 bytes.
func wireSamples() []compactValue {
	target := tandem.Target{Cluster: 0x165667b19e3779f9, Viewnum: 7}
	value := strings.Repeat("v", 100)
	page := tandem.ScanReply{Err: tandem.OK, Scan: 3, Index: 1_000_000, More: true}
	for i := range 1000 {
		page.Pairs = append(page.Pairs, tandem.Pair{Key: fmt.Sprintf("key-%012d", i), Value: value})
	}
	return []compactValue{
		&tandem.PutArgs{Key: "key-000000123456", Value: value, Session: 70_000, Number: 12_345, Target: target},
		&tandem.PutReply{Err: tandem.OK, Outcome: tandem.DidRun},
		&tandem.GetArgs{Key: "key-000000123456", Target: target},
		&tandem.GetReply{Err: tandem.OK, Value: value},
		&tandem.ScanArgs{Prefix: "key-", Scan: 3, After: "key-000000123456", Target: target},
		&page,
	}
}

// TestCompactIsShort says how many bytes requests and replies take. They are part
// of what a request costs.
func TestCompactIsShort(t *testing.T) {
	for i, want := range []int{1 + 8 + 1 + 3 + 2 + 2 + 16 + 100, 1, 1 + 8 + 1 + 1 + 16, 1 + 1 + 100, 1 + 8 + 1 + 3 + 4 + 16, 1 + 1 + 3 + 2 + 1000*(2+16+100)} {
		require.Len(t, wireSamples()[i].AppendCompact(nil), want)
	}
}

// TestCompactAllocatesLittle: encoding allocates nothing, and decoding the strings
// once.
func TestCompactAllocatesLittle(t *testing.T) {
	for i, want := range []int{1, 0, 1, 1, 1, 3} {
		v := wireSamples()[i]
		b := v.AppendCompact(nil)
		require.Zero(t, int(testing.AllocsPerRun(100, func() { b = v.AppendCompact(b[:0]) })), "%T", v)
		require.Equal(t, want, int(testing.AllocsPerRun(100, func() {
			if v.DecodeCompact(b) != nil {
				panic("it does not decode")
			}
		})), "%T", v)
	}
}

func BenchmarkWire(b *testing.B) {
	for _, v := range wireSamples() {
		b.Run(reflect.TypeOf(v).Elem().Name(), func(b *testing.B) {
			buf := v.AppendCompact(nil)
			compacttest.BenchmarkCompact(b, len(buf),
				func() { buf = v.AppendCompact(buf[:0]) },
				func() error { return v.DecodeCompact(buf) })
			b.Run("gob", func(b *testing.B) { compacttest.BenchmarkGob(b, v) })
		})
	}
}

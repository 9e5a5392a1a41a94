package tandem_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
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
		name := reflect.TypeOf(v).Elem().Name()
		buf := v.AppendCompact(nil)
		size := len(buf)
		b.Run(name+"/compact/encode", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				buf = v.AppendCompact(buf[:0])
			}
		})
		b.Run(name+"/compact/decode", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := v.DecodeCompact(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/gob/both", func(b *testing.B) { benchmarkGob(b, v) })
		b.Run(name+"/compact/both", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				buf = v.AppendCompact(buf[:0])
				if err := v.DecodeCompact(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarkGob encodes and decodes a value in one stream, in which its type was
// described before.
func benchmarkGob(b *testing.B, v any) {
	var buf bytes.Buffer
	e, d := gob.NewEncoder(&buf), gob.NewDecoder(&buf)
	once := func() (size int) {
		if err := e.Encode(v); err != nil {
			b.Fatal(err)
		}
		size = buf.Len()
		if err := d.DecodeValue(reflect.New(reflect.TypeOf(v).Elem())); err != nil {
			b.Fatal(err)
		}
		return size
	}
	once()
	b.SetBytes(int64(once()))
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

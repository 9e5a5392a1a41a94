// Package compacttest helps to test types that have a compact encoding: it sets
// their fields, whichever there are, so that a new one is not forgotten, and shows
// what gob makes of a value.
package compacttest

import (
	"bytes"
	"encoding/gob"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Fields calls set with each field of v and of the structs in it, and with its path.
// Slices are fields like any other. The test fails if there is a field that gob
// would leave out, or of a kind that SetExtreme cannot set.
func Fields(t require.TestingT, v reflect.Value, path string, set func(v reflect.Value, path string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			require.True(t, f.IsExported(), "gob would leave out %s.%s", path, f.Name)
			Fields(t, v.Field(i), path+"."+f.Name, set)
		}
	case reflect.Bool, reflect.String, reflect.Slice, reflect.Int, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		set(v, path)
	default:
		require.FailNow(t, "a field of a kind that cannot be set", "%s %v", path, v.Kind())
	}
}

// SetExtreme sets a field to something that takes many bytes.
func SetExtreme(t require.TestingT, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(strings.Repeat("long", 100))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			Fields(t, v.Index(i), "", func(v reflect.Value, _ string) { SetExtreme(t, v) })
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(math.MinInt64 >> (64 - v.Type().Bits()))
	default:
		v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
	}
}

// ThroughGob decodes into a pointer what gob encodes of a value.
func ThroughGob(t require.TestingT, v, into any) {
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(v))
	require.NoError(t, gob.NewDecoder(&b).Decode(into))
}

// BenchmarkGob measures how gob encodes and decodes what v points to, in a stream
// in which its type was described before.
func BenchmarkGob(b *testing.B, v any) {
	var buf bytes.Buffer
	e, d := gob.NewEncoder(&buf), gob.NewDecoder(&buf)
	once := func() (size int) {
		require.NoError(b, e.Encode(v))
		size = buf.Len()
		require.NoError(b, d.DecodeValue(reflect.New(reflect.TypeOf(v).Elem())))
		return size
	}
	once()
	b.SetBytes(int64(once()))
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

// BenchmarkCompact measures an encoding of size bytes: encode, decode, and both.
func BenchmarkCompact(b *testing.B, size int, encode func(), decode func() error) {
	measure := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("encode", func() error { encode(); return nil })
	measure("decode", decode)
	measure("both", func() error { encode(); return decode() })
}

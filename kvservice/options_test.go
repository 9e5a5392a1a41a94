package kvservice

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// A limit below zero is none that anybody could keep: it takes its default.
func TestNegativeLimitsTakeTheirDefaults(t *testing.T) {
	normal := makeOptions(nil)
	fields := reflect.TypeFor[Limits]()
	for i := range fields.NumField() {
		t.Run(fields.Field(i).Name, func(t *testing.T) {
			var l Limits
			reflect.ValueOf(&l).Elem().Field(i).SetInt(-1)
			o := makeOptions([]Option{WithLimits(l)})
			require.Equal(t, normal.replica(), o.replica())
			require.Equal(t, normal.limits.frame(), o.limits.frame())
		})
	}
}

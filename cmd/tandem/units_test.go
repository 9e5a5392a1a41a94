package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestByteCount(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 30 / 4: "1.2 GiB", math.MaxUint64: "16.0 EiB",
	} {
		require.Equal(t, want, byteCount(n), "%d", n)
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                      "0 ms",
		20 * time.Microsecond:                  "20 µs",
		1500 * time.Microsecond:                "1.5 ms",
		340 * time.Millisecond:                 "340 ms",
		999_900 * time.Microsecond:             "999 ms",
		3449 * time.Millisecond:                "3.4 s",
		59_990 * time.Millisecond:              "59.9 s",
		time.Minute:                            "1m00s",
		5*time.Minute + 12*time.Second:         "5m12s",
		3*time.Hour + 7*time.Minute:            "3h07m",
		12*24*time.Hour + 4*time.Hour + 59*1e9: "12d04h",
		-time.Second:                           "-1.0 s",
	} {
		require.Equal(t, want, shortDuration(d), "%d", d)
	}
}

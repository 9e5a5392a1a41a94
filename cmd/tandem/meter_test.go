package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAMeterShowsHowFarItIs(t *testing.T) {
	m := newMeter(nil, "pair", 4000)
	m.start = time.Now().Add(-10 * time.Second)
	require.Equal(t, "[                        ]   0%  0 pairs", reading{m, 0}.String())
	require.Regexp(t, `^\[======                  \]  25%  1,000 pairs, 30\.0 s left$`, reading{m, 1000}.String())
	require.Equal(t, "[======================= ]  99%  3,999 pairs, 1.0 s left", reading{m, 3999}.String())
	require.Equal(t, "[========================] 100%  4,000 pairs", reading{m, 4000}.String())
	require.Equal(t, "[========================] 100%  5,000 pairs", reading{m, 5000}.String(), "more may come while it is counted")

	m.total = 0
	require.Regexp(t, `^1,000 pairs, (99|100) a second$`, reading{m, 1000}.String())
	m.show(1) // and nobody is told
}

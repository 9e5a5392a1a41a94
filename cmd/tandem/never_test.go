package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatWasNeverSeenFitsOnAScreen(t *testing.T) {
	got := tandem(t, "simulate", "--seeds", "1:2", "--faults", "drop", "--ops", "20")
	require.Equal(t, exitHeld, got.code, got.stderr)
	_, list, found := strings.Cut(got.stdout, "\nnever seen\n")
	require.True(t, found, got.stdout)
	require.Contains(t, list, " crash,")
	for _, line := range strings.Split(list, "\n") {
		require.LessOrEqual(t, len(line), 96, line)
	}
	one := tandem(t, "simulate", "--seed", "1", "--faults", "drop", "--ops", "20")
	require.NotContains(t, one.stdout, "never seen", "one run says nothing about that")
}

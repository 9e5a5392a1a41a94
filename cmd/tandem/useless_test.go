package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A flag that would change nothing is refused, and the message names it: whoever
// gave it takes the answer for another one.
func TestFlagsThatChangeNothingAreRefused(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.WriteFile("transcript", nil, 0o600))
	for _, tc := range []struct{ line, says string }{
		{"search --step", "--step: is for --replay"},
		{"search --seed 3", "--seed 3: is for --random"},
		{"search --replay transcript --views 3", "--views: a replay goes the way of its transcript"},
		{"search --replay transcript --mutant alone-without-a-word --late-pings", "--late-pings: a replay"},
		{"simulate --faults= --mutant alone-without-a-word", "--faults: name at least one"},
	} {
		got := tandem(t, strings.Fields(tc.line)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", tc.line, got.stderr)
		require.Contains(t, got.stderr, tc.says, tc.line)
		require.Empty(t, got.stdout, tc.line)
	}
}

// A message names the one flag that is wrong, and says it once.
func TestAMessageIsAboutOneFlag(t *testing.T) {
	for line, says := range map[string]string{
		"search --workers 0":                      "tandem search: --workers 0: there must be a worker\n",
		"search --duration -1s":                   "tandem search: --duration -1s: must not be negative\n",
		"search --memory -1":                      "tandem search: --memory -1: must not be negative\n",
		"search --views 0":                        "tandem search: 0 views, must be 1 to 12\n",
		"search --goal solo":                      "tandem search: goal \"solo\" wants one of the servers",
		"simulate --seeds 0:18446744073709551615": "must be fewer than all that there are\n",
		"simulate --seeds 1:0":                    "must not be below the first\n",
	} {
		got := tandem(t, strings.Fields(line)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", line, got.stderr)
		require.Contains(t, got.stderr, says)
	}
}

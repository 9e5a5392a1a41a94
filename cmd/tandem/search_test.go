package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// all returns what a command line came to.
func (r ran) all() (stdout, stderr string, code int) { return r.stdout, r.stderr, r.code }

func TestSearchExhaustsASpace(t *testing.T) {
	out, _, code := tandem(t, "search", "--views", "3", "--crashes", "0", "--json").all()
	require.Equal(t, exitHeld, code)
	var r searchReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, held, r.Verdict)
	require.Equal(t, "space exhausted", r.End)
	require.True(t, r.Deadlocks)
	require.EqualValues(t, 3, r.Bounds.Views)
	require.Greater(t, r.States, 100)
	require.Equal(t, r.States, r.Explored)
}

// A limit is never called a proof.
func TestSearchThatStopsEarlyKnowsNothing(t *testing.T) {
	out, _, code := tandem(t, "search", "--servers", "3", "--depth", "3").all()
	require.Equal(t, exitUnknown, code)
	require.Contains(t, out, "limit reached: depth (this is no proof)")
}

func TestSearchLeavesTheWayToAGoal(t *testing.T) {
	dir := t.TempDir()
	out, _, code := tandem(t, "search", "--goal", "joint=a", "--goal", "solo=b,committed=1", "--run-dir", dir).all()
	require.Equal(t, exitHeld, code)
	require.Contains(t, out, "goal found: joint=a, then solo=b,committed=1")
	folder := filepath.Join(dir, "search-goal")
	for _, name := range []string{"summary.txt", "transcript.txt", "diagram.html"} {
		require.FileExists(t, filepath.Join(folder, name))
	}
	text, err := os.ReadFile(filepath.Join(folder, "transcript.txt"))
	require.NoError(t, err)

	again, _, code := tandem(t, "search", "--replay", filepath.Join(folder, "transcript.txt")).all()
	require.Equal(t, exitHeld, code)
	require.Equal(t, string(text), again)
}

func TestSearchForWhatCannotBe(t *testing.T) {
	out, _, code := tandem(t, "search", "--updates", "0", "--views", "2", "--crashes", "0", "--goal", "solo=b").all()
	require.Equal(t, exitBroken, code)
	require.Contains(t, out, "space exhausted, and the goal was not reached")
}

func TestSearchAtRandom(t *testing.T) {
	args := []string{"search", "--random", "--servers", "3", "--views", "8", "--updates", "2", "--states", "3000", "--seed", "5", "--json"}
	out, _, code := tandem(t, args...).all()
	require.Equal(t, exitUnknown, code)
	var r searchReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, "states", r.Limit)
	require.True(t, r.Random)
}

func TestSearchRefusesWhatMakesNoSense(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "transcript.txt")
	require.NoError(t, os.WriteFile(bad, []byte("1. a crashes\n"), 0o600))
	for want, args := range map[string][]string{
		"9 servers, must be 2 to 4":             {"--servers", "9"},
		`goal "joint" wants one of the servers`: {"--goal", "joint"},
		`goal "flying=a" is unknown`:            {"--goal", "flying=a"},
		"knows no stages":                       {"--random", "--goal", "joint=a", "--goal", "solo=b"},
		"there must be a worker":                {"--workers", "0"},
		`no line of it begins with "bounds"`:    {"--replay", bad},
		"no such file":                          {"--replay", bad + ".not"},
		`"nobody": there is none`:               {"--mutant", "nobody"},
		"retries need sessions":                 {"--fresh", "--retries", "1"},
		"if any flags in the group [replay ":    {"--replay", bad, "--json"},
	} {
		_, diagnostics, code := tandem(t, append([]string{"search"}, args...)...).all()
		require.Equal(t, exitUsage, code, "%v: %s", args, diagnostics)
		require.Contains(t, diagnostics, want)
	}
}

// The whole of it: a mistake is built in, found, and its way goes again, but only
// where the mistake is.
func TestSearchFindsAMutant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, diagnostics, code := tandem(t, "search", "--mutant", "alone-without-a-word", "--run-dir", dir).all()
	require.Equal(t, exitBroken, code, diagnostics)
	transcript := filepath.Join(dir, "search-I3", "transcript.txt")
	require.FileExists(t, transcript)
	require.Contains(t, diagnostics, "to replay that, add --mutant alone-without-a-word")

	_, diagnostics, code = tandem(t, "search", "--mutant", "alone-without-a-word", "--replay", transcript).all()
	require.Equal(t, exitBroken, code, diagnostics)
	_, diagnostics, code = tandem(t, "search", "--replay", transcript).all()
	require.Equal(t, exitHeld, code, diagnostics)
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who finds the folder of a mutant's run next week goes its way with the command
// that stands there, and it must be the mutant's.
func TestAFolderOfAMutantSaysWhose(t *testing.T) {
	const mutant = "alone-without-a-word"
	elsewhere(t)
	options := brokenOptions(t)
	got := tandem(t, "simulate", "--options", options, "--built-as", mutant)
	require.Equal(t, exitBroken, got.code, got.stderr)
	require.Contains(t, got.stdout, "replay: tandem simulate --options "+options+" --mutant "+mutant+"\n")
	shrunk := "tandem simulate --options " + filepath.Join("tandem-runs", "seed-3", "options.json") + " --mutant " + mutant + "\n"
	require.Contains(t, got.stdout, "replay, shrunk: "+shrunk)
	summary, err := os.ReadFile(filepath.Join("tandem-runs", "seed-3", "summary.txt"))
	require.NoError(t, err)
	require.Contains(t, string(summary), shrunk)

	got = tandem(t, "search", "--goal", "joint=a", "--built-as", mutant)
	require.Equal(t, exitHeld, got.code, got.stderr)
	replay := "tandem search --replay " + filepath.Join("tandem-runs", "search-goal", "transcript.txt") + " --mutant " + mutant + "\n"
	require.Contains(t, got.stdout, replay)
	summary, err = os.ReadFile(filepath.Join("tandem-runs", "search-goal", "summary.txt"))
	require.NoError(t, err)
	require.Contains(t, string(summary), replay)
}

// What an interrupt does to the Go command is no news; that there was one is.
func TestAnInterruptedBuildIsToldAsOne(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	t.Chdir(root)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	got := tandemUntil(ctx, "search", "--mutant", "alone-without-a-word")
	require.Equal(t, exitUnknown, got.code)
	require.Equal(t, "tandem search: interrupted while alone-without-a-word was built\n", got.stderr)
	require.Empty(t, got.stdout)
}

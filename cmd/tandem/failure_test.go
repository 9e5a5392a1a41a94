package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was found is told, and the status says broken, also where no folder can be
// made. The name of the folder is too long for any file system, whoever runs this.
func TestAFailureIsToldWithoutItsFolder(t *testing.T) {
	options := brokenOptions(t)
	dir := filepath.Join(elsewhere(t), longName())
	got := tandem(t, "simulate", "--options", options, "--no-shrink", "--run-dir", dir)
	require.Equal(t, exitBroken, got.code, got.stderr)
	require.Contains(t, got.stderr, "there is no run folder: ")
	require.Contains(t, got.stdout, "P1 broken: ")
	require.Contains(t, got.stdout, "view service: ", "the state of the servers, since no folder has it")
	require.NotContains(t, got.stdout, "folder: ")
}

func TestAGoalIsToldWithoutItsFolder(t *testing.T) {
	dir := filepath.Join(elsewhere(t), longName())
	got := tandem(t, "search", "--goal", "joint=a", "--run-dir", dir)
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Contains(t, got.stderr, "there is no run folder: ")
	require.Contains(t, got.stdout, "goal found: joint=a")
	require.NotContains(t, got.stdout, "folder ")
}

// longName is longer than any name of a file may be.
func longName() string { return strings.Repeat("x", 1000) }
func TestARunDirThatIsAFileIsAUsageError(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.WriteFile("taken", nil, 0o600))
	for _, command := range []string{"simulate", "search"} {
		got := tandem(t, command, "--run-dir", "taken")
		require.Equal(t, exitUsage, got.code, got.stderr)
		require.Contains(t, got.stderr, "--run-dir taken: that is a file")
		require.Empty(t, got.stdout)
	}
}

package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEnvironmentSetsFlags(t *testing.T) {
	elsewhere(t)
	t.Setenv("TANDEM_SEEDS", "1:x")
	t.Setenv("TANDEM_RUN_DIR", "")
	got := tandem(t, "simulate")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, `--seeds "1:x"`)
	require.Empty(t, os.Getenv("TANDEM_SEEDS"), "what this process starts would take it for its own")

	t.Setenv("TANDEM_WORKERS", "many")
	got = tandem(t, "simulate")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "TANDEM_WORKERS: ")
	require.Contains(t, got.stderr, `"many"`)
}

func TestAFlagWinsOverTheEnvironment(t *testing.T) {
	elsewhere(t)
	t.Setenv("TANDEM_SEED", "nonsense")
	got := tandem(t, "simulate", "--seed", "1", "--run-dir=")
	require.Equal(t, exitHeld, got.code, got.stderr)
}

func TestAMisspeltVariableIsTold(t *testing.T) {
	t.Setenv("TANDEM_MONTIOR", "10.0.0.1:7000")
	t.Setenv("TANDEM_MONITOR", "10.0.0.1:7000") // of other commands
	got := tandem(t, "version")
	require.Equal(t, exitHeld, got.code)
	require.Contains(t, got.stderr, "TANDEM_MONTIOR")
	require.NotContains(t, got.stderr, "TANDEM_MONITOR")
}

func TestHelpAboutNothing(t *testing.T) {
	got := tandem(t, "help", "nonsense")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, `"nonsense"`)
	require.Empty(t, got.stdout)

	got = tandem(t, "help", "simulate")
	require.Equal(t, exitHeld, got.code)
	require.Equal(t, tandem(t, "simulate", "--help").stdout, got.stdout)
}

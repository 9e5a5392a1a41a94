package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/torture"
)

// tortureUntil carries out a command line of torture, whose processes are copies of
// this test binary.
func tortureUntil(ctx context.Context, args ...string) ran {
	return tandemUntil(ctx, append([]string{"torture"}, args...)...)
}

// tortured is the answer of torture as a program reads it.
func tortured(t *testing.T, got ran) tortureReport {
	t.Helper()
	var r tortureReport
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r), "%s%s", got.stdout, got.stderr)
	return r
}

// A cluster of real processes keeps its promises while it is broken, and what is told
// of it is in the folder, too.
func TestTorture(t *testing.T) {
	t.Parallel()
	runs := filepath.Join(t.TempDir(), "runs")
	got := tortureUntil(t.Context(), "--duration", "6s", "--seed", "5", "--run-dir", runs, "--json", "--progress")
	r := tortured(t, got)
	require.Equal(t, exitHeld, got.code, "%s%s", got.stdout, got.stderr)
	require.EqualValues(t, "valid", r.Verdict)
	require.Empty(t, r.Why)
	require.Zero(t, r.Witnessed)
	require.Equal(t, r.Keys, r.Judged)
	require.Greater(t, r.Operations.Done, 100)
	require.GreaterOrEqual(t, r.FaultsMillis, int64(6000))
	require.Contains(t, got.stderr, "of 6s: ", "progress")
	require.Contains(t, r.Again, "tandem torture --seed 5 --duration 6s")
	require.Equal(t, filepath.Join(runs, "torture-5"), r.Folder)

	faults := 0
	for _, f := range torture.Faults() {
		require.Contains(t, r.Faults, f.Name)
		faults += r.Faults[f.Name]
	}
	require.Greater(t, faults, 3)
	require.Equal(t, faults, linesIn(t, filepath.Join(r.Folder, "faults.jsonl")))
	require.Equal(t, r.Operations.All(), linesIn(t, filepath.Join(r.Folder, "history.jsonl")))
	text, err := os.ReadFile(filepath.Join(r.Folder, "report.txt"))
	require.NoError(t, err)
	require.Contains(t, string(text), "valid: ")
	for _, name := range []string{"report.json", "monitor.log", "server-1.log", "server-3.log", "clients.log", "data"} {
		require.Contains(t, string(text)+"report.json server-1.log server-3.log", name)
		require.FileExists(t, filepath.Join(r.Folder, strings.Replace(name, "data", "data/views", 1)))
	}
}

func linesIn(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return bytes.Count(content, []byte("\n"))
}

// What is right leaves nothing behind, unless that is asked for.
func TestAValidTortureLeavesNoFolder(t *testing.T) {
	dir := elsewhere(t)
	got := tortureUntil(t.Context(), "--duration", "1s", "--servers", "2", "--clients", "3", "--faults", "reset,cut-one-way")
	require.Equal(t, exitHeld, got.code, "%s%s", got.stdout, got.stderr)
	require.True(t, strings.HasPrefix(got.stdout, "valid: "), got.stdout)
	require.Contains(t, got.stdout, "--servers 2 --clients 3 --faults reset,cut-one-way\n")
	require.NotContains(t, got.stdout, "folder: ")
	require.Empty(t, got.stderr)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A server that answers reads without asking whether it still is the primary (R2) is
// found out by what the clients were told.
func TestTortureNoticesAMistake(t *testing.T) {
	t.Parallel()
	const mutant = "read-at-a-deposed-primary"
	runs := t.TempDir()
	got := tandem(t, "torture", "--mutant", mutant, "--duration", "10s", "--faults", "isolate", "--run-dir", runs, "--json")
	require.Equal(t, exitBroken, got.code, "%s%s", got.stdout, got.stderr)
	r := tortured(t, got)
	require.EqualValues(t, "invalid", r.Verdict)
	require.NotEmpty(t, r.BadKeys)
	require.NotEmpty(t, r.Why)
	require.Contains(t, r.Again, " --faults isolate --mutant "+mutant)
	picture, err := os.ReadFile(filepath.Join(r.Folder, "picture.html"))
	require.NoError(t, err)
	require.Contains(t, string(picture), r.BadKeys[0])
}

// An interrupted run is judged as far as it came.
func TestAnInterruptedTortureIsUnknown(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	told := make(chan string, 1000)
	ended := make(chan ran, 1)
	go func() {
		var stdout bytes.Buffer
		code := run(ctx, []string{"torture", "--duration", "1h", "--seed", "6", "--run-dir", runs, "--json", "--progress"}, strings.NewReader(""), &stdout, teller{told})
		ended <- ran{code: code, stdout: stdout.String()}
	}()
	for operations := 0; operations < 100; {
		select {
		case line := <-told:
			var elapsed, all string
			_, _ = fmt.Sscanf(line, "%s of %s %d operations", &elapsed, &all, &operations) // zero if it is another line
		case <-time.After(patience):
			t.Fatal("so many operations were never told of")
		}
	}
	interrupt()
	select {
	case got := <-ended:
		require.Equal(t, exitUnknown, got.code, got.stdout)
		r := tortured(t, got)
		require.EqualValues(t, "unknown", r.Verdict)
		require.Equal(t, []string{"it was interrupted"}, r.Why)
		require.Positive(t, r.Operations.Done)
		require.Equal(t, r.Keys, r.Judged, "all the same")
		require.Equal(t, filepath.Join(runs, "torture-6"), r.Folder)
		require.DirExists(t, r.Folder)
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

// teller passes on what is written.
type teller struct{ to chan<- string }

func (w teller) Write(b []byte) (int, error) {
	w.to <- string(b)
	return len(b), nil
}

// An interrupt before anything could be judged is no verdict, and leaves what there
// is to be looked at.
func TestTortureThatCannotBegin(t *testing.T) {
	elsewhere(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	got := tortureUntil(ctx, "--seed", "7")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "monitor")
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, "(logs: "+filepath.Join("tandem-runs", "torture-7")+")")
	require.DirExists(t, filepath.Join("tandem-runs", "torture-7"))

	got = tortureUntil(ctx, "--seed", "7", "--run-dir=")
	require.Equal(t, exitFailed, got.code)
	entries, err := os.ReadDir("tandem-runs")
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestTortureRefusesWhatMakesNoSense(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.WriteFile("taken", nil, 0o600))
	for line, says := range map[string]string{
		"--duration 0s":       "duration 0s: must be more than nothing",
		"--servers 1":         "1 servers: must be from 2 to 9",
		"--clients 2":         "2 clients: must be from 3 to 64",
		"--faults rain":       `there is no fault "rain": there are kill, `,
		"--faults=":           "--faults: name at least one",
		"--run-dir taken":     "--run-dir taken: that is a file",
		"--mutant no-such":    `--mutant "no-such"`,
		"--duration 1s extra": "torture takes no arguments",
	} {
		got := tortureUntil(t.Context(), strings.Fields(line)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", line, got.stderr)
		require.Contains(t, got.stderr, says, line)
		require.Empty(t, got.stdout, line)
	}
}

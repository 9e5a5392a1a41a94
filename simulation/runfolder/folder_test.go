package runfolder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/simulation"
)

// tooFar are the options of a world whose messages take longer than progress may.
func tooFar() simulation.Options {
	o := simulation.Draw(3)
	o.Faults = simulation.Faults{}
	o.LatencyMillis = 100_000
	return o
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(content)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestFolderOfAFailure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "3")
	report, failure, err := Write(dir, tooFar(), "tandem simulate --seed 3")
	require.NoError(t, err)
	require.NotNil(t, failure)
	require.Equal(t, "P1", failure.Invariant)
	plain, err := simulation.Run(tooFar())
	require.ErrorContains(t, err, "P1")
	require.Equal(t, plain.Hash, report.Hash)
	require.Equal(t, []string{"diagram.html", "history.jsonl", "history.txt", "log.txt", "options.json", "schedule.json", "summary.txt"}, names(t, dir))
	require.Equal(t, []string{"3"}, names(t, filepath.Dir(dir)), "nothing half-written beside it")

	summary := read(t, dir, "summary.txt")
	for _, want := range []string{"P1 Progress broken", simulation.Predicate("P1"), failure.Detail, failure.Servers, "tandem simulate --seed 3",
		"diagram.html", "history.jsonl", "log.txt", "options.json", "schedule.json"} {
		require.Contains(t, summary, want)
	}
	require.Contains(t, read(t, dir, "diagram.html"), "P1 Progress broken")
	require.Contains(t, read(t, dir, "log.txt"), "P1 broken: "+failure.Detail)
}

func TestFolderOfARunThatHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	report, failure, err := Write(dir, simulation.Draw(5), "")
	require.NoError(t, err)
	require.Nil(t, failure)
	summary := read(t, dir, "summary.txt")
	require.Contains(t, summary, "Everything held")
	require.Contains(t, summary, "go run ./cmd/tandem simulate --seed 5")
	require.NotContains(t, summary, "broken\n")

	// The history is that of the run, line for line.
	lines := bufio.NewScanner(strings.NewReader(read(t, dir, "history.jsonl")))
	i := 0
	for ; lines.Scan(); i++ {
		var op operation
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&op))
		want := report.History[i]
		require.Equal(t, i, op.Number)
		require.Equal(t, want.Client+1, op.Client)
		require.Equal(t, want.Verdict.String(), op.Verdict)
		require.Equal(t, want.Input.Kind.String(), op.Input.Kind)
		require.Equal(t, want.Input.Value, op.Input.Value)
		require.Equal(t, want.Verdict == simulation.Done, op.Output != nil)
		if op.Output != nil {
			require.Equal(t, want.Output.Value, op.Output.Value)
		}
		if want.Verdict != simulation.Running {
			require.Equal(t, want.Return, *op.Return)
			require.LessOrEqual(t, op.CallMillis, *op.ReturnMillis)
		}
	}
	require.Len(t, report.History, i)
	require.Equal(t, i+1, strings.Count(read(t, dir, "history.txt"), "\n"))
}

// With the options of a folder the run is the same, and so it is with the faults
// that struck one by one.
func TestOptionsReplayTheRun(t *testing.T) {
	for _, o := range []simulation.Options{simulation.Draw(8), tooFar()} {
		holds := o.LatencyMillis < 1000
		dir := filepath.Join(t.TempDir(), "run")
		report, failure, err := Write(dir, o, "")
		require.NoError(t, err)
		require.Equal(t, holds, failure == nil)
		for _, name := range []string{"options.json", "schedule.json"} {
			var o simulation.Options
			require.NoError(t, json.Unmarshal([]byte(read(t, dir, name)), &o))
			again, err := simulation.Run(o)
			require.Equal(t, holds, err == nil, name)
			require.Equal(t, report.Hash, again.Hash, name)
			require.Equal(t, report.Schedule, again.Schedule, name)
		}
	}
}

// When linearizability is what failed, porcupine draws the history.
func TestLinearizabilityIsDrawn(t *testing.T) {
	recording, report, err := simulation.Record(simulation.Draw(5))
	require.NoError(t, err)
	report.History = []simulation.Operation{
		{Client: 0, Call: 1, Return: 2, Input: simulation.Input{Kind: simulation.Put, Key: "k0", Value: "new"}, Verdict: simulation.Done},
		{Client: 1, Call: 3, Return: 4, Input: simulation.Input{Kind: simulation.Get, Key: "k0"}, Output: simulation.Output{Value: "old"}, Verdict: simulation.Done},
	}
	failure := &simulation.Failure{Invariant: "Linearizable", Detail: "porcupine says Illegal"}
	files, err := contents(&run{simulation.Draw(5), "", recording, &report, failure})
	require.NoError(t, err)
	for _, f := range files {
		if f.Name == "linearizability.html" {
			require.Contains(t, string(f.Content), `Get \"k0\"`)
			return
		}
	}
	require.Fail(t, "there is no linearizability.html")
}

func TestFullDirectoryIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), []byte("precious"), 0o600))
	_, _, err := Write(dir, simulation.Draw(5), "")
	require.ErrorIs(t, err, ErrNotEmpty)
	require.ErrorContains(t, err, dir)
	require.ErrorIs(t, WriteFiles(dir, []File{{Name: "x"}}), ErrNotEmpty)
	require.Equal(t, []string{"mine"}, names(t, dir))
}

func TestEmptyDirectoryIsUsed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, WriteFiles(dir, []File{{Name: "x", Content: []byte("y")}}))
	require.Equal(t, "y", read(t, dir, "x"))
}

func TestNothingIsLeftOfAFailure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	err := WriteFiles(dir, []File{{Name: "good"}, {Name: "no/such/place"}})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, names(t, filepath.Dir(dir)))

	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	require.Error(t, WriteFiles(dir, nil), "a file is no directory")
}

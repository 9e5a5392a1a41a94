package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/simulation"
)

// ran is what a command line came to.
type ran struct {
	code           int
	stdout, stderr string
}

// tandem carries out a command line.
func tandem(t *testing.T, args ...string) ran {
	t.Helper()
	return tandemUntil(t.Context(), args...)
}

func tandemUntil(ctx context.Context, args ...string) ran {
	return tandemReading(ctx, strings.NewReader(""), args...)
}

// tandemReading carries out a command line with a standard input.
func tandemReading(ctx context.Context, stdin io.Reader, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, stdin, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// elsewhere makes the test's working directory an empty one.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	return dir
}

func TestAMistypedCommandLineIsNoVerdict(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.WriteFile("not-json", []byte("{"), 0o600))
	require.NoError(t, os.WriteFile("not-options", []byte(`{"Replica": {"Chunks": 1}}`), 0o600))
	for _, tc := range []struct{ line, says string }{
		{"simulat", `unknown command "simulat"; did you mean simulate?`},
		{"monitor startover", `unknown command "startover"; did you mean start-over?`},
		{"dump one two", "dump takes one FILE, and not 2"},
		{"get k --timeout 5", `"--timeout" flag: time: missing unit in duration "5"` + "\n"},
		{"get k --monitor http://127.0.0.1:7000", "must be host:port, and not a URL"},
		{"get k --monitor 127.0.0.1:70000", "port 70000: must be 0 to 65535"},
		{"get k --monitor 127.0.0.1:0", "port 0 is none that anybody listens on"},
		{"get k --route here=there", `--route "here": must be host:port`},
		{"dump --server here", `--server "here": must be host:port`},
		{"simulate extra", `"extra": simulate takes no arguments`},
		{"simulate --sed 1", "unknown flag: --sed"},
		{"simulate --seed x", `invalid argument "x"`},
		{"simulate --seeds 1", `--seeds "1": must be two numbers, as in 1:2000`},
		{"simulate --seeds 1:2:3", `--seeds "1:2:3": must be two numbers`},
		{"simulate --seeds 5:4", "the second number must not be below the first"},
		{"simulate --seed 1 --seeds 1:2", "none of the others can be"},
		{"simulate --seed 1 --duration 1s", "none of the others can be"},
		{"simulate --options not-json --servers 2", "none of the others can be"},
		{"simulate --options not-there", "not-there: no such file"},
		{"simulate --options not-json", "--options not-json"},
		{"simulate --options not-options", "Chunks"},
		{"simulate --duration -1s", "--duration -1s: must be more than nothing"},
		{"simulate --workers 0", "--workers 0: must be from 1"},
		{"simulate --servers 10", "--servers 10: must be from 0 to 9"},
		{"simulate --faults crash,rain", `--faults: `},
		{"simulate --without rain", `"rain"`},
		{"mutants --run (", "--run: error parsing regexp"},
		{"mutants --run no-such-mutant", `--run "no-such-mutant": no mutant matches`},
		{"mutants --json --markdown", "none of the others can be"},
		{"mutants --workers 0", "--workers 0: must be at least 1"},
		{"mutants --limit 0s", "--limit 0s: must be more than nothing"},
	} {
		got := tandem(t, strings.Fields(tc.line)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", tc.line, got.stderr)
		require.Contains(t, got.stderr, tc.says, tc.line)
		require.Contains(t, got.stderr, "--help", tc.line)
		require.Empty(t, got.stdout, "%s: the answer, and there is none", tc.line)
	}
}

func TestHelpIsForNewcomers(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {}, {"simulate", "--help"}, {"mutants", "--help"}} {
		got := tandem(t, args...)
		require.Equal(t, exitHeld, got.code)
		require.Contains(t, got.stdout, "Exit status: 0")
		require.Empty(t, got.stderr)
	}
	require.Contains(t, tandem(t, "simulate", "--help").stdout, "linearizable: ")
	for _, k := range simulation.FaultNames() {
		require.Contains(t, tandem(t, "simulate", "--help").stdout, k.Name)
	}
}

// Every help text fits a terminal that is not wide.
func TestHelpFits(t *testing.T) {
	root, _ := newRootCommand()
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		line := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		for text := range strings.Lines(tandem(t, line...).stdout) {
			require.LessOrEqual(t, utf8.RuneCountInString(text), 100, "%s: %s", cmd.CommandPath(), text)
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(root)
}

func TestOneSeedHasOneHash(t *testing.T) {
	hash := func(args ...string) string {
		got := tandem(t, append([]string{"simulate", "--seed", "7"}, args...)...)
		require.Equal(t, exitHeld, got.code, got.stderr)
		require.Empty(t, got.stderr)
		require.Contains(t, got.stdout, "held: 1 run, ")
		_, rest, found := strings.Cut(got.stdout, "\nhash ")
		require.True(t, found, got.stdout)
		return rest[:16]
	}
	require.Equal(t, hash(), hash())
	require.NotEqual(t, hash(), hash("--clients", "2", "--keys", "5"), "the flags shape the world")
	require.NotEqual(t, hash(), hash("--without", "drop,delay,crash,restart,ghost,reorder"))
}

func TestAnswerAsJSON(t *testing.T) {
	got := tandem(t, "simulate", "--seeds", "1:6", "--json", "--workers", "2", "--ops", "60")
	require.Equal(t, exitHeld, got.code, got.stderr)
	var r simulationReport
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&r))
	require.False(t, d.More(), "one object")
	require.Equal(t, held, r.Verdict)
	require.EqualValues(t, 6, r.Runs)
	require.EqualValues(t, 6, r.Seeds)
	require.NotZero(t, r.Events)
	require.Empty(t, r.Failures)
	require.Len(t, r.Faults, len(simulation.FaultNames()))
	require.NotZero(t, r.Happenings["view changes"])
	require.NotZero(t, r.Rules["A2"])
	require.Contains(t, got.stdout, `"failures": []`, "an empty list is a list")
}

func TestOnlyTheFaultsAskedFor(t *testing.T) {
	got := tandem(t, "simulate", "--seeds", "1:3", "--faults", "drop,crash", "--without", "crash", "--json", "--ops", "60")
	require.Equal(t, exitHeld, got.code, got.stderr)
	var r simulationReport
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	for name, n := range r.Faults {
		require.Equal(t, name == "drop", n > 0, "%s: %d", name, n)
	}
}

// brokenOptions writes the options of a world whose messages take longer than
// progress may (P1).
func brokenOptions(t *testing.T) (path string) {
	t.Helper()
	o := simulation.Draw(3)
	o.Faults = simulation.Faults{}
	o.LatencyMillis = 100_000
	text, err := json.Marshal(o)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "options.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

func TestAFailureIsToldShrunkAndKept(t *testing.T) {
	elsewhere(t)
	options := brokenOptions(t)
	got := tandem(t, "simulate", "--options", options)
	require.Equal(t, exitBroken, got.code, got.stderr)
	folder := filepath.Join("tandem-runs", "seed-3")
	for _, want := range []string{"P1 broken: ", "seed 3, event ", "replay: tandem simulate --options " + options,
		"shrunk in ", "replay, shrunk: tandem simulate --options " + filepath.Join(folder, "options.json"),
		"folder: " + folder, "broken: 1 run, "} {
		require.Contains(t, got.stdout, want)
	}
	summary, err := os.ReadFile(filepath.Join(folder, "summary.txt"))
	require.NoError(t, err)
	require.Contains(t, string(summary), "tandem simulate --options "+filepath.Join(folder, "options.json"))

	again := tandem(t, "simulate", "--options", filepath.Join(folder, "options.json"), "--no-shrink", "--json")
	require.Equal(t, exitBroken, again.code, again.stderr)
	var r simulationReport
	require.NoError(t, json.Unmarshal([]byte(again.stdout), &r))
	require.Len(t, r.Failures, 1)
	require.Equal(t, "P1", r.Failures[0].Invariant)
	require.Nil(t, r.Failures[0].Shrunk)
	require.Equal(t, folder+"-2", r.Failures[0].Folder, "nothing is written over")
	require.Equal(t, broken, r.Verdict)
}

func TestNoFolderIfNoneIsWanted(t *testing.T) {
	dir := elsewhere(t)
	got := tandem(t, "simulate", "--options", brokenOptions(t), "--no-shrink", "--run-dir=")
	require.Equal(t, exitBroken, got.code)
	require.Contains(t, got.stdout, "view service: ", "the state of the servers, since no folder has it")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestAnInterruptedRunIsUnknown(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	got := tandemUntil(ctx, "simulate", "--seeds", "1:1000000", "--json")
	require.Equal(t, exitUnknown, got.code)
	var r simulationReport
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.Equal(t, unknown, r.Verdict)
	require.Equal(t, "ended before all seeds had run", r.Why)
	require.EqualValues(t, 1_000_000, r.Seeds)
}

func TestTimeEndsFreshSeedsAndNotAList(t *testing.T) {
	// Long enough for a first run to begin on a machine that is busy; what has begun is
	// always finished.
	fresh := tandem(t, "simulate", "--duration", "500ms", "--workers", "1", "--progress")
	require.Equal(t, exitHeld, fresh.code, fresh.stdout)
	require.Contains(t, fresh.stderr, "fresh seeds, from ")
	require.Contains(t, fresh.stderr, "runs, ", "progress")
	list := tandem(t, "simulate", "--seeds", "1:1000000", "--duration", "1ms", "--workers", "1")
	require.Equal(t, exitUnknown, list.code, "it was asked for all of them")
	require.Contains(t, list.stdout, "unknown (ended before all seeds had run): ")
}

func TestKeepGoingCountsByInvariant(t *testing.T) {
	wrong := brokenOptions(t)
	o, err := readOptions(wrong)
	require.NoError(t, err)
	c := &campaign{seeds: seeds{first: 1, count: 4}, workers: 2, keepGoing: true, options: func(seed uint64) simulation.Options {
		if seed == 2 {
			return simulation.Draw(2)
		}
		one := o
		one.Seed = seed
		return one
	}}
	got := c.run(t.Context())
	require.EqualValues(t, 4, got.cover.Runs)
	require.Len(t, got.sorted(), 1)
	require.EqualValues(t, 3, got.sorted()[0].count)
	require.EqualValues(t, 1, got.sorted()[0].first.Seed, "the lowest seed")
	c.keepGoing, c.workers = false, 1
	require.EqualValues(t, 1, c.run(t.Context()).cover.Runs, "or it ends there")
}

// A panic that no invariant foresaw is a failure, too.
func TestAPanicIsAFailure(t *testing.T) {
	o := simulation.Draw(1)
	o.Keys = 0 // of which none can be drawn
	_, failure := runSeed(o)
	require.NotNil(t, failure)
	require.Equal(t, panicked, failure.Invariant)
	require.Contains(t, failure.Trace, "runSeed")
}

func TestMutantsNeedTheSourceTree(t *testing.T) {
	elsewhere(t)
	got := tandem(t, "mutants", "--run", "gap-skipped")
	require.Equal(t, exitUnknown, got.code)
	require.Contains(t, got.stderr, "is not in Tandem's source tree")
	require.Empty(t, got.stdout)
}

func TestMutantsAreListedAnywhere(t *testing.T) {
	elsewhere(t)
	got := tandem(t, "mutants", "--list", "--run", "^T3$")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Contains(t, got.stdout, "installed-twice (T3")
	require.NotContains(t, got.stdout, "gap-skipped")
	var list []map[string]any
	require.NoError(t, json.Unmarshal([]byte(tandem(t, "mutants", "--list", "--json").stdout), &list))
	require.Greater(t, len(list), 60)
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain has this program be a server of the yardstick when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == echoCommand {
		if err := serveEcho(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitDone)
	}
	goleak.VerifyTestMain(m)
}

// The systems that come with this repository go through every part, for a moment.
func TestComparison(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "tandem")
	build := exec.Command("go", "build", "-o", binary, "./cmd/tandem")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	set, err := parse([]string{
		"--tandem", binary, "--systems", "tandem,echo", "--rounds", "2", "--clients", "1,8",
		"--warmup", "10ms", "--duration", "50ms", "--keys", "300", "--rate", "500", "--trials", "1",
		"--memory-keys", "2000", "--rest", "0s", "--dir", dir,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, err := compare(ctx, set)
	require.NoError(t, err)

	for part, ids := range map[string][]string{partPut: putIDs, partGet: getIDs} {
		table := r.table(part)
		require.NotNil(t, table, part)
		for _, id := range ids {
			if !set.takes(id) {
				assert.Nil(t, table.find(id), "%s: %s", part, id)
				continue
			}
			require.NotNil(t, table.find(id), "%s: %s", part, id)
			for _, clients := range set.Clients {
				c := table.cell(id, clients)
				require.NotNil(t, c)
				assert.Len(t, c.Samples, set.Rounds)
				assert.Positive(t, c.Rate.Min, "%s: %s with %d clients", part, id, clients)
			}
		}
	}
	require.Len(t, r.Open.Rows, 2)
	assert.Positive(t, r.Open.find("tandem").P99.Median)
	require.NotNil(t, r.Failover.find("tandem"))
	assert.Positive(t, r.Failover.find("tandem").Gap.Median)
	require.NotNil(t, r.Memory.find("tandem-backup"))
	assert.Positive(t, r.Memory.find("tandem-backup").Rest)
	for _, c := range r.Checks {
		assert.Zero(t, c.Failed, "%s: %s", c.Label, c.Failure)
		assert.False(t, c.Violations.Any(), "%s: %v", c.Label, c.Violations.Examples)
	}
	assert.False(t, r.tandemBroken())

	results := filepath.Join(dir, "results")
	set.out = results
	require.NoError(t, set.makeOut())
	require.NoError(t, r.write(results))
	for _, name := range []string{"compare.json", "compare.md", "compare.txt"} {
		assert.FileExists(t, filepath.Join(results, name))
	}
	left, err := filepath.Glob(filepath.Join(dir, "tandem-compare-*"))
	require.NoError(t, err)
	assert.Empty(t, left, "what the systems kept is removed")
}

// The plan that is told in advance is what comes about.
func TestPlan(t *testing.T) {
	set, err := parse([]string{"--tandem", "x"})
	require.NoError(t, err)
	steps, about := set.plan()
	loops := len(set.Clients) * set.Rounds * (len(putIDs) + len(getIDs))
	assert.Equal(t, loops+set.Rounds*len(openContenders)+3*set.Trials+3, steps)
	assert.Less(t, about, 20*time.Minute, "nobody waits for longer")

	set, err = parse([]string{"--tandem", "x", "--systems", "echo2", "--parts", "put", "--clients", "4", "--rounds", "3"})
	require.NoError(t, err)
	steps, _ = set.plan()
	assert.Equal(t, 2*3, steps)
}

// What would come to nothing is refused before the first of 20 minutes.
func TestComparisonIsMistyped(t *testing.T) {
	for line, says := range map[string]string{
		"--systems tandem,redsi":  `system "redsi": no name begins so; there are echo1, `,
		"--parts puts":            `part "puts"`,
		"--rate NaN":              "rate NaN: must be",
		"--rate Inf":              "rate +Inf: must be",
		"--rate -1":               "rate -1: must be",
		"--clients 0":             "0 clients",
		"--clients 9 --keys 300x": "300x",
		"--rounds 0":              "0 rounds",
		"surplus":                 `"surplus": there are no arguments`,
	} {
		_, err := parse(append([]string{"--tandem", "x"}, strings.Fields(line)...))
		require.ErrorContains(t, err, says, line)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, (&settings{out: filepath.Join(file, "results")}).makeOut(), "make the directory for results")
	for _, name := range []string{"tandem", "redis-sentinel", "echo2-shared", "redis", "e"} {
		_, err := parse([]string{"--tandem", "x", "--systems", name})
		require.NoError(t, err)
	}
}

package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/bench"
)

// benched carries out a command line of bench, whose processes are copies of this test
// binary, and reads its answer.
func benched[R any](t *testing.T, line string) R {
	t.Helper()
	got := tandem(t, append([]string{"bench"}, strings.Fields(line+" --json")...)...)
	require.Equal(t, exitHeld, got.code, "%s%s", got.stdout, got.stderr)
	var r R
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	return r
}

// elements reads a document to its end, and counts what is in it.
func elements(t *testing.T, path string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	counts := make(map[string]int)
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(string(text), "<!DOCTYPE html>")))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			counts[e.Name.Local]++
		}
	}
}

func TestBench(t *testing.T) {
	elsewhere(t)
	r := benched[benchReport](t, "--clients 2,5 --rounds 2 --duration 300ms --warmup 50ms --keys 50 --connections each"+
		" --mix get=2,put=2,append=1,puthash=1,cas=1,delete=1 --distribution zipf --lease 200ms --plot plot.svg --run-dir logs")
	require.True(t, r.Started)
	require.Zero(t, r.Violations)
	require.False(t, r.Interrupted)
	require.Len(t, r.Summary, 2)
	require.Len(t, r.Results, 4)
	for i, s := range r.Summary {
		require.Equal(t, []int{2, 5}[i], s.Clients)
		require.Zero(t, s.Failed)
		require.LessOrEqual(t, s.Least, s.PerSecond)
		require.LessOrEqual(t, s.PerSecond, s.Most)
		require.Positive(t, s.Least)
		require.Positive(t, s.All.P50)
		require.LessOrEqual(t, s.All.P50, s.All.Max)
		require.NotEmpty(t, s.Kinds)
	}
	counts := elements(t, "plot.svg")
	require.Equal(t, 4, counts["g"], "charts")
	require.FileExists(t, "logs/server-2.log")
}

// A cluster that runs already has what it had before.
func TestBenchOfARunningCluster(t *testing.T) {
	c := startLocalCluster(t, 2)
	client := c.client()
	client.Put("somebody's", "own")
	r := benched[benchReport](t, "--monitor "+c.monitor.Addr()+" --clients 3 --rate 200 --duration 300ms --warmup 0s --keys 40 --mix put=3,append=1,delete=1")
	require.False(t, r.Started)
	require.Zero(t, r.Violations)
	require.EqualValues(t, 200, r.Results[0].Load.Rate)
	var keys []string
	require.NoError(t, client.ScanContext(t.Context(), "", func(key, _ string) bool {
		keys = append(keys, key)
		return true
	}))
	require.Equal(t, []string{"somebody's"}, keys)
}

func TestBenchIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := tandemUntil(ctx, "bench", "--clients", "1", "--duration", "1h")
	require.NotEqual(t, exitHeld, got.code)
	require.Empty(t, got.stdout)
}

// What must not be is in the status, too.
func TestViolationsAreAnExitStatus(t *testing.T) {
	res := &bench.Result{System: "x", Load: bench.Load{Clients: 1}, Violations: bench.Violations{Stale: 1, Examples: []string{"a read of k"}}}
	for verdict, r := range map[string]*benchReport{
		broken:  {Rounds: 1, Interrupted: true, Results: []*bench.Result{res}, Violations: res.Violations},
		unknown: {Rounds: 1, Interrupted: true, Results: []*bench.Result{res}},
		held:    {Rounds: 1, Results: []*bench.Result{res}},
	} {
		r.sum()
		cmd := new(cobra.Command)
		var told strings.Builder
		cmd.SetOut(&told)
		err := tellMeasured(cmd, new(output), new(plotFlag), r, verdictOf(r.Violations, r.Interrupted), r.charts())
		require.Equal(t, concluded(verdict), err)
		require.Equal(t, verdict == broken, strings.Contains(told.String(), "reads stale 1, "), told.String())
		require.Equal(t, r.Interrupted, strings.Contains(told.String(), "interrupted"))
	}
}

func TestBenchFailover(t *testing.T) {
	elsewhere(t)
	const line = "failover --ping-interval 40ms --clients 3 --keys 200 --trials "
	for fault, trials := range map[string]string{"kill": "2", "freeze": "1", "shutdown": "1"} {
		r := benched[failoverReport](t, line+trials+" --fault "+fault+" --plot "+fault+".html")
		require.Equal(t, fault, string(r.Fault))
		require.Len(t, r.Trials, int(trials[0]-'0'))
		require.Zero(t, r.Violations)
		require.Empty(t, r.Failures)
		require.Positive(t, r.PerSecond)
		require.LessOrEqual(t, r.Min, r.Median)
		require.LessOrEqual(t, r.Median, r.Max)
		for _, trial := range r.Trials {
			require.Positive(t, trial.Gap)
			require.Positive(t, trial.Views)
			require.NotEmpty(t, trial.Rules)
			require.LessOrEqual(t, trial.Silence, trial.Gap+time.Millisecond, "nobody waits less than all of them")
		}
		require.Equal(t, 2, elements(t, fault+".html")["g"], "charts")
	}
}

func TestBenchTransfer(t *testing.T) {
	elsewhere(t)
	const line = "transfer --ping-interval 40ms --keys 2000 --clients 4 --phase 300ms --plot plot.svg"
	r := benched[transferReport](t, line+" --load 0.3")
	require.Zero(t, r.Violations)
	require.NotNil(t, r.Peak)
	require.InEpsilon(t, 0.3*r.Peak.PerSecond, r.Load.Rate, 1e-6)
	require.Nil(t, r.Absent)
	require.False(t, r.Delta, "a new server has nothing")
	require.Positive(t, r.Took)
	require.EqualValues(t, 2000*116, r.StoreBytes)
	require.NotZero(t, r.During.Operations)
	require.Equal(t, 3, elements(t, "plot.svg")["g"], "charts")

	r = benched[transferReport](t, line+" --rate 300 --absence 1s")
	require.Zero(t, r.Violations)
	require.Nil(t, r.Peak)
	require.NotNil(t, r.Absent)
	require.Positive(t, r.AbsentKeys)
	require.True(t, r.Delta, "it had almost everything")
	require.Positive(t, r.Frozen)

	r = benched[transferReport](t, line+" --rate 300 --absence 1ms")
	require.Greater(t, r.Frozen, 5*40*time.Millisecond/2, "it returns when it was taken for dead, and not before")
}

func TestBenchIsMistyped(t *testing.T) {
	elsewhere(t)
	for line, says := range map[string]string{
		"--clients 0":                       "0 clients",
		"--clients 100 --keys 10":           "10 keys: must be at least one for each of 100 clients",
		"--mix rename":                      `--mix: there is no operation "rename"`,
		"--connections many":                `--connections "many"`,
		"--distribution normal":             `distribution "normal"`,
		"--theta 0.5":                       "--theta 0.5: is for --distribution zipf",
		"--arrivals constant":               "--arrivals constant: is for --rate",
		"--value-size 3":                    "--value-size 3: must be at least 16",
		"--value-size 1GiB":                 "--value-size 1GiB: must be at most 16.0 MiB",
		"--plot x.png":                      "--plot x.png: must end in .svg or .html",
		"--rounds 0":                        "--rounds 0",
		"--duration 0s":                     "--duration 0s",
		"--monitor 127.0.0.1:1 --servers 3": "--servers: is for a cluster that is started",
		"--monitor 127.0.0.1:1 --lease 1s":  "--lease: is for a cluster that is started",
		"failover --fault rain":             `fault "rain": must be kill, freeze or shutdown`,
		"failover --trials 0":               "0 trials",
		"failover --servers 1":              "1 servers",
		"transfer --rate 10 --load 0.3":     "--load 0.3: --rate 10 says already",
		"transfer --load 2":                 "a load of 2 of the peak",
		"transfer --absence -1s":            "absence -1s",
		"transfer --phase 0s":               "phases of 0s",
		"failover --ping-interval -1s":      "--ping-interval -1s",
		"--rate NaN":                        "rate NaN: must be 0.001 to 10000000 operations a second, or 0",
		"--rate Inf":                        "rate +Inf: must be",
		"--rate 1e300":                      "rate 1e+300: must be",
		"--rate 1e-300":                     "rate 1e-300: must be",
		"--rate -1":                         "rate -1: must be",
		"--distribution zipf --theta NaN":   "theta NaN: must be more than 0",
		"--distribution zipf --theta 0":     "--theta 0: must be more than 0",
		"transfer --load NaN":               "a load of NaN of the peak",
	} {
		got := tandem(t, append([]string{"bench"}, strings.Fields(line)...)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", line, got.stderr)
		require.Contains(t, got.stderr, says, line)
		require.Empty(t, got.stdout, line)
	}
}

// What cannot be measured, or told in the end, is refused before anything is started.
func TestBenchIsRefusedAtOnce(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.WriteFile("file", nil, 0o600))
	require.NoError(t, os.Mkdir("plot.svg", 0o700))
	for _, of := range []string{"", "failover ", "transfer "} {
		for line, says := range map[string]string{
			"--plot nowhere/plot.svg":              "--plot nowhere/plot.svg cannot be written",
			"--plot plot.svg":                      "--plot plot.svg cannot be written",
			"--plot file/plot.html --run-dir logs": "--plot file/plot.html cannot be written",
		} {
			got := tandem(t, append([]string{"bench"}, strings.Fields(of+line)...)...)
			require.Equal(t, exitFailed, got.code, "%s%s: %s", of, line, got.stderr)
			require.Contains(t, got.stderr, says, of+line)
			require.NoFileExists(t, "logs/monitor.log", of+line)
		}
		got := tandem(t, append([]string{"bench"}, strings.Fields(of+"--run-dir file")...)...)
		require.Equal(t, exitUsage, got.code, got.stderr)
	}
}

// The views in a directory are those of servers that are gone: no cluster comes of them.
func TestBenchInADirectoryOfAnEarlierRun(t *testing.T) {
	elsewhere(t)
	const quick = "--clients 1 --keys 10 --duration 1ms --warmup 0s --run-dir logs"
	benched[benchReport](t, quick)
	for _, again := range []string{quick, "failover --run-dir logs", "transfer --run-dir logs"} {
		got := tandem(t, append([]string{"bench"}, strings.Fields(again)...)...)
		require.Equal(t, exitUsage, got.code, "%s: %s", again, got.stderr)
		require.Contains(t, got.stderr, "--run-dir logs: there is an earlier run in it", again)
	}
}

// Nobody waits for ever for a cluster that is not there, without being told so.
func TestBenchOfAClusterThatIsNotThere(t *testing.T) {
	t.Parallel()
	got := tandem(t, "bench", "--monitor", "127.0.0.1:1", "--clients", "1")
	require.Equal(t, exitFailed, got.code, got.stderr)
	require.Contains(t, got.stderr, "--monitor 127.0.0.1:1: ")
	require.Contains(t, got.stderr, "refused")
	require.Empty(t, got.stdout)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
)

// load carries out tandem load on a cluster with a standard input.
func (c *localCluster) load(stdin string, args ...string) ran {
	c.t.Helper()
	args = append([]string{"load", "--monitor", c.monitor.Addr()}, args...)
	return tandemReading(c.t.Context(), strings.NewReader(stdin), args...)
}

func TestWhatIsNoDumpIsRefused(t *testing.T) {
	elsewhere(t)
	c := startLocalCluster(t, 1)
	const first, second = `{"key":"a","value":"1"}` + "\n", `{"key":"b","value":"2"}` + "\n"
	for _, tc := range []struct{ about, dump, says string }{
		{"nothing", "", `after line 0: the dump's last line, {"end":true,...}, is missing`},
		{"no end", first + second, "after line 2: the dump's last line"},
		{"another number", first + `{"end":true,"pairs":2}`, "line 2: 2 pairs were to come before the end, and 1 have"},
		{"no number", `{"end":true}`, `line 1: the line that ends the dump must tell how many "pairs"`},
		{"a pair at the end", first + `{"end":true,"pairs":1,"key":"b"}`, "line 2: the line that ends the dump must have no key"},
		{"more", `{"end":true,"pairs":0}` + "\n" + first, "line 2: there is more after the end of the dump"},
		{"two ends", first + `{"end":true,"pairs":1}` + "\n" + `{"end":true,"pairs":1}`, "line 3: there is more after the end"},
		{"cut", first + `{"key":"b","val`, "line 2: the JSON object is cut short"},
		{"not a dump", first + "\n" + `["b"]` + "\n", "line 3: json: cannot unmarshal array"},
		{"a number in a pair", `{"key":"a","value":"1","pairs":1}` + "\n", `line 1: "pairs" is for the line that has "end"`},
	} {
		require.NoError(t, os.WriteFile("d", []byte(tc.dump), 0o600))
		got := c.load("", "d")
		require.Equal(t, exitFailed, got.code, tc.about)
		require.Contains(t, got.stderr, "d: "+tc.says, tc.about)
		require.Empty(t, got.stdout, tc.about)
		require.Empty(t, c.pairs(), "%s: a file is read before anything is put", tc.about)
	}

	got := c.load(first+second+"{}\n", "--json")
	require.Equal(t, exitUnknown, got.code, "standard input is put as it comes")
	require.Contains(t, got.stderr, "line 3: there is neither")
	require.Contains(t, got.stderr, "put: 2 pairs; it is safe to load again")
	var r loaded
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.False(t, r.Whole)
	require.EqualValues(t, 2, r.Pairs)
	require.Contains(t, r.Error, "line 3")
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, c.pairs(), "what comes before the line that is wrong is in")

	got = c.load("{}\n")
	require.Equal(t, exitFailed, got.code, "nothing was put")
}

func TestPartsOfDumpsIfOneAsksForIt(t *testing.T) {
	elsewhere(t)
	c := startLocalCluster(t, 1)
	const two = `{"key":"a","value":"1"}
{"end":true,"pairs":7}

{"key":"b","value":"2"}
{"end":true,"pairs":1}
{"key":"c","val`
	require.NoError(t, os.WriteFile("d", []byte(two), 0o600))
	for _, got := range []ran{c.load(two, "--partial"), c.load("", "--partial", "d")} {
		require.Equal(t, exitHeld, got.code, got.stderr)
		require.Contains(t, got.stderr, "line 6 is cut short, and left out")
		require.Contains(t, got.stdout, "2 pairs, 4 B, in ")
		require.Equal(t, map[string]string{"a": "1", "b": "2"}, c.pairs())
	}
	got := c.load(`{"key":"c","val`+"\n", "--partial")
	require.Equal(t, exitFailed, got.code, "a whole line that is wrong is an error")
}

// However many puts are under way, of one key the last in the dump wins.
func TestTheLastValueOfAKeyWins(t *testing.T) {
	c := startLocalCluster(t, 1)
	var dump strings.Builder
	for i := range 400 {
		fmt.Fprintf(&dump, `{"key":"%d","value":"%d"}`+"\n", i%4, i)
	}
	got := c.load(dump.String(), "--partial", "--clients", "32")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Equal(t, map[string]string{"0": "396", "1": "397", "2": "398", "3": "399"}, c.pairs())
}

func TestALoadTellsWhatIsIn(t *testing.T) {
	c := startLocalCluster(t, 1, kvservice.WithLimits(kvservice.Limits{MaxValue: 10}))
	got := c.load(`{"key":"a","value":"1"}`+"\n"+`{"key":"a","value":"too large for it"}`+"\n", "--clients", "1", "--partial")
	require.Equal(t, exitUnknown, got.code)
	require.Contains(t, got.stderr, `line 2: Put "a": key or value too large`)
	require.Contains(t, got.stderr, "put: 1 pair; it is safe to load again")
	require.Empty(t, got.stdout)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	got = tandemReading(t.Context(), strings.NewReader(`{"key":"a","value":"1"}`), "load", "--partial", "--monitor", nobody, "--timeout", "200ms")
	require.Equal(t, exitFailed, got.code, "nothing was put")
	require.Contains(t, got.stderr, nobody)
}

func TestALoadThatIsStopped(t *testing.T) {
	c := startLocalCluster(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	stdin, dump := io.Pipe()
	defer dump.Close()
	ended := make(chan ran, 1)
	go func() {
		ended <- tandemReading(ctx, stdin, "load", "--monitor", c.monitor.Addr())
	}()
	_, err := io.WriteString(dump, `{"key":"a","value":"1"}`+"\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(c.pairs()) == 1 }, patience, c.monitor.Status().PingInterval)
	stop() // while it waits for more
	got := <-ended
	require.Equal(t, exitUnknown, got.code)
	require.Contains(t, got.stderr, "it is safe to load again")
	require.Contains(t, got.stderr, "tandem load: interrupted; ", "and nothing of a context")
}

func TestLoadFlagsThatMakeNoSense(t *testing.T) {
	for _, clients := range []string{"0", "-1", "257"} {
		got := tandem(t, "load", "--clients", clients)
		require.Equal(t, exitUsage, got.code)
		require.Contains(t, got.stderr, "--clients "+clients+": must be from 1 to 256")
	}
	got := tandem(t, "load", "not-there")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "not-there")
}

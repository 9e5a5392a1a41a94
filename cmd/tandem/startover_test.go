package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/sysmonitor"
)

// keptViews returns a directory in which a view service has kept its views, and
// the last of them.
func keptViews(t *testing.T) (dir string, v sysmonitor.View) {
	dir = filepath.Join(t.TempDir(), "data")
	m, err := sysmonitor.Start("127.0.0.1:0", sysmonitor.WithData(dir))
	require.NoError(t, err)
	defer m.Kill()
	c := sysmonitor.MakeClient("a", m.Addr())
	defer c.Close()
	for _, number := range []uint{0, 1} {
		v, err = c.Ping(number)
		require.NoError(t, err)
	}
	return dir, v
}

// unchanged runs what should change nothing.
func unchanged(t *testing.T, dir string, do func()) {
	t.Helper()
	before, err := os.ReadFile(filepath.Join(dir, "views"))
	require.NoError(t, err)
	do()
	after, err := os.ReadFile(filepath.Join(dir, "views"))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestStartOverTellsAndAsks(t *testing.T) {
	dir, _ := keptViews(t)
	unchanged(t, dir, func() {
		got := tandem(t, "monitor", "start-over", "--data", dir)
		require.Equal(t, exitBroken, got.code)
		require.Regexp(t, `holds the views of cluster [0-9a-f]+
  last view    1, primary a, backup none
  last active  1
  all data     a, incarnation 0: `, got.stdout)
		require.NotContains(t, got.stdout, "Given up")
		require.Contains(t, got.stderr, "Nothing was changed")
		require.Contains(t, got.stderr, "--lose-data")
	})
	unchanged(t, dir, func() {
		got := tandem(t, "monitor", "start-over", "--data", dir, "--json")
		require.Equal(t, exitBroken, got.code)
		var answer givenUp
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &answer))
		require.False(t, answer.GivenUp)
		require.EqualValues(t, 1, answer.View)
	})
}

func TestStartOverIsConfirmedByNoEnvironment(t *testing.T) {
	dir, _ := keptViews(t)
	t.Setenv("TANDEM_LOSE_DATA", "true")
	unchanged(t, dir, func() {
		got := tandem(t, "monitor", "start-over", "--data", dir)
		require.Equal(t, exitBroken, got.code)
	})
}

func TestStartOver(t *testing.T) {
	dir, v := keptViews(t)
	got := tandem(t, "monitor", "start-over", "--data", dir, "--lose-data", "--json")
	require.Equal(t, exitHeld, got.code, got.stderr)
	var answer givenUp
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &answer))
	require.True(t, answer.GivenUp)
	require.FileExists(t, answer.Kept)
	require.Equal(t, []givenUpServer{{"a", "0"}}, answer.InSync)

	again := tandem(t, "monitor", "start-over", "--data", dir, "--lose-data")
	require.Equal(t, exitFailed, again.code)
	require.Contains(t, again.stderr, "given up already")

	p := startDaemon(t, monitorSpec(t, "--data", dir))
	next, err := monitorClient(t, p).Ping(0)
	require.NoError(t, err)
	require.EqualValues(t, 1, next.Viewnum)
	require.NotEqual(t, v.Cluster, next.Cluster)

	inUse := tandem(t, "monitor", "start-over", "--data", dir, "--lose-data")
	require.Equal(t, exitFailed, inUse.code)
	require.Contains(t, inUse.stderr, dir+": another monitor uses it")
	require.NoError(t, p.Kill())
	said := tandem(t, "monitor", "start-over", "--data", dir, "--lose-data")
	require.Equal(t, exitHeld, said.code)
	require.Contains(t, said.stdout, "Given up. Its record is in "+dir)
	require.Empty(t, said.stderr)
}

func TestStartOverThatCannotBe(t *testing.T) {
	empty := t.TempDir()
	damaged := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "views"), []byte("tdmviews"), 0o600))
	for _, c := range []struct {
		dir  string
		code int
		says string
	}{
		{"", exitUsage, "--data"},
		{empty, exitFailed, empty + ": no views are kept there"},
		{filepath.Join(empty, "absent"), exitFailed, "absent: no views are kept there"},
		{damaged, exitFailed, "the data is damaged"},
	} {
		got := tandem(t, "monitor", "start-over", "--lose-data", "--data", c.dir)
		require.Equal(t, c.code, got.code, c.dir)
		require.Contains(t, got.stderr, c.says)
		require.Empty(t, got.stdout)
	}
}

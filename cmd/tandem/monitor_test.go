//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/sysmonitor"
)

func TestMonitorLeavesInOrder(t *testing.T) {
	for name, leave := range map[string]func(p *cluster.Process) error{
		"told so":    (*cluster.Process).Leave,
		"by SIGTERM": func(p *cluster.Process) error { return syscall.Kill(p.Ready().PID, syscall.SIGTERM) },
		"by SIGINT":  func(p *cluster.Process) error { return syscall.Kill(p.Ready().PID, syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			spec := monitorSpec(t)
			p := startDaemon(t, spec)
			require.Equal(t, "monitor", p.Ready().Role)
			v, err := monitorClient(t, p).Ping(0)
			require.NoError(t, err)
			require.Equal(t, "a", v.Primary)
			require.NoError(t, leave(p))
			require.Equal(t, cluster.End{}, awaitEnd(t, p))
			// At the default level, whoever looks after it reads this and no more.
			log := strings.Split(strings.TrimSpace(logOf(t, spec)), "\n")
			require.Len(t, log, 3, "%q", log)
			require.Contains(t, log[0], "level=WARN msg=\"views are in memory alone")
			require.Regexp(t, `level=INFO msg=view .*number=1 primary=a backup="" rule=V1 why="a is the first server to ping"`, log[1])
			require.Contains(t, log[2], `level=INFO msg="ending`)
		})
	}
}

// TestMonitorKeepsItsViews: V10. What ended it does not matter.
func TestMonitorKeepsItsViews(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	spec := monitorSpec(t, "--data", dir)
	p := startDaemon(t, spec)
	v, err := monitorClient(t, p).Ping(0)
	require.NoError(t, err)
	require.EqualValues(t, 1, v.Viewnum)

	other := tandem(t, "monitor", "--listen", "127.0.0.1:0", "--data", dir)
	require.Equal(t, exitFailed, other.code)
	require.Contains(t, other.stderr, dir+": another monitor uses it")
	require.Empty(t, other.stdout)

	require.NoError(t, p.Kill())
	p = startDaemon(t, spec)
	again, ok := monitorClient(t, p).Get()
	require.True(t, ok)
	require.Equal(t, v, again)
	require.Contains(t, logOf(t, spec), "goes on from the views that were kept")
	require.NotContains(t, logOf(t, spec), "in memory alone")
}

func TestMonitorDoesNotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().String()
	damaged := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "views"), []byte("tdmviews"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--listen", taken}, exitFailed, "listen on " + taken},
		{[]string{"--listen", taken, "--data", damaged}, exitFailed, filepath.Join(damaged, "views") + ": the data is damaged"},
		{[]string{"--listen", taken, "--data", "/proc/self"}, exitFailed, "/proc/self/lock"},
		{[]string{"--listen", taken, "--ping-interval", "1ms"}, exitUsage, "ping interval 1ms is below 4ms"},
		{[]string{"--listen", taken, "--dead-pings", "1"}, exitUsage, "1 dead pings"},
		{[]string{"--listen", taken, "--log-level", "loud"}, exitUsage, "loud"},
		{[]string{"--listen", "nowhere"}, exitUsage, "--listen \"nowhere\""},
		{[]string{"--listen", taken, "extra"}, exitUsage, "extra"},
	} {
		got := tandem(t, append([]string{"monitor"}, c.args...)...)
		require.Equal(t, c.code, got.code, "%s: %s", c.args, got.stderr)
		require.Contains(t, got.stderr, c.says, c.args)
		require.Empty(t, got.stdout, c.args)
	}
}

// TestMonitorListensFirst: V0. Of a view service that has lost its memory and a server
// that starts as fresh as it no new cluster is made, whichever ping comes first, while
// another still serves the old one.
func TestMonitorListensFirst(t *testing.T) {
	p := startDaemon(t, monitorSpec(t, "--dead-pings", "100")) // long enough for two pings
	c := monitorClient(t, p)
	fresh, err := c.PingServer(t.Context(), sysmonitor.PingArgs{Me: "fresh", Incarnation: 9, Seq: 1})
	require.NoError(t, err)
	require.Zero(t, fresh.View)
	_, err = c.PingServer(t.Context(), sysmonitor.PingArgs{Me: "b", Incarnation: 5, Seq: 100, Viewnum: 2, Cluster: 7})
	require.ErrorIs(t, err, kv.ErrLostMemory)

	p = startDaemon(t, monitorSpec(t))
	c = monitorClient(t, p)
	var v sysmonitor.View
	for seq := uint64(1); v.Viewnum == 0; seq++ {
		reply, err := c.PingServer(t.Context(), sysmonitor.PingArgs{Me: "fresh", Incarnation: 9, Seq: seq})
		require.NoError(t, err)
		if v = reply.View; v.Viewnum == 0 {
			time.Sleep(reply.PingInterval)
		}
	}
	require.Equal(t, "fresh", v.Primary)
}

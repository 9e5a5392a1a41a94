//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/kvservice"
)

// processCluster is a view service and servers, each a process.
type processCluster struct {
	t       *testing.T
	monitor string // its address
	specs   []cluster.Spec
	servers []*cluster.Process
}

// startProcesses starts a view service, and servers that come to be primary, backup
// in sync, and idle.
func startProcesses(t *testing.T, servers int) *processCluster {
	t.Helper()
	// The dead time is long: a busy machine must not look like a death.
	m := startDaemon(t, monitorSpec(t, "--dead-pings", "200"))
	c := &processCluster{t: t, monitor: m.Ready().Addr}
	for i := range servers {
		s := c.start()
		eventually(t, func() bool {
			primary, self := c.status(c.servers[0]), c.status(s)
			return self.View.Viewnum > 0 && primary.Active && (i == 0 || primary.BackupInSync)
		}, "server %d", i)
	}
	return c
}

// start starts one more server.
func (c *processCluster) start(args ...string) *cluster.Process {
	c.t.Helper()
	spec := daemonSpec(c.t, "server", append([]string{"--listen", "127.0.0.1:0", "--monitor", c.monitor}, args...)...)
	p := startDaemon(c.t, spec)
	c.specs, c.servers = append(c.specs, spec), append(c.servers, p)
	return p
}

func (c *processCluster) status(p *cluster.Process) kvservice.Status {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	st, err := kvservice.ReadStatus(ctx, p.Ready().Reach())
	require.NoError(c.t, err)
	return st
}

func (c *processCluster) tandem(args ...string) ran {
	return tandem(c.t, append(args, "--monitor", c.monitor)...)
}

func TestServerSaysWhoItIs(t *testing.T) {
	t.Parallel()
	c := startProcesses(t, 0)
	ready := c.start().Ready()
	require.Equal(t, "server", ready.Role)
	require.Equal(t, ready.Addr, ready.Advertise)
	_, port, err := net.SplitHostPort(ready.Addr)
	require.NoError(t, err)
	require.NotEqual(t, "0", port)
	st := c.status(c.servers[0])
	require.Equal(t, ready.PID, st.PID)
	require.Equal(t, ready.Incarnation, fmt.Sprintf("%x", st.Server.Incarnation))

	known := c.start("--advertise", "localhost:0").Ready()
	_, port, err = net.SplitHostPort(known.Addr)
	require.NoError(t, err)
	require.Equal(t, "localhost:"+port, known.Advertise)
	require.Equal(t, known.Advertise, c.status(c.servers[1]).Server.Addr)
}

// V11: a primary that is told to leave hands over, and clients do not notice.
func TestServerHandsOverAndLeaves(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(p *cluster.Process) error{
		"told so":    (*cluster.Process).Leave,
		"by SIGTERM": func(p *cluster.Process) error { return syscall.Kill(p.Ready().PID, syscall.SIGTERM) },
		"by SIGINT":  func(p *cluster.Process) error { return syscall.Kill(p.Ready().PID, syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startProcesses(t, 2)
			client := kvservice.MakeKVClient(c.monitor)
			defer client.Close()
			require.NoError(t, client.PutContext(t.Context(), "n", ""))
			stop, stopped := make(chan struct{}), make(chan error, 1)
			written := 0
			go func() {
				for {
					select {
					case <-stop:
						stopped <- nil
						return
					default:
					}
					if err := client.AppendContext(t.Context(), "n", "x"); err != nil {
						stopped <- err
						return
					}
					written++
				}
			}()
			require.NoError(t, leave(c.servers[0]))
			require.Equal(t, cluster.End{}, awaitEnd(t, c.servers[0]), logOf(t, c.specs[0]))
			close(stop)
			require.NoError(t, <-stopped)
			value, err := client.GetContext(t.Context(), "n")
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("x", written), value)
			require.Equal(t, "primary", c.status(c.servers[1]).Role)
			require.Contains(t, logOf(t, c.specs[0]), `msg="left in order"`)
		})
	}
}

// What only one server has is not given up at a first word.
func TestTheOnlyServerWaitsForABackupUnlessToldTwice(t *testing.T) {
	t.Parallel()
	c := startProcesses(t, 1)
	only := c.servers[0]
	require.NoError(t, syscall.Kill(only.Ready().PID, syscall.SIGTERM))
	eventually(t, func() bool { return strings.Contains(logOf(t, c.specs[0]), "there is no backup") }, "what it waits for")
	require.Regexp(t, `level=WARN msg="still leaving; a further signal ends .* lost" waits="it is the primary and there is no backup`, logOf(t, c.specs[0]))
	st := c.status(only)
	require.True(t, st.Leaving)
	require.Contains(t, st.LeaveWaitsFor, "no backup")
	require.Equal(t, exitHeld, c.tandem("put", "k", "v").code, "it goes on serving")

	require.NoError(t, syscall.Kill(only.Ready().PID, syscall.SIGTERM))
	end := awaitEnd(t, only)
	require.Equal(t, exitFailed, end.Code)
	require.Contains(t, logOf(t, c.specs[0]), "ended at once, as it was told, without handing over")
}

func TestTheOnlyServerLeavesOnceThereIsABackup(t *testing.T) {
	t.Parallel()
	c := startProcesses(t, 1)
	require.Equal(t, exitHeld, c.tandem("put", "k", "v").code)
	require.NoError(t, c.servers[0].Leave())
	eventually(t, func() bool { return c.status(c.servers[0]).Leaving }, "its leaving")
	c.start()
	require.Equal(t, cluster.End{}, awaitEnd(t, c.servers[0]))
	got := c.tandem("get", "k")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Equal(t, "v", got.stdout)
}

func TestServerLeavesWithinATimeOrEndsAtOnce(t *testing.T) {
	t.Parallel()
	c := startProcesses(t, 0)
	only := c.start("--leave-within", "300ms")
	eventually(t, func() bool { return c.status(only).Active }, "an active view")
	require.NoError(t, only.Leave())
	require.Equal(t, exitFailed, awaitEnd(t, only).Code)
	require.Contains(t, logOf(t, c.specs[0]), "could not leave within 300ms")
}

// One that holds nothing does not wait for a view service that is not there.
func TestServerWithoutDataLeavesAlone(t *testing.T) {
	t.Parallel()
	spec := daemonSpec(t, "server", "--listen", "127.0.0.1:0", "--monitor", filepath.Join(t.TempDir(), "nobody"))
	p := startDaemon(t, spec)
	eventually(t, func() bool { return strings.Contains(logOf(t, spec), "the view service does not answer") }, "the trouble")
	require.NoError(t, p.Leave())
	require.Equal(t, cluster.End{}, awaitEnd(t, p))
	require.Contains(t, logOf(t, spec), "it holds no data")
}

// Nor does one that came back empty to a group that waits for its former self (V9).
func TestServerWithoutDataLeavesAGroupThatIsDown(t *testing.T) {
	t.Parallel()
	c := startProcesses(t, 1)
	addr := c.servers[0].Ready().Reach()
	require.NoError(t, c.servers[0].Kill())
	spec := daemonSpec(t, "server", "--listen", addr, "--monitor", c.monitor)
	again := startDaemon(t, spec)
	eventually(t, func() bool { return c.status(again).View.Viewnum > 0 }, "the view")
	require.NoError(t, again.Leave())
	require.Equal(t, cluster.End{}, awaitEnd(t, again), logOf(t, spec))
	require.Contains(t, logOf(t, spec), "still leaving; it holds no data")
	require.NotContains(t, logOf(t, spec), "is lost")
}

// The end of its standard input ends a server, so that it does not outlive who
// started it.
func TestServerEndsWithItsStandardInput(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, "server", "--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:1", "--until-eof")
	var log strings.Builder
	cmd.Stderr = &log
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	line := make([]byte, 256)
	n, err := stdout.Read(line)
	require.NoError(t, err)
	require.Regexp(t, `^server listening on 127\.0\.0\.1:\d+, process `+fmt.Sprint(cmd.Process.Pid)+`\n$`, string(line[:n]))
	require.NoError(t, stdin.Close())
	rest, err := io.ReadAll(stdout)
	require.NoError(t, err)
	require.Empty(t, rest)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitFailed, exit.ExitCode(), log.String())
	require.Contains(t, log.String(), "ended at once")
}

// At the default level, a healthy cluster logs a line for each view and each pair
// in sync at each server, and departures.
func TestServersOfAHealthyClusterLogViewsAndRoles(t *testing.T) {
	c := startProcesses(t, 3)
	for i := range 50 {
		require.Equal(t, exitHeld, c.tandem("put", fmt.Sprint(i), "v").code)
	}
	require.NoError(t, c.servers[0].Leave())
	require.Equal(t, cluster.End{}, awaitEnd(t, c.servers[0]))
	eventually(t, func() bool { st := c.status(c.servers[1]); return st.BackupInSync && st.Active }, "the next pair")
	eventually(t, func() bool { return c.status(c.servers[2]).Active }, "the backup's word of it")
	// Who stands by learns by its pings, and may hear of view 4 before it has heard of 3.
	for i, views := range [][]int{{1, 2}, {2, 3, 4}, {2, 4}} {
		log := strings.TrimSpace(logOf(t, c.specs[i]))
		for _, n := range views {
			require.Regexp(t, fmt.Sprintf(`msg=view .*number=%d .*why="`, n), log)
		}
		once := make(map[string]bool)
		for line := range strings.Lines(log) {
			if strings.Contains(line, `msg="the view service `) {
				continue // a ping was answered late: the machine is busy
			}
			about := regexp.MustCompile(`level=INFO msg=("in sync" .* view=\d+|view .* number=\d+|leaving|"left in order")`).FindString(line)
			require.NotEmpty(t, about, "server %d: %s", i, line)
			require.False(t, once[about], "server %d: twice: %s", i, line)
			once[about] = true
		}
	}
}

func TestValuesMayBeLargerIfAllAreTold(t *testing.T) {
	t.Parallel()
	c := startProcesses(t, 0)
	c.start("--max-value", "20MiB")
	value := strings.Repeat("x", 18<<20)
	put := func(args ...string) ran {
		return tandemReading(t.Context(), strings.NewReader(value), append([]string{"put", "k", "-", "--monitor", c.monitor}, args...)...)
	}
	refused := put()
	require.NotEqual(t, exitHeld, refused.code)
	require.Contains(t, refused.stderr, "more than 16777216 bytes")
	done := put("--max-value", "20MiB")
	require.Equal(t, exitHeld, done.code, done.stderr)
	got := c.tandem("get", "k")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.True(t, value == got.stdout, "%d bytes", len(got.stdout))
	require.Equal(t, exitUsage, put("--max-value", "0").code)
}

func TestServerDoesNotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().String()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--listen " + taken, exitFailed, "listen on " + taken + ": "},
		{"--listen 0.0.0.0:7001", exitUsage, "--listen 0.0.0.0:7001: is every address of this host"},
		{"--listen [::]:7001", exitUsage, "say with --advertise"},
		{"--listen :7001", exitUsage, "say with --advertise"},
		{"--listen here", exitUsage, `--listen "here": must be host:port`},
		{"--listen 127.0.0.1:", exitUsage, "must be host:port"},
		{"--advertise kv1", exitUsage, `--advertise "kv1": must be host:port`},
		{"--advertise :7001", exitUsage, "--advertise :7001: names no host"},
		{"--advertise 0.0.0.0:7001", exitUsage, "names no host"},
		{"--listen ./socket --advertise kv1:0", exitUsage, "port 0 stands for the one"},
		{"--monitor ,", exitUsage, `--monitor ",": names no address`},
		{"--monitor kv1", exitUsage, `--monitor "kv1": must be host:port`},
		{"--monitor kv1:7000,kv2", exitUsage, `--monitor "kv2": must be host:port`},
		{"--route a:1", exitUsage, `--route "a:1"`},
		{"--max-value 16XB", exitUsage, "must be a number of bytes"},
		{"--max-value 0", exitUsage, "--max-value: must be more than nothing"},
		{"--max-conns -1", exitUsage, "--max-conns: must be more than nothing"},
		{"--session-ttl 0s", exitUsage, "--session-ttl: must be more than nothing"},
		{"--leave-within -1s", exitUsage, "--leave-within -1s"},
		{"--lease 300ms", exitUsage, "lease 300ms, grace 0s"},
		{"--log-level loud", exitUsage, "loud"},
		{"extra", exitUsage, "extra"},
	} {
		got := tandem(t, append([]string{"server", "--listen", "127.0.0.1:0"}, strings.Fields(c.args)...)...)
		require.Equal(t, c.code, got.code, "%s: %s", c.args, got.stderr)
		require.Contains(t, got.stderr, c.says, c.args)
		require.Empty(t, got.stdout, c.args)
	}
}

func TestByteSizes(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "65536": 64 << 10, "64KiB": 64 << 10, "16 MiB": 16 << 20, "2GiB": 2 << 30, "5kB": 5000, "3MB": 3e6, "1GB": 1e9, "7B": 7} {
		var s byteSize
		require.NoError(t, s.Set(text), text)
		require.Equal(t, want, int(s), text)
		again := byteSize(1)
		require.NoError(t, again.Set(s.String()))
		require.Equal(t, s, again, "%s is written as %s", text, &s)
	}
	for _, text := range []string{"", "x", "-1", "1.5MiB", "1 TiB", "9223372036854775807KiB", "MiB"} {
		var s byteSize
		require.Error(t, s.Set(text), text)
		require.Zero(t, s, text)
	}
}

//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/kvservice"
)

// upProcess is a process of the command up, and what it has told.
type upProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	runDir string
	ended  chan struct{} // closed when it has ended, and told all
	stderr strings.Builder

	mu     sync.Mutex
	events []cluster.Event
}

// startUp starts tandem up, with its events in JSON. It is killed when the test
// ends, and with it all that it started.
func startUp(t *testing.T, stdin io.Reader, args ...string) *upProcess {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	u := &upProcess{t: t, runDir: t.TempDir(), ended: make(chan struct{})}
	// The dead time is long: a busy machine must not look like a death.
	u.cmd = exec.Command(exe, append([]string{"up", "--json", "--run-dir", u.runDir, "--dead-pings", "50"}, args...)...)
	u.cmd.Stdin = stdin
	u.cmd.Stderr = &u.stderr
	out, err := u.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, u.cmd.Start())
	go func() {
		defer close(u.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			u.note(lines.Bytes())
		}
		u.cmd.Wait() // its state tells
	}()
	t.Cleanup(func() {
		u.cmd.Process.Kill()
		<-u.ended
		for pid := range u.pids() {
			eventually(t, func() bool { return gone(pid) }, "the end of process %d", pid)
		}
	})
	return u
}

// threeServers returns the file of a cluster as there is one without a file, but for
// the port of its view service: clusters that start at once would all find the usual
// one free, and one of them would get it.
func threeServers(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.toml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("[[server]]\n", 3)), 0o600))
	return file
}

func (u *upProcess) note(line []byte) {
	var e cluster.Event
	if err := json.Unmarshal(line, &e); err != nil {
		e = cluster.Event{Text: fmt.Sprintf("%q is no event: %v", line, err)}
		u.t.Error(e.Text)
	}
	u.t.Log(e)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.events = append(u.events, e)
}

// await returns the first event from the given one on that is as wanted, and its
// place.
func (u *upProcess) await(from int, what string, wanted func(cluster.Event) bool) (cluster.Event, int) {
	u.t.Helper()
	var found cluster.Event
	eventually(u.t, func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		for ; from < len(u.events); from++ {
			if wanted(u.events[from]) {
				found = u.events[from]
				return true
			}
		}
		return false
	}, what)
	return found, from
}

// inSync is an active view with a backup, which is the last that a cluster comes to.
func inSync(e cluster.Event) bool { return e.Kind == cluster.ViewActive && e.Backup != "" }

// inSyncAfter is such a view later than another. That the death of a process is told
// may come after the view that its death brought about.
func inSyncAfter(view cluster.Event) func(cluster.Event) bool {
	return func(e cluster.Event) bool { return inSync(e) && e.View > view.View }
}

// started is the start of a process.
func started(name string) func(cluster.Event) bool {
	return func(e cluster.Event) bool { return e.Kind == cluster.Started && e.Name == name }
}

// pids returns the process ids of all that was ever started.
func (u *upProcess) pids() map[int]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	pids := make(map[int]bool)
	for _, e := range u.events {
		if e.Kind == cluster.Started {
			pids[e.PID] = true
		}
	}
	return pids
}

// status waits for the end and returns the exit status.
func (u *upProcess) status() int {
	u.t.Helper()
	select {
	case <-u.ended:
	case <-time.After(patience):
		u.t.Fatal("it does not end")
	}
	return u.cmd.ProcessState.ExitCode()
}

// gone reports whether there is no such process, or only what is left of one until
// its parent has heard of its end.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(state, "Z")
}

func TestUp(t *testing.T) {
	t.Parallel()
	tables := filepath.Join(t.TempDir(), "tables")
	u := startUp(t, nil, "--dump", tables, "--config", threeServers(t)) // with no input: its end means nothing
	first, at := u.await(0, "a backup in sync", inSync)
	monitor, _ := u.await(0, "the view service", started("monitor"))
	c := kvservice.MakeKVClient(monitor.Addr)
	defer c.Close()
	require.NoError(t, c.PutContext(t.Context(), "greeting", "hello"))

	// The primary dies, and comes back as another life at its address.
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGKILL))
	died, at := u.await(at, "its end", func(e cluster.Event) bool { return e.Kind == cluster.Ended })
	require.Equal(t, fmt.Sprintf("%s (pid %d): killed by SIGKILL", first.Primary, first.PID), died.Text)
	back, _ := u.await(at, "its return", started(first.Primary))
	require.Equal(t, died.Addr, back.Addr)
	second, _ := u.await(0, "a backup in sync", inSyncAfter(first))
	require.NotEqual(t, first.Primary, second.Primary)
	value, err := c.GetContext(t.Context(), "greeting")
	require.NoError(t, err)
	require.Equal(t, "hello", value)

	// The view service dies, and goes on from its views.
	require.NoError(t, syscall.Kill(monitor.PID, syscall.SIGKILL))
	again, at := u.await(at, "the view service's return", started("monitor"))
	require.Equal(t, monitor.Addr, again.Addr)
	require.NoError(t, syscall.Kill(second.PID, syscall.SIGKILL))
	third, _ := u.await(at, "a backup in sync", inSyncAfter(second))
	require.NoError(t, c.PutContext(t.Context(), "raw", "\xff"))

	require.NoError(t, u.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, exitHeld, u.status(), u.stderr.String())
	require.Empty(t, u.stderr.String())
	const greeting, raw = `{"key":"greeting","value":"hello"}` + "\n", `{"key":"raw","value_base64":"/w=="}` + "\n"
	for i := range 3 {
		table, err := os.ReadFile(filepath.Join(tables, tableFile(i)))
		require.NoError(t, err)
		switch fmt.Sprintf("server-%d", i+1) {
		case third.Primary:
			require.Equal(t, greeting+raw+`{"end":true,"pairs":2}`+"\n", string(table))
		case third.Backup: // which may not know yet that the last is committed
			require.Contains(t, string(table), greeting)
		}
	}
	log, err := os.ReadFile(filepath.Join(u.runDir, "events.log"))
	require.NoError(t, err)
	require.Equal(t, len(u.events), strings.Count(string(log), "\n"))
	for pid := range u.pids() {
		require.True(t, gone(pid))
	}
}

func TestUpIsKilled(t *testing.T) {
	t.Parallel()
	u := startUp(t, nil)
	u.await(0, "a backup in sync", inSync)
	// One does not even hear of it: it is frozen.
	third, _ := u.await(0, "the third server", started("server-3"))
	require.NoError(t, syscall.Kill(third.PID, syscall.SIGSTOP))
	require.NoError(t, u.cmd.Process.Kill())
	u.status()
	pids := u.pids()
	require.Len(t, pids, 4)
	for pid := range pids {
		if pid != third.PID {
			eventually(t, func() bool { return gone(pid) }, "the end of process %d", pid)
		}
	}
	require.NoError(t, syscall.Kill(third.PID, syscall.SIGCONT))
}

func TestUpEndsAtOnce(t *testing.T) {
	t.Parallel()
	u := startUp(t, nil, "--config", threeServers(t))
	active, _ := u.await(0, "a backup in sync", inSync)
	u.await(0, "the last server", started("server-3")) // who starts is not asked to leave
	backup, _ := u.await(0, "the backup's start", started(active.Backup))
	require.NoError(t, syscall.Kill(backup.PID, syscall.SIGSTOP)) // it will not leave
	require.NoError(t, u.cmd.Process.Signal(syscall.SIGTERM))
	u.await(0, "that it is asked to", func(e cluster.Event) bool { return e.Kind == cluster.Leaving && e.PID == backup.PID })
	require.NoError(t, u.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitFailed, u.status())
	require.Contains(t, u.stderr.String(), "ended at once, as it was told")
	for pid := range u.pids() {
		require.True(t, gone(pid))
	}
}

func TestUpThatCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "cluster.toml")
	require.NoError(t, os.WriteFile(file, []byte("[[server]]\n[[server]]\nport = "+port+"\n"), 0o600))
	u := startUp(t, nil, "--config", file)
	require.Equal(t, exitFailed, u.status())
	require.Contains(t, u.stderr.String(), "server-2 ended before it was ready: exit status 3")
	require.Contains(t, u.stderr.String(), "address already in use")
	require.Len(t, u.pids(), 2)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, tableFile(2)), nil, 0o600))
	got := tandem(t, "up", "--dump", dir, "--run-dir", t.TempDir())
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "would be overwritten")

	require.NoError(t, os.Mkdir(filepath.Join(dir, "monitor-data"), 0o700))
	got = tandem(t, "up", "--run-dir", dir)
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "earlier run")
}

func TestUpMisunderstood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.toml")
	require.NoError(t, os.WriteFile(file, []byte("[[server]]\nport = 70000\n"), 0o600))
	for want, args := range map[string][]string{
		"--servers 0: must be":                   {"--servers", "0"},
		"--servers 65: must be":                  {"--servers", "65"},
		"--servers 2: the file of --config says": {"--servers", "2", "--config", file},
		"[[server]] 1: port = 70000":             {"--config", file},
		"no such file":                           {"--config", file + "s"},
		`--log-level "loud"`:                     {"--log-level", "loud"},
		"--ping-interval -1s":                    {"--ping-interval", "-1s"},
		"--dead-pings -1":                        {"--dead-pings", "-1"},
		"up takes no arguments":                  {"cluster.toml"},
	} {
		got := tandem(t, append([]string{"up"}, args...)...)
		require.Equal(t, exitUsage, got.code, want)
		require.Contains(t, got.stderr, want)
		require.Empty(t, got.stdout)
	}

	// What only the view service can tell.
	u := startUp(t, nil, "--ping-interval", "1ms")
	require.Equal(t, exitUsage, u.status())
	require.Contains(t, u.stderr.String(), "ping interval 1ms is below 4ms")
}

func TestHints(t *testing.T) {
	told := func(json bool, monitor string, typing bool) string {
		var w strings.Builder
		p, err := newEventPrinter(&w, t.TempDir(), json, false)
		require.NoError(t, err)
		p.hints(monitor, cluster.Event{Primary: "server-2", PID: 42}, typing)
		require.NoError(t, p.close())
		return w.String()
	}
	text := told(false, defaultMonitor, true)
	require.Regexp(t, `put greeting hello\n  kill -9 42 +# server-2, the primary\n.* get greeting\n.* status\n`, text)
	require.NotContains(t, text, "--monitor")
	require.Contains(t, text, "Ctrl-C or Ctrl-D ends it")
	text = told(false, "127.0.0.1:1234", false)
	require.Contains(t, text, " get greeting --monitor 127.0.0.1:1234\n")
	require.Contains(t, text, "\nCtrl-C ends it")
	require.Empty(t, told(true, defaultMonitor, true))
}

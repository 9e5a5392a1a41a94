package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// shellTerminal is a shell in a process of its own, at a terminal at which a test types.
type shellTerminal struct {
	t      *testing.T
	keys   *os.File // where the test types
	tty    *os.File
	cmd    *exec.Cmd
	screen lines // all that was shown
	seen   int   // how much of it was expected
	ended  chan error
}

const (
	keyUp    = "\x1b[A"
	keyTab   = "\t"
	keyEnter = "\r"
	ctrlC    = "\x03"
	ctrlD    = "\x04"
	ctrlR    = "\x12"
)

// atTerminal starts a shell on a cluster. What it keeps is under a directory.
func (c *localCluster) atTerminal(home, term string, more ...string) *shellTerminal {
	c.t.Helper()
	t := c.t
	keys, tty := terminal(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, c.args("shell", more...)...)
	cmd.Env = append(os.Environ(), "TERM="+term, "HOME="+home, "XDG_STATE_HOME=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	x := &shellTerminal{t: t, keys: keys, tty: tty, cmd: cmd, ended: make(chan error, 1)}
	x.stty("rows", "24", "columns", "100")
	require.NoError(t, cmd.Start())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			x.screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { x.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		tty.Close() // and so nothing more comes
		<-shown
		if t.Failed() {
			t.Logf("on the terminal: %q", x.screen.String())
		}
	})
	return x
}

// types presses keys.
func (x *shellTerminal) types(keys string) {
	x.t.Helper()
	_, err := x.keys.WriteString(keys)
	require.NoError(x.t, err)
}

// shows waits until something is shown that was not before.
func (x *shellTerminal) shows(text string) {
	x.t.Helper()
	eventually(x.t, func() bool {
		rest := x.screen.String()[x.seen:]
		at := strings.Index(rest, text)
		if at >= 0 {
			x.seen += at + len(text)
		}
		return at >= 0
	}, "%q on the terminal, after %q", text, x.screen.String()[x.seen:])
}

// stty sets how the terminal is, or tells it.
func (x *shellTerminal) stty(args ...string) string {
	x.t.Helper()
	cmd := exec.Command("stty", args...)
	cmd.Stdin = x.tty
	out, err := cmd.Output()
	require.NoError(x.t, err)
	return string(out)
}

// ends waits for the end and returns the status.
func (x *shellTerminal) ends() int {
	x.t.Helper()
	err := <-x.ended
	if exit := new(exec.ExitError); err != nil {
		require.ErrorAs(x.t, err, &exit)
		return exit.ExitCode()
	}
	return exitHeld
}

func TestShellAtATerminal(t *testing.T) {
	c := startLocalCluster(t, 1)
	home := t.TempDir()
	x := c.atTerminal(home, "xterm")
	x.shows("view service: " + c.monitor.Addr())
	x.shows(shellPrompt)

	x.types(`P "greeting" "hello, world"` + keyEnter)
	x.shows("done  (")
	x.shows("s)\r\n")
	x.shows(shellPrompt)
	x.types("G gr" + keyTab)
	x.shows("G greeting ")
	x.types(keyEnter)
	x.shows(`"hello, world"  (`)
	x.shows(shellPrompt)
	x.types("del" + keyTab)
	x.shows("delete ")
	x.types("gr" + keyTab + keyEnter)
	x.shows("done  (")

	// What was typed comes back.
	x.shows(shellPrompt)
	x.types(keyUp + keyUp)
	x.shows("G greeting ")
	x.types(keyEnter)
	x.shows("absent  (")
	x.shows(shellPrompt)
	x.types(ctrlR + "hello,")
	x.shows("reverse-i-search")
	x.types(keyEnter)
	x.shows("done  (")
	x.shows(shellPrompt)
	x.types("keys" + keyEnter)
	x.shows("\"greeting\"\r\n1 key  (")

	// Mistakes and second thoughts end nothing.
	x.shows(shellPrompt)
	x.types("nonsense" + keyEnter)
	x.shows(`there is no command "nonsense"`)
	x.shows(shellPrompt)
	x.types("put half a" + ctrlC)
	x.shows(howToLeave)
	x.shows(shellPrompt)
	x.types("get greeting" + keyEnter)
	x.shows(`"hello, world"  (`)
	x.shows(shellPrompt)
	x.types(ctrlD)
	require.Equal(t, exitHeld, x.ends())

	kept := filepath.Join(home, ".local", "state", "tandem", "history")
	info, err := os.Stat(kept)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "P \"greeting\" \"hello, world\"\nG greeting \ndelete greeting \nG greeting \n"), "%q", text)
	require.NotContains(t, string(text), "half", "it was not entered")

	again := c.atTerminal(home, "xterm")
	again.shows(shellPrompt)
	again.types(keyUp)
	again.shows("get greeting")
	again.types(keyEnter)
	again.shows(`"hello, world"  (`)
	again.shows(shellPrompt)
	again.types("exit" + keyEnter)
	require.Equal(t, exitHeld, again.ends())
}

func TestShellInterruptEndsWhatIsUnderWayAndNoMore(t *testing.T) {
	t.Parallel()
	c := startLocalCluster(t, 1)
	lossy, swallowed := swallower(t, c.servers[0].Addr())
	x := c.atTerminal(t.TempDir(), "xterm", "--timeout", "0", "--history=", "--route", c.servers[0].Addr()+"="+lossy)
	x.shows(shellPrompt)
	for range 2 { // the second would have ended the process
		x.types(`put k "` + swallow + `"` + keyEnter)
		<-swallowed
		x.shows("still trying: ")
		x.types(ctrlC)
		x.shows("interrupted: ")
		x.shows("outcome unknown")
		x.shows(shellPrompt)
	}
	x.types("exit" + keyEnter)
	require.Equal(t, exitHeld, x.ends())
}

func TestShellLeavesTheTerminalAsItWas(t *testing.T) {
	c := startLocalCluster(t, 1)
	for name, end := range map[string]func(x *shellTerminal){
		"Ctrl-D":  func(x *shellTerminal) { x.types(ctrlD) },
		"exit":    func(x *shellTerminal) { x.types("exit" + keyEnter) },
		"SIGTERM": func(x *shellTerminal) { require.NoError(t, x.cmd.Process.Signal(syscall.SIGTERM)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, fresh := terminal(t)
			before := (&shellTerminal{t: t, tty: fresh}).stty("-g")
			x := c.atTerminal(t.TempDir(), "xterm", "--history=")
			x.t = t
			x.shows(shellPrompt)
			during := x.stty("-g")
			end(x)
			require.Equal(t, exitHeld, x.ends())
			require.Equal(t, before, x.stty("-g"))
			require.NotEqual(t, before, during, "or there was nothing to put back")
		})
	}
}

// A terminal that cannot move its cursor edits no lines, and is of use all the same.
func TestShellAtADumbTerminal(t *testing.T) {
	c := startLocalCluster(t, 1)
	x := c.atTerminal(t.TempDir(), "dumb", "--history=")
	x.shows(shellPrompt)
	x.types("put k v\n")
	x.shows("done  (")
	x.shows(shellPrompt)
	x.types(ctrlC)
	x.shows(howToLeave + "\r\n" + shellPrompt)
	x.types("get k\n")
	x.shows(`"v"  (`)
	x.types(ctrlD)
	require.Equal(t, exitHeld, x.ends())
}

func TestHistoryIsNoReasonToStop(t *testing.T) {
	c := startLocalCluster(t, 1)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, where := range []string{dir, filepath.Join(file, "below")} {
		x := c.atTerminal(dir, "xterm", "--history", where)
		x.shows("what is typed will not be remembered: ")
		x.shows(shellPrompt)
		x.types("put k v" + keyEnter)
		x.shows("done  (")
		x.shows(shellPrompt)
		x.types(ctrlD)
		require.Equal(t, exitHeld, x.ends())
	}
}

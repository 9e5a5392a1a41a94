//go:build unix

package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// partVariable tells a copy of this test binary to play a part, and nothing
// else. Its name does not begin as those of the settings do, which children do
// not get.
const partVariable = "CLUSTER_TEST_PART"

func TestMain(m *testing.M) {
	switch part := os.Getenv(partVariable); part {
	case "":
	case "tandem":
		os.Exit(playTandem(os.Args[1:]))
	default:
		os.Exit(play(part))
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// part returns the spec of a process that plays a part.
func part(t *testing.T, name string, args ...string) Spec {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return Spec{
		Name: name,
		Argv: Daemon(exe, name, args...),
		Env:  []string{partVariable + "=" + name},
		Log:  filepath.Join(t.TempDir(), name+".log"),
	}
}

// begin starts a process that is killed when the test ends.
func begin(t *testing.T, spec Spec) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := Start(ctx, spec)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	return p
}

// awaitEnd waits for the end of a process.
func awaitEnd(t *testing.T, p *Process) End {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("%s has not ended", p.Name())
	}
	end, ended := p.Ended()
	require.True(t, ended)
	return end
}

// gone reports whether there is no such process, or only what is left of one
// until its parent has heard of its end.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return os.IsNotExist(err) && dirExists("/proc/self")
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

func dirExists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// play is what the copies do. Its result is the exit status.
func play(part string) int {
	switch part {
	case "obedient": // says that it is ready, and follows orders
		fmt.Println("Welcome to this host.")
		fmt.Println(strings.Repeat("x", 3*readyMax))
		sayReady()
		fmt.Fprintln(os.Stderr, "arguments", os.Args[1:], "settings", slices.ContainsFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TANDEM_") }))
		orders := bufio.NewScanner(os.Stdin)
		for orders.Scan() {
			fmt.Fprintln(os.Stderr, "order", orders.Text())
			if orders.Text() == "leave" {
				return 0
			}
		}
		return 5
	case "hasty": // ready, and ended at once
		sayReady()
		fmt.Fprint(os.Stderr, "one\ntwo\n\nthree\nfour\n")
		return 4
	case "broken":
		fmt.Fprintln(os.Stderr, "cannot listen on 1.2.3.4:5")
		return 3
	case "silent": // never ready
		fmt.Println("what is it?")
		fmt.Fprintln(os.Stderr, "thinking")
		io.Copy(io.Discard, os.Stdin)
		return 0
	case "stubborn": // notices nothing but a kill
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		sayReady()
		time.Sleep(patience)
		return 6
	case "parent": // has a child, behind what its arguments say; tells its process id, and does not end by itself
		spec := Spec{Name: "child", Argv: append(os.Args[4:], Daemon(os.Args[0], "obedient")...), Env: []string{partVariable + "=obedient"}}
		child, err := Start(context.Background(), spec)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Printf(`{"role":"server","addr":"child %d","pid":%d}`+"\n", child.Ready().PID, os.Getpid())
		time.Sleep(patience)
		return 6
	}
	fmt.Fprintf(os.Stderr, "no such part: %q\n", part)
	return 1
}

func sayReady() {
	fmt.Printf(`{"role":"server","addr":"127.0.0.1:1","advertise":"host:1","pid":%d,"incarnation":"1f"}`+"\n", os.Getpid())
}

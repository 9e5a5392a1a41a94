package main

import (
	"context"
	"flag"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/sysmonitor"
)

// asCommand, in the environment, has this test binary be the command: a process of
// the same code, without a build. Its name does not begin as those of the settings
// do, which children do not get.
const asCommand = "COMMAND_TEST_AS_COMMAND"

// waitingSideBySide is how many of the tests that call t.Parallel run at once, unless
// -parallel says it. They mostly wait, for processes that listen before they serve and
// for timeouts that they are about, so there are more of them than processors; what they
// wait for is not short, so that they may share these.
const waitingSideBySide = 8

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	// For all that tests start, and for those that the command starts in turn.
	if err := os.Setenv(asCommand, "1"); err != nil {
		log.Fatal(err)
	}
	flag.Parse()
	const parallel = "test.parallel"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == parallel })
	if !given {
		if err := flag.Set(parallel, strconv.Itoa(waitingSideBySide)); err != nil {
			log.Fatal(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// daemonSpec returns what starts a process of a command that serves. Its log is a
// file of the test's.
func daemonSpec(t *testing.T, command string, args ...string) cluster.Spec {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return cluster.Spec{
		Name: command,
		Argv: cluster.Daemon(exe, command, args...),
		Log:  filepath.Join(t.TempDir(), command+".log"),
	}
}

// startDaemon starts a process of a command that serves. It is killed when the test
// ends.
func startDaemon(t *testing.T, spec cluster.Spec) *cluster.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := cluster.Start(ctx, spec)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	return p
}

// monitorSpec starts a view service that is quick, on a free port of the loopback.
func monitorSpec(t *testing.T, args ...string) cluster.Spec {
	return daemonSpec(t, "monitor", append([]string{"--listen", "127.0.0.1:0", "--ping-interval", "20ms"}, args...)...)
}

// monitorClient returns a client of a process that is a view service.
func monitorClient(t *testing.T, p *cluster.Process) *sysmonitor.Client {
	c := sysmonitor.MakeClient("a", p.Ready().Addr)
	t.Cleanup(c.Close)
	return c
}

// logOf returns what a process has logged.
func logOf(t *testing.T, spec cluster.Spec) string {
	t.Helper()
	b, err := os.ReadFile(spec.Log)
	require.NoError(t, err)
	return string(b)
}

// awaitEnd waits for the end of a process.
func awaitEnd(t *testing.T, p *cluster.Process) cluster.End {
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

// eventually waits until it is so.
func eventually(t *testing.T, so func() bool, what string, args ...any) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for "+what, args...)
		}
	}
}

//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProcessTellsWhatItIs(t *testing.T) {
	t.Setenv("TANDEM_MONITOR", "10.0.0.1:7000")
	p := begin(t, part(t, "obedient", "--listen", "a b"))
	require.Equal(t, Ready{Role: "server", Addr: "127.0.0.1:1", Advertise: "host:1", PID: p.Local(), Incarnation: "1f"}, p.Ready())
	require.Equal(t, "host:1", p.Ready().Reach())
	require.Equal(t, "obedient", p.Name())
	_, ended := p.Ended()
	require.False(t, ended)
	require.NoError(t, p.Err())

	require.NoError(t, p.Leave())
	require.Equal(t, End{}, awaitEnd(t, p))
	require.NoError(t, p.Err())
	require.Equal(t, []string{"arguments [obedient --json --until-eof --listen a b] settings false", "order leave"}, p.Tail(9))
	require.Error(t, p.Leave(), "it has ended")
	require.NoError(t, p.Kill(), "which is what was wanted")
}

func TestKill(t *testing.T) {
	p := begin(t, part(t, "stubborn"))
	require.NoError(t, p.Kill())
	end, ended := p.Ended()
	require.True(t, ended)
	require.Equal(t, End{Code: -1, Signal: "SIGKILL"}, end)
	require.EqualError(t, p.Err(), "killed by SIGKILL")
	require.True(t, gone(p.Local()))
	require.NoError(t, p.Kill())
}

func TestEndOfAProcessHasTheEndOfItsLog(t *testing.T) {
	spec := part(t, "hasty")
	require.NoError(t, os.WriteFile(spec.Log, []byte("an earlier life\n"), 0o600))
	p := begin(t, spec)
	require.Equal(t, End{Code: 4, Tail: []string{"two", "three", "four"}}, awaitEnd(t, p))
	require.EqualError(t, p.Err(), "exit status 4: two | three | four")
	require.Equal(t, []string{"one", "two", "three", "four"}, p.Tail(100), "this life's alone")
	b, err := os.ReadFile(spec.Log)
	require.NoError(t, err)
	require.Contains(t, string(b), "an earlier life", "a log is appended to")
}

// TestLogAfterTidyingUp: a run folder that was removed keeps nothing from being
// started again.
func TestLogAfterTidyingUp(t *testing.T) {
	spec := part(t, "hasty")
	spec.Log = filepath.Join(t.TempDir(), "run", "logs", "hasty.log")
	p := begin(t, spec)
	awaitEnd(t, p)
	require.NoError(t, os.RemoveAll(filepath.Dir(filepath.Dir(spec.Log))))
	p = begin(t, spec)
	awaitEnd(t, p)
	require.Equal(t, []string{"four"}, p.Tail(1))
}

func TestStartFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct {
		spec Spec
		want []string
	}{
		"ended":     {part(t, "broken"), []string{"broken ended before it was ready: exit status 3: cannot listen on 1.2.3.4:5"}},
		"no binary": {Spec{Name: "s", Argv: []string{missing}}, []string{"s: start " + missing, "no such file"}},
		"no argv":   {Spec{Name: "s"}, []string{"no command"}},
		"no log":    {Spec{Name: "s", Argv: []string{os.Args[0]}, Log: filepath.Join(file, "log")}, []string{"open its log", file}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(context.Background(), c.spec)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			var end *End
			require.Equal(t, name == "ended", errors.As(err, &end))
		})
	}
}

func TestStartIsGivenUp(t *testing.T) {
	// Whether the log has come by then is not known: both are right.
	ctx, cancel := context.WithTimeoutCause(context.Background(), 2*time.Second, errors.New("2 s are over"))
	defer cancel()
	_, err := Start(ctx, part(t, "silent"))
	require.ErrorContains(t, err, `silent: not ready: 2 s are over`)
	t.Log(err)
}

func TestFreeze(t *testing.T) {
	p := begin(t, part(t, "obedient"))
	require.NoError(t, p.Freeze())
	require.NoError(t, p.Leave())
	select {
	case <-p.Done():
		t.Fatal("it went on while it was frozen")
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, p.Thaw())
	require.Equal(t, End{}, awaitEnd(t, p))
	require.ErrorIs(t, p.Freeze(), os.ErrProcessDone)

	p = begin(t, part(t, "stubborn"))
	require.NoError(t, p.Freeze())
	require.NoError(t, p.Kill(), "a frozen one can be killed")
}

func TestWhatIsNotAChildIsNotFrozen(t *testing.T) {
	spec := part(t, "obedient")
	spec.Argv = append([]string{"/bin/sh", "-c", `"$@"; exit $?`, "sh"}, spec.Argv...)
	p := begin(t, spec)
	require.NotEqual(t, p.Local(), p.Ready().PID)
	require.ErrorIs(t, p.Freeze(), errors.ErrUnsupported)
	require.NoError(t, syscall.Kill(p.Ready().PID, 0), "it runs")

	// What kills the shell ends what it started, by its input.
	require.NoError(t, p.Kill())
	require.Eventually(t, func() bool { return gone(p.Ready().PID) }, patience, 5*time.Millisecond)
}

func TestChildrenEndWithTheirParent(t *testing.T) {
	for name, through := range map[string][]string{
		"directly":        nil,
		"through a shell": {"/bin/sh", "-c", `"$@"; exit $?`, "sh"},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, part(t, "parent", through...))
			var child int
			_, err := fmt.Sscanf(p.Ready().Addr, "child %d", &child)
			require.NoError(t, err)
			require.False(t, gone(child))
			require.NoError(t, p.Kill(), "without a chance to tell its child")
			require.Eventually(t, func() bool { return gone(child) }, patience, 5*time.Millisecond)
		})
	}
}

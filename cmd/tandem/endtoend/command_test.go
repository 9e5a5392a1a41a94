//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// result is what came of a command.
type result struct {
	status         int
	stdout, stderr string
}

// run runs the binary to its end, with settings in its environment.
func run(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.NoError(t, ctx.Err(), "tandem %q does not end", args)
	if exit := new(exec.ExitError); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// requireRun runs a command that has to end so, and to say nothing else.
func requireRun(t *testing.T, status int, stdout string, args ...string) {
	t.Helper()
	require.Equal(t, result{status: status, stdout: stdout}, run(t, nil, args...), "tandem %q", args)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: not in %v", what, patience)
		}
	}
}

// What a command cannot do it says, on standard error and by its exit status, and
// standard output is for answers.
func TestCommandsThatCannot(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	// Nobody listens there, and nobody else gets the port while this holds it.
	closed, err := net.Dial("tcp", taken.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { closed.Close() })
	port, nobody := taken.Addr().String(), closed.LocalAddr().String()

	for _, tc := range []struct {
		name   string
		env    []string
		args   []string
		status int
		says   string
	}{
		{"view service at a port that is taken", nil, []string{"monitor", "--listen", port}, 3, port + ": bind: address already in use"},
		{"server at a port that is taken", nil, []string{"server", "--listen", port}, 3, port + ": bind: address already in use"},
		{"the same by the environment", []string{"TANDEM_LISTEN=" + port}, []string{"server"}, 3, port + ": bind: address already in use"},
		{"view service at no address of this host", nil, []string{"monitor", "--listen", "192.0.2.1:0"}, 3, "192.0.2.1:0"},
		{"views where no directory can be", nil, []string{"monitor", "--listen", "127.0.0.1:0", "--data", "/dev/null/views"}, 3, "/dev/null/views"},
		{"server that nobody could dial", nil, []string{"server", "--listen", "0.0.0.0:0"}, 64, "--advertise"},
		{"no such flag", nil, []string{"server", "--lisen", port}, 64, "--lisen"},
		{"no such command", nil, []string{"sever"}, 64, "sever"},
		{"no number in the environment", []string{"TANDEM_DEAD_PINGS=many"}, []string{"monitor"}, 64, "TANDEM_DEAD_PINGS"},
		{"an argument too many", nil, []string{"get", "a", "b"}, 64, "get"},
		{"a view service that is not there", nil, []string{"get", "key", "--monitor", nobody, "--timeout", "200ms"}, 3, nobody},
		{"an update that nobody was asked for", nil, []string{"put", "key", "value", "--monitor", nobody, "--timeout", "200ms"}, 3, nobody},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, tc.env, tc.args...)
			require.Equal(t, tc.status, got.status, "%+v", got)
			require.Contains(t, got.stderr, tc.says)
			require.Empty(t, got.stdout)
		})
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// terminal returns both sides of a pseudo-terminal: where a person types, and what a
// command has for its standard input.
func terminal(t *testing.T) (person, command *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { person.Close() })
	var number, unlocked int32
	for request, arg := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlocked, syscall.TIOCGPTN: &number} {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(arg)))
		require.Zero(t, errno)
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { command.Close() })
	return person, command
}

// TestStartOverAtATerminal: what is typed in decides.
func TestStartOverAtATerminal(t *testing.T) {
	dir, v := keptViews(t)
	typing := func(line string) ran {
		person, command := terminal(t)
		_, err := io.WriteString(person, line)
		require.NoError(t, err)
		return tandemReading(t.Context(), command, "monitor", "start-over", "--data", dir)
	}
	for _, line := range []string{"yes\n", "\n", fmt.Sprintf("%x0\n", v.Cluster), "\x04"} {
		unchanged(t, dir, func() {
			got := typing(line)
			require.Equal(t, exitBroken, got.code, "%q", line)
			require.Contains(t, got.stderr, "WITH ALL ITS DATA. If you mean it, type its id: That is not it. Nothing was changed.")
		})
	}
	got := typing(fmt.Sprintf("%x\n", v.Cluster))
	require.Equal(t, exitHeld, got.code)
	require.Contains(t, got.stdout, "Given up.")
}

package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNurseryLeavesNothing(t *testing.T) {
	n, err := newNursery(t.TempDir())
	require.NoError(t, err)
	asleep, err := n.start("asleep", "sleep", "1000")
	require.NoError(t, err)
	_, err = n.start("none", "/there/is/no/such/program")
	require.ErrorContains(t, err, "start none: ")
	require.NoError(t, asleep.ended())

	require.NoError(t, n.close())
	assert.ErrorIs(t, syscall.Kill(asleep.pid, 0), syscall.ESRCH)
	assert.ErrorContains(t, asleep.ended(), "asleep has ended (signal: killed)")
	assert.NoDirExists(t, n.dir)
	asleep.kill() // once more does no harm
}

// Who waits for a process that has ended is told so at once, with what it said last.
func TestAwaitTellsWhatEnded(t *testing.T) {
	n, err := newNursery(t.TempDir())
	require.NoError(t, err)
	defer func() { assert.NoError(t, n.close()) }()
	c, err := n.start("short", "sh", "-c", "echo there is no room; exit 7")
	require.NoError(t, err)
	<-c.done
	err = await(t.Context(), "it to serve", func(context.Context) error { return errors.New("refused") }, c)
	assert.EqualError(t, err, "wait for it to serve: short has ended (exit status 7): there is no room")
}

func TestTicks(t *testing.T) {
	before, err := ticks([]int{os.Getpid()})
	require.NoError(t, err)
	for now := before; now == before; { // who is busy uses time
		now, err = ticks([]int{os.Getpid()})
		require.NoError(t, err)
		require.GreaterOrEqual(t, now, before)
	}
	_, err = ticks([]int{-1})
	assert.Error(t, err)
}

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/sysmonitor"
)

// TestMonitorOnAFullDisk: V10. It announces nothing that it cannot keep, says so
// once, and goes on when there is room.
func TestMonitorOnAFullDisk(t *testing.T) {
	t.Run("in place of the file", func(t *testing.T) {
		dir := t.TempDir()
		part := filepath.Join(dir, "views.part")
		testFullDisk(t, dir, func() {
			require.NoError(t, os.Symlink("/dev/full", part)) // which has no room, ever
		}, func() { require.NoError(t, os.Remove(part)) })
	})
	t.Run("a small file system", func(t *testing.T) {
		dir := t.TempDir()
		err := syscall.Mount("tandem-test", dir, "tmpfs", 0, "size=16k")
		if errors.Is(err, syscall.EPERM) {
			t.Log("no file system may be mounted here; what a full disk does was seen without")
			return
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
		ballast := filepath.Join(dir, "ballast")
		testFullDisk(t, dir, func() {
			f, err := os.Create(ballast)
			require.NoError(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 1024))
			}
			require.ErrorIs(t, err, syscall.ENOSPC)
		}, func() { require.NoError(t, os.Remove(ballast)) })
	})
}

func testFullDisk(t *testing.T, dir string, fill, empty func()) {
	spec := monitorSpec(t, "--data", dir, "--dead-pings", "100000")
	p := startDaemon(t, spec)
	c := monitorClient(t, p)
	for _, number := range []uint{0, 1} {
		_, err := c.Ping(number)
		require.NoError(t, err)
	}
	fill()
	joined := make(chan sysmonitor.View, 1)
	var joining sync.WaitGroup
	defer joining.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	joining.Go(func() {
		if r, err := c.PingServer(ctx, sysmonitor.PingArgs{Me: "b"}); err == nil {
			joined <- r.View
		}
	})
	eventually(t, func() bool { return strings.Contains(logOf(t, spec), "cannot be kept") }, "the trouble to be told")
	st, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, dir, st.Data)
	require.Contains(t, st.DiskTrouble, "views.part: no space left on device")
	require.Contains(t, st.Why, "view 2 waits to be durable")
	require.EqualValues(t, 1, st.View.Viewnum)
	v, ok := c.Get()
	require.True(t, ok)
	require.EqualValues(t, 1, v.Viewnum)
	require.Empty(t, joined)

	empty()
	joining.Wait()
	require.EqualValues(t, 2, (<-joined).Viewnum)
	require.NoError(t, p.Kill())
	require.Equal(t, 1, strings.Count(logOf(t, spec), "cannot be kept"))
	require.Contains(t, logOf(t, spec), "can be kept again")
	p = startDaemon(t, spec)
	v, ok = monitorClient(t, p).Get()
	require.True(t, ok)
	require.EqualValues(t, 2, v.Viewnum)
}

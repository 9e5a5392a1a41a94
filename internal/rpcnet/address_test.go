package rpcnet

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNetworkIsUnixIfTheAddressHoldsASlash(t *testing.T) {
	for addr, want := range map[string]string{
		"/tmp/a": "unix", "./a": "unix", "a/b": "unix",
		"localhost:80": "tcp", ":0": "tcp", "[::1]:80": "tcp", "": "tcp",
	} {
		require.Equal(t, want, Network(addr), addr)
	}
}

// leaveStale leaves the socket file of a dead server.
func leaveStale(t *testing.T, path string) {
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.FileExists(t, path)
}

func TestListenReplacesTheSocketOfADeadServer(t *testing.T) {
	path := sockPath(t)
	leaveStale(t, path)
	l, err := Listen(path)
	require.NoError(t, err)
	_ = dial(t, path)
	require.NoError(t, l.Close())
	require.NoFileExists(t, path)
	require.NoError(t, l.Close(), "closing twice")
}

func TestListenLeavesALiveServerAlone(t *testing.T) {
	for _, addr := range []string{sockPath(t), "127.0.0.1:0"} {
		l, err := Listen(addr)
		require.NoError(t, err)
		addr = l.Addr().String()
		_, err = Listen(addr)
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.ErrorContains(t, err, addr)
		_ = dial(t, addr)
		require.NoError(t, l.Close())
	}
}

func TestListenErrorsNameTheAddress(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(file, link))
	long := "/tmp/" + strings.Repeat("x", maxSocketPath)
	for name, c := range map[string]struct{ addr, says string }{
		"file":         {file, "not a socket"},
		"link":         {link, "not a socket"},
		"directory":    {dir, "not a socket"},
		"too long":     {long, strconv.Itoa(maxSocketPath)},
		"no directory": {filepath.Join(dir, "no", "s"), "no such file"},
		"no port":      {"localhost", "missing port"},
		"bad port":     {"localhost:99999999", "port"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Listen(c.addr)
			require.Nil(t, l)
			require.ErrorContains(t, err, c.addr)
			require.ErrorContains(t, err, c.says)
		})
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(got))
}

func TestListenTakesTheLongestPath(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "n")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	path := dir + "/" + strings.Repeat("x", maxSocketPath-len(dir)-1)
	l, err := Listen(path)
	require.NoError(t, err)
	_ = dial(t, path)
	require.NoError(t, l.Close())
}

func TestCloseLeavesAnothersSocketAlone(t *testing.T) {
	path := sockPath(t)
	l, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	other, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_ = dial(t, path)
	require.NoError(t, other.Close())
}

func TestOfSeveralStartersOneReplacesTheStaleSocket(t *testing.T) {
	for range 30 {
		path := sockPath(t)
		leaveStale(t, path)
		var won atomic.Pointer[net.Listener]
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				l, err := Listen(path)
				if err != nil {
					if !os.IsExist(err) && !strings.Contains(err.Error(), "in use") {
						t.Errorf("unexpected: %v", err)
					}
					return
				}
				wins.Add(1)
				won.Store(&l)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, wins.Load())
		_ = dial(t, path)
		require.NoError(t, (*won.Load()).Close())
	}
}

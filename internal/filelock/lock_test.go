//go:build unix && !solaris && !illumos && !aix

package filelock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// open opens a file or directory that is closed when the test ends.
func open(t *testing.T, path string) *os.File {
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOneHolds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, path := range map[string]string{"file": file, "directory": filepath.Dir(file)} {
		t.Run(name, func(t *testing.T) {
			holder := open(t, path)
			require.NoError(t, Lock(holder, 0))
			require.NoError(t, Lock(holder, 0), "who holds it may ask again")
			require.ErrorIs(t, Lock(open(t, path), 0), ErrLocked)

			began := time.Now()
			require.ErrorIs(t, Lock(open(t, path), 50*time.Millisecond), ErrLocked)
			require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)

			waiter, got := open(t, path), make(chan error)
			go func() { got <- Lock(waiter, time.Minute) }()
			require.NoError(t, holder.Close())
			require.NoError(t, <-got, "the holder's end is the lock's")
			require.ErrorIs(t, Lock(open(t, path), 0), ErrLocked)
		})
	}
}

func TestWhatCannotBeLocked(t *testing.T) {
	f, err := os.Open(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, f.Close())
	err = Lock(f, time.Minute)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrLocked)
}

//go:build unix && !solaris && !illumos && !aix

package rpcnet

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPatience bounds the wait for another starter, which needs milliseconds. A
// directory that a stranger keeps locked is an error, not a hang.
const lockPatience = 5 * time.Second

// lockDir takes the exclusive lock on a directory, and returns what releases it.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	// The blocking form of flock cannot be given a deadline.
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(2 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK) && time.Now().Before(deadline):
		default:
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
	}
}

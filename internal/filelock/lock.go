// Package filelock takes the operating system's exclusive lock on a file or a
// directory, so that of several processes one at a time uses what it stands for.
// The kernel releases a lock with its holder's end, however that comes, so a
// lock is never stale.
package filelock

import (
	"errors"
	"os"
	"time"
)

// ErrLocked says that somebody else holds the lock.
var ErrLocked = errors.New("somebody else holds the lock")

// tryEvery is the time between two attempts.
const tryEvery = 2 * time.Millisecond

// Lock takes the exclusive lock on an open file or directory. It waits for
// patience if somebody holds it, in this process or another, and then returns
// ErrLocked. Closing f releases the lock. Where the operating system has none of
// the kind, Lock does nothing and returns nil.
func Lock(f *os.File, patience time.Duration) error {
	// The blocking form of the system call cannot be given a deadline.
	for deadline := time.Now().Add(patience); ; time.Sleep(tryEvery) {
		err := tryLock(f)
		if !errors.Is(err, ErrLocked) || !time.Now().Before(deadline) {
			return err
		}
	}
}

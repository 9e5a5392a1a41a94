package bench

import (
	"syscall"
	"time"
)

// nap sleeps for a time and about 50 µs, which the system takes the liberty of; or less, if
// the thread gets a signal. It blocks a thread; the runtime has another one go on with what
// there is to do.
func nap(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil)
}

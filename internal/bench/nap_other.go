//go:build !linux

package bench

import "time"

// nap sleeps for a time, as precisely as Go's timers do.
func nap(d time.Duration) { time.Sleep(d) }

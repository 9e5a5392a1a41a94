package cluster

import "time"

const (
	shortestPause = 200 * time.Millisecond // before a process that lived is started again
	longestPause  = 5 * time.Second
	// goodLife is how long a process lives that has not failed to start.
	goodLife = 10 * time.Second
)

// backoff is how long to wait before a process is started again: longer and
// longer while its lives are short.
type backoff struct{ pause time.Duration }

// next returns the pause after a life, or after an attempt that came to none
// (zero).
func (b *backoff) next(life time.Duration) time.Duration {
	if life >= goodLife || b.pause == 0 {
		b.pause = shortestPause
	} else {
		b.pause = min(2*b.pause, longestPause)
	}
	return b.pause
}

package rpcnet

import (
	"log/slog"
	"sync"
	"time"
)

// complainEvery is how often trouble that lasts is logged: whoever is refused
// comes again, and again.
const complainEvery = 10 * time.Second

// complaint is one kind of trouble that may come by the hundred. It is logged when
// it begins, and then once in a while, with how often it came in between. It is
// safe for concurrent use.
type complaint struct {
	mu      sync.Mutex
	said    time.Time
	skipped int
}

// warn logs the trouble, unless that was done a short while ago.
func (c *complaint) warn(log *slog.Logger, now time.Time, what string, args ...any) {
	c.mu.Lock()
	if !c.said.IsZero() && now.Sub(c.said) < complainEvery {
		c.skipped++
		c.mu.Unlock()
		return
	}
	skipped := c.skipped
	c.said, c.skipped = now, 0
	c.mu.Unlock()
	if skipped > 0 {
		args = append(args, "unsaid", skipped)
	}
	log.Warn(what, args...)
}

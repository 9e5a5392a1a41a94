// Package pause waits for time to pass, for as long as somebody wants to.
package pause

import (
	"context"
	"time"
)

// For waits for d, which may be zero or less. If ctx ends before, it returns the
// context's error at once.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

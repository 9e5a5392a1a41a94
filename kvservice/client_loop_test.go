package kvservice

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that waits for a view looks at the time soon enough for the calls that it makes
// when it has one, however short it lets an attempt take.
func TestClientWakesInTimeForTheShortestAttempt(t *testing.T) {
	const attempt = 3 * clientTick
	silent, err := net.Listen("unix", filepath.Join(socketDir(t), "monitor")) // it answers nobody
	require.NoError(t, err)
	defer silent.Close()
	c := MakeKVClient(silent.Addr().String(), WithAttemptTimeout(attempt))
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := c.GetContext(ctx, "k")
		got <- err
	}()
	sleep := make(chan time.Duration, 1)
	var d time.Duration
	require.Eventually(t, func() bool {
		c.post(func(l *clientLoop) {
			var d time.Duration
			if l.waiting.Len() > 0 && !l.due.IsZero() {
				d = l.due.Sub(l.passed)
			}
			sleep <- d
		})
		d = <-sleep
		return d > 0
	}, soon, time.Millisecond)
	require.LessOrEqual(t, d, attempt)
	cancel()
	require.ErrorIs(t, <-got, context.Canceled)
}

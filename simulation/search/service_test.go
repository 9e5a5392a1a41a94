package search

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A life that the view service has forgotten after many others is as good as one that
// it never heard: a ping of it is not late (rule V2).
func TestPingsOfForgottenLives(t *testing.T) {
	cfg := Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 12, Crashes: 12, LatePings: true}, Depth: 100, States: 20_000, Workers: 1}
	r, err := Walk(context.Background(), cfg, 1)
	require.NoError(t, err)
	require.Equal(t, LimitReached, r.End, "%s: %s", r.Invariant, r.Detail)
}

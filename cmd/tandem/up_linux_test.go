package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/cluster"
)

// At a terminal Ctrl-D ends the cluster in order.
func TestUpUntilTheEndOfTyping(t *testing.T) {
	person, command := terminal(t)
	u := startUp(t, command, "--servers", "1", "--dead-pings", "5") // there is nobody to take over
	u.await(0, "an active view", func(e cluster.Event) bool { return e.Kind == cluster.ViewActive })
	_, err := io.WriteString(person, "hello?\n\x04")
	require.NoError(t, err)
	require.Equal(t, exitHeld, u.status(), u.stderr.String())
	u.await(0, "that the view service leaves", func(e cluster.Event) bool { return e.Kind == cluster.Leaving && e.Name == "monitor" })
}

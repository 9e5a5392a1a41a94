package rpcnet

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLastingTroubleIsLoggedOnceInAWhile(t *testing.T) {
	var w bytes.Buffer
	log := slog.New(slog.NewTextHandler(&w, nil))
	var c complaint
	start := time.Now()
	for i := range 100 { // a second apart
		c.warn(log, start.Add(time.Duration(i)*time.Second), "refused", "peer", i)
	}
	lines := strings.Split(strings.TrimSpace(w.String()), "\n")
	require.Len(t, lines, 10)
	require.Contains(t, lines[0], "level=WARN msg=refused peer=0")
	require.NotContains(t, lines[0], "unsaid")
	require.Contains(t, lines[1], "peer=10 unsaid=9")
}

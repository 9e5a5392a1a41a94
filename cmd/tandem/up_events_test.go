package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/cluster"
)

// TestEventsWaitForNobody: who does not read what is printed, as at a terminal that
// was stopped with Ctrl-S, holds nothing up, and reads later what there was room for.
func TestEventsWaitForNobody(t *testing.T) {
	dir := t.TempDir()
	r, w := io.Pipe()
	defer r.Close()
	p, err := newEventPrinter(w, dir, false, false)
	require.NoError(t, err)
	tell := func(i int) { p.event(cluster.Event{Kind: cluster.Note, Text: fmt.Sprintf("event %d", i)}) }
	const more = unprintedMax + 100
	for i := range more {
		tell(i)
	}
	lines := bufio.NewScanner(r)
	read := 0
	for lines.Scan() && strings.HasSuffix(lines.Text(), fmt.Sprintf("event %d", read)) {
		// Nothing is missing before the gap; and somebody reads now, so there is room.
		if read++; read == unprintedMax/2 {
			tell(more)
		}
	}
	require.GreaterOrEqual(t, read, unprintedMax)
	require.Contains(t, lines.Text(), fmt.Sprintf("%d events are only in %s", more-read, p.log.Name()))
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), fmt.Sprintf("event %d", more))
	require.NoError(t, p.close())
	log, err := os.ReadFile(filepath.Join(dir, "events.log"))
	require.NoError(t, err)
	require.Equal(t, more+1, strings.Count(string(log), "\n"))
}

// TestTheEndWaitsForNobody: nor does who never reads keep the command from its end; he
// is told that there was more.
func TestTheEndWaitsForNobody(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer r.Close() // lets the printing end
	p, err := newEventPrinter(w, t.TempDir(), false, false)
	require.NoError(t, err)
	p.note("what nobody reads")
	require.ErrorContains(t, p.close(), "nobody reads standard output: the last lines are only in "+p.log.Name())
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHistoryIsKeptWithinBounds(t *testing.T) {
	h := &history{file: filepath.Join(t.TempDir(), "made", "history")}
	lines, err := h.load()
	require.NoError(t, err, "there is none yet")
	require.Empty(t, lines)
	for _, line := range []string{"a", "a", "", "b", "a", strings.Repeat("x", historyLine+1)} {
		require.NoError(t, h.add(line))
	}
	again := &history{file: h.file}
	lines, err = again.load()
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "a"}, lines)
	require.NoError(t, again.add("a"), "once more")

	for i := range 2*historyLines - 3 {
		require.NoError(t, again.add(fmt.Sprint("line ", i)))
	}
	count := func() int {
		text, err := os.ReadFile(h.file)
		require.NoError(t, err)
		return strings.Count(string(text), "\n")
	}
	lines, err = h.load()
	require.NoError(t, err)
	require.Len(t, lines, historyLines)
	require.Equal(t, 2*historyLines, count(), "it may be that long")
	require.NoError(t, h.add("one too many"))
	lines, err = h.load()
	require.NoError(t, err)
	require.Len(t, lines, historyLines)
	require.Equal(t, "one too many", lines[historyLines-1])
	require.Equal(t, historyLines, count(), "and is then shortened")
	info, err := os.Stat(h.file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestWhereHistoryIs(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	for state, want := range map[string]string{
		"":         "/home/alice/.local/state/tandem/history",
		"relative": "/home/alice/.local/state/tandem/history",
		"/state":   "/state/tandem/history",
	} {
		t.Setenv("XDG_STATE_HOME", state)
		require.Equal(t, want, defaultHistory())
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	require.Empty(t, defaultHistory())
}

package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	text := tandem(t, "version")
	require.Equal(t, exitHeld, text.code, text.stderr)
	require.Regexp(t, `^tandem .+\nrevision  .+\nbuilt by  go.+\nfor       \S+/\S+\n$`, text.stdout)

	line := tandem(t, "--version")
	require.Equal(t, exitHeld, line.code, line.stderr)
	require.Equal(t, 1, strings.Count(line.stdout, "\n"))
	require.Contains(t, line.stdout, runtime.Version())

	var b build
	object := tandem(t, "version", "--json")
	require.Equal(t, exitHeld, object.code, object.stderr)
	require.NoError(t, json.Unmarshal([]byte(object.stdout), &b))
	require.Equal(t, thisBuild(), b)
	require.Equal(t, runtime.GOOS+"/"+runtime.GOARCH, b.Platform)

	require.Equal(t, exitUsage, tandem(t, "version", "extra").code)
	t.Setenv("TANDEM_VERSION", "1.2.3")
	require.Equal(t, exitHeld, tandem(t).code, "a variable that has nothing to do with the flag")
}

func TestWhatABinaryKnowsOfItself(t *testing.T) {
	revision := strings.Repeat("0123456789", 4)
	stamped := []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}}
	for _, tc := range []struct {
		about        string
		version      string
		settings     []debug.BuildSetting
		source, line string
	}{
		{"go build in a clone", "v0.0.0-20260102030405-012345678901+dirty", stamped,
			revision + " of 2026-01-02T03:04:05Z, and changes that are in no revision", "v0.0.0-20260102030405-012345678901+dirty (go1.26, "},
		{"go build at a tag", "v1.2.3", stamped[:2], revision + " of 2026-01-02T03:04:05Z", "v1.2.3 (revision " + revision + ", go1.26, "},
		{"go install of a version", "v1.2.3", nil, "unknown: built from the module of that version", "v1.2.3 (go1.26, "},
		{"go run", unstamped, nil, "unknown: built from a source tree, and not told which (as by go run, or with -buildvcs=false)", "of no version (go1.26, "},
	} {
		b := newBuild(&debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: tc.version}, Settings: tc.settings})
		require.Equal(t, tc.source, b.source(), tc.about)
		require.True(t, strings.HasPrefix(b.line(), tc.line), "%s: %s", tc.about, b.line())
	}
}

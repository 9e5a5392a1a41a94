package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestKeysAreListed(t *testing.T) {
	c := startLocalCluster(t, 1)
	got := c.run("keys")
	require.Equal(t, ran{exitHeld, "", ""}, got, "none is no error")
	c.put(map[string]string{"a": "1", "b/1": "two\nlines", "b/2": "x\ty", "b/3 x": "", "b/\xff": "\xff", "c\n": `"`, "": "nothing"})
	for line, want := range map[string]string{
		"keys":                   `""` + "\na\nb/1\nb/2\nb/3 x\n" + `"b/\xff"` + "\n" + `"c\n"` + "\n",
		"keys b/":                "b/1\nb/2\nb/3 x\n" + `"b/\xff"` + "\n",
		"keys nothing":           "",
		"keys --limit 2":         `""` + "\na\n",
		"keys b/ --limit 1":      "b/1\n",
		"keys b/ --values":       "b/1\t" + `"two\nlines"` + "\nb/2\t" + `"x\ty"` + "\nb/3 x\t" + `""` + "\n" + `"b/\xff"` + "\t" + `"\xff"` + "\n",
		"keys b/ -0":             "b/1\x00b/2\x00b/3 x\x00b/\xff\x00",
		"keys c --json":          `{"key":"c\n"}` + "\n",
		"keys c --json --values": `{"key":"c\n","value":"\""}` + "\n",
		"keys b/\xff --json":     `{"key_base64":"Yi//"}` + "\n",
	} {
		got := c.run(line)
		require.Equal(t, ran{exitHeld, want, ""}, got, line)
	}
	got = c.run("keys --null --json")
	require.Equal(t, exitUsage, got.code)
}

func TestKeysThatCannotBeReadAreNoEmptyList(t *testing.T) {
	c := startLocalCluster(t, 1)
	c.put(map[string]string{"a": "1"})
	got := c.run("keys --timeout 300ms --route", c.servers[0].Addr()+"="+blackHole(t))
	require.Equal(t, exitFailed, got.code)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, "nothing came for 300ms: ")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got = tandemUntil(ctx, c.args("keys")...)
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "interrupted: ")
}

// The timeout is for silence: a list that takes longer is whole all the same.
func TestALongListOutlastsTheTimeout(t *testing.T) {
	t.Parallel()
	c := startLocalCluster(t, 1)
	value := strings.Repeat("v", 1<<20)
	pairs := make(map[string]string)
	for i := range 24 { // pages of them
		pairs[fmt.Sprint("key", i)] = value
	}
	c.put(pairs)
	const timeout = 2 * time.Second
	conn := &connection{monitor: c.monitor.Addr(), timeout: timeout, maxValue: defaultMaxValue}
	client, err := conn.client()
	require.NoError(t, err)
	defer client.Close()
	n := 0
	_, err = conn.scan(t.Context(), client, "", 0, func(string, string) error {
		if n++; n == 1 {
			// What takes its time here is a pipe that is full, say.
			<-time.After(timeout + timeout/2)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 24, n)
}

// A line is read in one way only, and what is plain stays as it is.
func TestPlainLines(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "a": "a", "a b": "a b", " a": `" a"`, "a ": `"a "`, "a\tb": `"a\tb"`, `"a"`: `"\"a\""`, `a"`: `a"`,
		"ä": "ä", "\xff": `"\xff"`, "\u2028": `"\u2028"`, "\x1b[2J": `"\x1b[2J"`,
	} {
		require.Equal(t, want, plainLine(s))
	}
	rapid.Check(t, func(t *rapid.T) {
		s := anyBytes().Draw(t, "s")
		line := plainLine(s)
		require.NotContains(t, line, "\n")
		require.NotContains(t, line, "\t")
		if strings.HasPrefix(line, `"`) {
			var err error
			line, err = strconv.Unquote(line)
			require.NoError(t, err)
		}
		require.Equal(t, s, line)
	})
}

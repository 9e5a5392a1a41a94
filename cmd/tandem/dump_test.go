package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// awkward has keys and values of which each is awkward in its own way.
func awkward() map[string]string {
	return map[string]string{
		"":                 "the empty key",
		"empty":            "",
		"line\nfeed":       "a\r\nb",
		"nul\x00":          "\x00",
		"html <&>":         "\u2028\u2029",
		"not utf-8 \xff":   "\xc3\x28",
		"quote\"\\":        `\ud83d`,
		"\U0001f600":       "\ufeff\ufffd",
		"large":            strings.Repeat("x", 1<<20),
		"large and binary": strings.Repeat("\xfe", 1<<20),
	}
}

func TestWhatIsDumpedCanBeLoaded(t *testing.T) {
	dir := elsewhere(t)
	from, to := startLocalCluster(t, 1), startLocalCluster(t, 1)
	from.put(awkward())

	got := from.tandem("dump", "store.jsonl")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Regexp(t, `^10 pairs, 2\.0 MiB, in store\.jsonl\n$`, got.stdout)
	require.Empty(t, got.stderr)
	content, err := os.ReadFile("store.jsonl")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(content), `{"end":true,"pairs":10}`+"\n"))
	for line := range strings.Lines(string(content)) {
		require.True(t, json.Valid([]byte(line)))
	}
	info, err := os.Stat("store.jsonl")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.Equal(t, string(content), from.tandem("dump").stdout, "standard output")

	to.put(map[string]string{"empty": "will be replaced", "other": "stays"})
	got = to.tandem("load", "store.jsonl", "--json")
	require.Equal(t, exitHeld, got.code, got.stderr)
	var r loaded
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.True(t, r.Whole)
	require.EqualValues(t, 10, r.Pairs)
	require.Greater(t, r.Bytes, uint64(2<<20))
	want := awkward()
	want["other"] = "stays"
	require.Equal(t, want, to.pairs())

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
}

func TestADumpOfAPrefix(t *testing.T) {
	c := startLocalCluster(t, 1)
	c.put(map[string]string{"a/1": "x", "a/2": "y", "b": "z"})
	got := c.tandem("dump", "--prefix", "a/")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Equal(t, `{"key":"a/1","value":"x"}
{"key":"a/2","value":"y"}
{"end":true,"pairs":2}
`, got.stdout)
}

func TestADumpToAFileTellsOfIt(t *testing.T) {
	elsewhere(t)
	c := startLocalCluster(t, 1)
	c.put(map[string]string{"k": "vv"})
	got := c.tandem("dump", "d", "--json", "--progress")
	require.Equal(t, exitHeld, got.code, got.stderr)
	var r dumped
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.Equal(t, dumped{File: "d", Pairs: 1, Bytes: 3, ElapsedMillis: r.ElapsedMillis}, r)
	require.Contains(t, got.stderr, "[========================] 100%  1 pair\n")
}

// What a group that is down still holds can be had from one server.
func TestADumpOfOneServerNeedsNoOther(t *testing.T) {
	c := startLocalCluster(t, 3)
	c.put(map[string]string{"k": "v"})
	backup, idle := c.servers[1], c.servers[2]
	require.Eventually(t, func() bool { return backup.Status().Keys == 1 }, patience, time.Millisecond)
	c.monitor.Kill() // first, or the backup might take over, and the idle server become its backup
	c.servers[0].Kill()

	got := tandem(t, "dump", "--server", backup.Addr())
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Equal(t, `{"key":"k","value":"v"}`+"\n"+`{"end":true,"pairs":1}`+"\n", got.stdout)

	got = tandem(t, "dump", "--server", idle.Addr())
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "holds no state")
	require.NotContains(t, got.stdout, "end")

	got = tandem(t, "dump", "--server", c.servers[0].Addr(), "--timeout", "5s")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, c.servers[0].Addr())
}

func TestADumpOfNobodyFailsInTime(t *testing.T) {
	dir := elsewhere(t)
	require.NoError(t, os.WriteFile("store.jsonl", []byte("before"), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())

	got := tandem(t, "dump", "store.jsonl", "--monitor", nobody, "--timeout", "300ms")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "nothing came for 300ms")
	require.Contains(t, got.stderr, nobody)
	require.Empty(t, got.stdout)
	content, err := os.ReadFile("store.jsonl")
	require.NoError(t, err)
	require.Equal(t, "before", string(content))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	ctx, stop := context.WithCancel(t.Context())
	stop()
	got = tandemUntil(ctx, "dump", "--monitor", nobody)
	require.Equal(t, exitUnknown, got.code)
	require.Equal(t, "tandem dump: interrupted\n", got.stderr)
}

// dumpOf carries out the command on a source of the test's.
func dumpOf(t *testing.T, f *dumpFlags, source tableSource, file string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := new(cobra.Command)
	var out, diagnostics bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&diagnostics)
	cmd.SetContext(t.Context())
	_, err = f.dump(cmd, source, file)
	return out.String(), diagnostics.String(), err
}

// losing returns a source that loses its moment so many times on the way.
func losing(times int) tableSource {
	attempt := 0
	return func(_ context.Context, _ string, visit func(key, value string) bool) error {
		attempt++
		visit(fmt.Sprintf("key of attempt %d", attempt), "v")
		if attempt <= times {
			return &kvservice.OpError{Op: "Scan", Err: kv.ErrScanLost}
		}
		return nil
	}
}

func TestADumpWhoseMomentIsLostBeginsAgain(t *testing.T) {
	elsewhere(t)
	_, stderr, err := dumpOf(t, new(dumpFlags), losing(2), "d")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(stderr, "beginning again"))
	content, err := os.ReadFile("d")
	require.NoError(t, err)
	require.Equal(t, `{"key":"key of attempt 3","value":"v"}`+"\n"+`{"end":true,"pairs":1}`+"\n", string(content))

	_, _, err = dumpOf(t, new(dumpFlags), losing(100), "e")
	require.ErrorIs(t, err, kv.ErrScanLost, "not for ever")
	require.NoFileExists(t, "e")

	stdout, _, err := dumpOf(t, new(dumpFlags), losing(1), standardStream)
	require.ErrorIs(t, err, kv.ErrScanLost, "what is out is out")
	require.NotContains(t, stdout, "end")
}

// The timeout is about a cluster that says nothing, and not about how long a dump
// takes, nor about who reads it.
func TestATimeoutIsForSilence(t *testing.T) {
	f := &dumpFlags{connection: connection{timeout: 200 * time.Millisecond}}
	reader, writer := io.Pipe()
	read := make(chan error)
	go func() {
		time.Sleep(4 * f.timeout) // it is slow
		_, err := io.Copy(io.Discard, reader)
		read <- err
	}()
	value := strings.Repeat("x", 2*dumpBuffer)
	source := func(ctx context.Context, _ string, visit func(key, value string) bool) error {
		for range 3 {
			visit("k", value)
		}
		return ctx.Err()
	}
	require.NoError(t, f.fill(t.Context(), source, newDumpWriter(writer), newMeter(nil, "", 0)))
	require.NoError(t, writer.Close())
	require.NoError(t, <-read)

	silent := func(ctx context.Context, _ string, visit func(key, value string) bool) error {
		visit("k", "v")
		<-ctx.Done()
		return &kvservice.OpError{Op: "Scan", Err: ctx.Err(), Because: errors.New("the dog ate it")}
	}
	err := f.fill(t.Context(), silent, newDumpWriter(io.Discard), newMeter(nil, "", 0))
	require.EqualError(t, err, "nothing came for 200ms: the dog ate it")
}

func TestWhatIsNoFileIsNotReplaced(t *testing.T) {
	dir := elsewhere(t)
	write := func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }
	require.ErrorContains(t, writeWholeFile(dir, write), "that is a directory")
	require.NoError(t, writeWholeFile(os.DevNull, write))
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())

	require.NoError(t, os.Mkdir("elsewhere", 0o700))
	require.NoError(t, os.WriteFile(filepath.Join("elsewhere", "file"), []byte("before"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join("elsewhere", "file"), "link"))
	require.NoError(t, writeWholeFile("link", write))
	content, err := os.ReadFile(filepath.Join("elsewhere", "file"))
	require.NoError(t, err)
	require.Equal(t, "content", string(content), "a link stays one")

	err = writeWholeFile(filepath.Join("not", "there"), write)
	require.ErrorContains(t, err, "writing "+filepath.Join("not", "there"))
	full := errors.New("the disk is full")
	require.ErrorIs(t, writeWholeFile("link", func(io.Writer) error { return full }), full)
	content, err = os.ReadFile("link")
	require.NoError(t, err)
	require.Equal(t, "content", string(content), "as it was")
}

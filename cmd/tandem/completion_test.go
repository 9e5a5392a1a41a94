package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// complete returns what a shell is told when the last word is to be completed: a
// completion a line, and the directive.
func complete(t *testing.T, words ...string) string {
	t.Helper()
	got := tandem(t, append([]string{"__complete"}, words...)...)
	require.Equal(t, exitHeld, got.code, got.stderr)
	return got.stdout
}

const (
	nothingElse = ":36\n" // no files, and in this order
	files       = ":0\n"
	noFiles     = ":4\n"
	directories = ":16\n"
)

func TestKeysComplete(t *testing.T) {
	c := startLocalCluster(t, 1)
	c.put(map[string]string{
		"user/1": "", "user/2": "", "two words": "", "other": "",
		"-5": "", " x": "", "a\tb": "", "a\nb": "", "\xff": "", "": "", // which a shell would not bring back
	})
	at := c.monitor.Addr()
	for _, command := range []string{"get", "put", "puthash", "append", "delete", "cas", "keys"} {
		require.Equal(t, "user/1\nuser/2\n"+nothingElse, complete(t, command, "--monitor", at, "user"), command)
	}
	require.Equal(t, "other\ntwo words\nuser/1\nuser/2\n"+nothingElse, complete(t, "get", "--monitor", at, ""))
	require.Equal(t, nothingElse, complete(t, "put", "--monitor", at, "user/1", ""), "a value")

	t.Setenv("TANDEM_MONITOR", at)
	require.Equal(t, "user/1\nuser/2\n"+nothingElse, complete(t, "get", "user"), "as the command would find it")
}

func TestTooManyKeysDoNotComplete(t *testing.T) {
	c := startLocalCluster(t, 1)
	pairs := make(map[string]string)
	for i := range completionKeys {
		pairs[fmt.Sprintf("k%04d", i)] = ""
	}
	c.put(pairs)
	at := c.monitor.Addr()
	require.Equal(t, completionKeys+1, strings.Count(complete(t, "get", "--monitor", at, "k"), "\n"))
	c.put(map[string]string{"ka": ""})
	got := complete(t, "get", "--monitor", at, "k")
	require.Equal(t, 2, strings.Count(got, "\n"))
	require.Contains(t, got, "too many keys begin like that")
	require.Equal(t, completionKeys, strings.Count(complete(t, "get", "--monitor", at, "k0"), "\n")-1, "more of it was typed")
}

func TestCompletionIsSilentAndQuickWithoutACluster(t *testing.T) {
	for _, at := range []string{nobody(t), blackHole(t)} {
		start := time.Now()
		got := tandem(t, "__complete", "get", "--monitor", at, "")
		require.Equal(t, nothingElse, got.stdout)
		require.Equal(t, 1, strings.Count(got.stderr, "\n"), "what cobra says of the directive: %s", got.stderr)
		require.Less(t, time.Since(start), 5*time.Second, "nobody would wait for that; how soon it is says a machine at rest")
	}
}

func TestFlagsCompleteToFilesOnlyIfTheyAreFiles(t *testing.T) {
	for line, want := range map[string]string{
		"simulate --options ":           files,
		"search --replay ":              files,
		"simulate --run-dir ":           directories,
		"mutants --tree ":               directories,
		"simulate --seed ":              noFiles,
		"get --monitor ":                noFiles,
		"get --timeout ":                noFiles,
		"monitor --listen ":             noFiles,
		"monitor --ping-inter":          "--ping-interval\thow often servers ping; they follow it\n" + noFiles,
		"server --log-level ":           "debug\ninfo\nwarn\nerror\n" + nothingElse,
		"up --log-level w":              "warn\n" + nothingElse,
		"monitor --log-format ":         "text\njson\n" + nothingElse,
		"torture --faults kill":         "kill\nkill-monitor\n" + nothingElse,
		"torture --faults kill,le":      "kill,leave\n" + nothingElse,
		"simulate --without cut-o":      "cut-one-way\n" + nothingElse,
		"search --mutant alone-without": "alone-without-a-word\n" + nothingElse,
		"up --config ":                  files,
		"up --run-dir ":                 directories,
		"up --dump ":                    directories,
		"monitor --data ":               directories,
		"comp":                          "completion\tGenerate the autocompletion script for the specified shell\n" + noFiles,
		"completion fi":                 "fish\tGenerate the autocompletion script for fish\n" + noFiles,
		"simulate something el":         noFiles,
	} {
		words := strings.Fields(line)
		if strings.HasSuffix(line, " ") {
			words = append(words, "")
		}
		require.Equal(t, want, complete(t, words...), line)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := tandem(t, "completion", shell)
		require.Equal(t, exitHeld, got.code, got.stderr)
		require.Contains(t, got.stdout, "__complete")
		require.Empty(t, got.stderr)
	}
}

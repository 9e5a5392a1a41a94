package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShellCarriesOutLines(t *testing.T) {
	c := startLocalCluster(t, 1)
	got := c.reading(`
# a remark, with a " in it
P "greeting" "hello, world\n"
G "greeting"
get greeting
put - -
G -
cas greeting x y
cas lock "" alice
append lock \n
get lock
puthash chain ""
delete -
PUT "\xff" ""
keys
keys l
exit
no such command
`, "shell")
	require.Equal(t, exitBroken, got.code, got.stderr)
	require.Equal(t, `done
"hello, world\n"
"hello, world\n"
done
"-"
different
done
done
"alice\\n"
""
done
done
"chain"
"greeting"
"lock"
"\xff"
"lock"
`, got.stdout)
	require.Empty(t, got.stderr)
}

func TestShellStopsAtWhatIsNotDone(t *testing.T) {
	t.Parallel()
	c := startLocalCluster(t, 1)
	lossy, _ := swallower(t, c.servers[0].Addr())
	for _, tc := range []struct {
		script string
		code   int
		stdout string
		stderr string
	}{
		{"", exitHeld, "", ""},
		{"put a b\nget a", exitHeld, "done\n\"b\"\n", ""},
		{"get nothing\nput a b\n", exitBroken, "absent\ndone\n", ""},
		{"put a b\nput a\nput c d\n", exitUsage, "done\n", "tandem shell: line 2: put wants KEY and VALUE, and not 1 argument"},
		{"\nget \"a", exitUsage, "", `line 2: the quote of "a is not closed`},
		{"gett a", exitUsage, "", `there is no command "gett"; help tells`},
		{"keys a b", exitUsage, "", "keys wants a PREFIX or nothing"},
		{"put a b\nput a \"" + swallow + "\"\nput c d", exitUnknown, "done\n", "tandem shell: line 2: gave up after 2s: "},
		{"put a " + strings.Repeat("x", int(defaultMaxValue)+1) + "\nput c d", exitFailed, "", "line 1: key or value too large"},
	} {
		got := c.reading(tc.script, "shell --timeout 2s --route", c.servers[0].Addr()+"="+lossy)
		require.Equal(t, tc.code, got.code, "%.50q: %s", tc.script, got.stderr)
		require.Equal(t, tc.stdout, got.stdout, "%.50q", tc.script)
		require.Contains(t, got.stderr, tc.stderr, "%.50q", tc.script)
		require.Equal(t, tc.stderr == "", got.stderr == "", "%.50q: %s", tc.script, got.stderr)
	}
	require.Equal(t, exitBroken, c.run("get c").code)
}

func TestLinesAreBounded(t *testing.T) {
	const most = 8
	l := readLines(t.Context(), strings.NewReader("1234567\n\n12345678\n"), most)
	for _, want := range []string{"1234567", ""} {
		line, err := l.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	for range 2 {
		_, err := l.next(t.Context())
		require.EqualError(t, err, "it is longer than 8 bytes")
	}
}

func TestShellTellsJSON(t *testing.T) {
	c := startLocalCluster(t, 1)
	got := c.reading("put \"\\xff\" x\nget nothing\nkeys\nput k "+strings.Repeat("x", int(defaultMaxValue)+1), "shell --json")
	require.Equal(t, exitFailed, got.code)
	lines := strings.Split(got.stdout, "\n")
	require.Len(t, lines, 5)
	require.Equal(t, `{"key_base64":"/w==","outcome":"done"}`, lines[0])
	require.Equal(t, `{"key":"nothing","outcome":"absent","error":"no such key: \"nothing\""}`, lines[1])
	require.Equal(t, `{"key_base64":"/w=="}`, lines[2])
	var a jsonAnswer
	require.NoError(t, json.Unmarshal([]byte(lines[3]), &a))
	require.Equal(t, outcomeFailed, a.Outcome)
}

func TestShellTellsStatus(t *testing.T) {
	c := startLocalCluster(t, 2)
	got := c.reading("status\n", "shell")
	require.Equal(t, exitHeld, got.code, got.stderr)
	for _, s := range c.servers {
		require.Contains(t, got.stdout, s.Addr())
	}
	got = c.reading("status\n# one line\n", "shell --json")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Equal(t, 1, strings.Count(got.stdout, "\n"))
	var r statusReport
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.Equal(t, serving, r.State)

	for _, s := range c.servers {
		s.Kill()
	}
	eventually(t, func() bool { return c.run("status").code == exitBroken }, "the group to be down")
	got = c.reading("status\nhelp\n", "shell")
	require.Equal(t, exitBroken, got.code, got.stderr)
	require.Contains(t, got.stderr, "get KEY", "that was an answer, and it went on")

	c.monitor.Kill()
	got = c.reading("status\nhelp\n", "shell --timeout 300ms")
	require.Equal(t, exitFailed, got.code, got.stdout)
	require.Contains(t, got.stderr, "tandem shell: line 1: no answer from "+c.monitor.Addr())
	require.NotContains(t, got.stderr, "get KEY")
}

func TestShellHelpNamesEveryCommand(t *testing.T) {
	c := startLocalCluster(t, 1)
	got := c.reading("help", "shell")
	require.Equal(t, exitHeld, got.code)
	require.Empty(t, got.stdout)
	for _, name := range append(commandsBeginning(""), "cas KEY OLD NEW", "P KEY VALUE") {
		require.Contains(t, got.stderr, name)
	}
}

func TestShellInterruptedWhileNothingComes(t *testing.T) {
	c := startLocalCluster(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in, out := io.Pipe()
	defer out.Close()
	var stdout, stderr lines
	done := make(chan int)
	go func() { done <- run(ctx, c.args("shell"), in, &stdout, &stderr) }()
	_, err := io.WriteString(out, "put a b\n")
	require.NoError(t, err)
	eventually(t, func() bool { return stdout.String() == "done\n" }, "the answer")
	cancel()
	require.Equal(t, exitFailed, <-done)
	require.Equal(t, "tandem shell: line 2: interrupted\n", stderr.String())
}

func TestShellCompletesCommandsAndKeys(t *testing.T) {
	c := startLocalCluster(t, 1)
	c.put(map[string]string{"user/1": "", "user/2": "", "two words": "", "other": "", `quo"te`: "", "\xff\xfe": "", "": ""})
	conn := &connection{monitor: c.monitor.Addr()}
	s := &shell{conn: conn, client: c.client()}
	for line, want := range map[string]struct {
		head  string
		words []string
	}{
		"pu|":                {"", []string{"put", "puthash"}},
		"  DEL|":             {"  ", []string{"delete "}},
		"x|":                 {"", nil},
		"get us|":            {"get ", []string{"user/1", "user/2"}},
		"get user/2|":        {"get ", []string{"user/2 "}},
		"get user/2 |":       {"get user/2 ", nil},
		"put user/2 |":       {"put user/2 ", nil},
		"G o|":               {"G ", []string{"other "}},
		"P ot| value":        {"P ", []string{"other "}},
		"keys us|":           {"keys ", []string{"user/1", "user/2"}},
		"help |":             {"help ", nil},
		`get "us|`:           {"get ", []string{`"user/1"`, `"user/2"`}},
		`get "two w|`:        {"get ", []string{`"two words" `}},
		`get "other"|`:       {`get "other"`, nil},
		`get two|`:           {"get ", []string{`"two words" `}},
		`get "\xff|`:         {"get ", []string{`"\xff\xfe" `}},
		`get "\xf|`:          {`get "\xf`, nil},
		`get |`:              {"get ", []string{`""`, `"other"`, `"quo\"te"`, `"two words"`, `"user/1"`, `"user/2"`, `"\xff\xfe"`}},
		`get "quo\|`:         {`get "quo\`, nil},
		`delete "quo\"|`:     {"delete ", []string{`"quo\"te" `}},
		`cas "ä" |`:          {`cas "ä" `, nil},
		`get "nothing such|`: {"get ", nil},
	} {
		before, after, _ := strings.Cut(line, "|")
		head, words, tail := s.complete(t.Context(), before+after, len([]rune(before)))
		require.Equal(t, want.head, head, line)
		require.Equal(t, after, tail, line)
		require.ElementsMatch(t, want.words, words, line)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// run carries out a command line on the cluster; words that hold spaces are given
// as further arguments.
func (c *localCluster) run(line string, more ...string) ran {
	c.t.Helper()
	return c.reading("", line, more...)
}

// reading is run with a standard input.
func (c *localCluster) reading(stdin, line string, more ...string) ran {
	c.t.Helper()
	return tandemReading(c.t.Context(), strings.NewReader(stdin), c.args(line, more...)...)
}

// args returns the words of a command line on the cluster.
func (c *localCluster) args(line string, more ...string) []string {
	words := strings.Fields(line)
	return append(append(words[:1:1], "--monitor", c.monitor.Addr()), append(words[1:], more...)...)
}

// blackHole returns the address of a listener that answers nothing.
func blackHole(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// swallow stands in for values that never arrive: see swallower.
const swallow = "swallow this"

// swallower returns the address of a way to another that passes everything on, until
// what goes there holds the word; that and all after it is lost, and nothing says so
// but the channel, which is then closed.
func swallower(t *testing.T, to string) (addr string, swallowed <-chan struct{}) {
	t.Helper()
	over := make(chan struct{})
	once := sync.OnceFunc(func() { close(over) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	pass := func(w io.Writer, r io.Reader) {
		buf := make([]byte, 64<<10)
		for lost := false; ; {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			if lost = lost || bytes.Contains(buf[:n], []byte(swallow)); lost {
				once()
				continue
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			wg.Go(func() { pass(far, near); far.Close() })
			wg.Go(func() { pass(near, far); near.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String(), over
}

// nobody returns an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestOperationsAnswerAndSayHowItWent(t *testing.T) {
	c := startLocalCluster(t, 1)
	for _, tc := range []struct {
		line   []string
		code   int
		stdout string
		stderr string // contains; empty: there is nothing
	}{
		{[]string{"get k"}, exitBroken, "", `tandem get: no such key: "k"`},
		{[]string{"delete k"}, exitBroken, "", `tandem delete: no such key: "k"`},
		{[]string{"put k", "two words"}, exitHeld, "", ""},
		{[]string{"get k"}, exitHeld, "two words", ""},
		{[]string{"append k", ", and more"}, exitHeld, "", ""},
		{[]string{"get k"}, exitHeld, "two words, and more", ""},
		{[]string{"cas k two three"}, exitBroken, "", `tandem cas: the value is not "two", and stays`},
		{[]string{"cas k", "two words, and more", "other"}, exitHeld, "", ""},
		{[]string{"get k"}, exitHeld, "other", ""},
		{[]string{"cas lock", "", "alice"}, exitHeld, "", ""},
		{[]string{"cas lock", "", "bob"}, exitBroken, "", "stays"},
		{[]string{"puthash chain a"}, exitHeld, "", ""},
		{[]string{"puthash chain b"}, exitHeld, "3826002220", ""},
		{[]string{"put k -- -5"}, exitHeld, "", ""},
		{[]string{"get k"}, exitHeld, "-5", ""},
		{[]string{"put", "", ""}, exitHeld, "", ""},
		{[]string{"get", ""}, exitHeld, "", ""},
		{[]string{"delete k"}, exitHeld, "", ""},
		{[]string{"get k"}, exitBroken, "", "no such key"},

		{[]string{"get"}, exitUsage, "", "get wants KEY, and not 0 arguments"},
		{[]string{"put k two words"}, exitUsage, "", "put wants KEY and VALUE, and not 3 arguments; what has spaces in it goes in quotes"},
		{[]string{"put k -5"}, exitUsage, "", "goes after --"},
		{[]string{"cas k - -"}, exitUsage, "", "OLD and NEW: only one of them can be standard input"},
		{[]string{"get k --timeout -1s"}, exitUsage, "", "--timeout -1s: must not be negative"},
		{[]string{"get k --route x"}, exitUsage, "", `--route "x"`},
		{[]string{"keys --limit -1"}, exitUsage, "", "--limit -1: must not be negative"},
		{[]string{"put k", strings.Repeat("v", int(defaultMaxValue)+1)}, exitFailed, "", "16777217 bytes, the limit is 16777216; it did not run"},
	} {
		got := c.run(tc.line[0], tc.line[1:]...)
		require.Equal(t, tc.code, got.code, "%.50q: %s", tc.line, got.stderr)
		require.Equal(t, tc.stdout, got.stdout, "%.50q", tc.line)
		require.Contains(t, got.stderr, tc.stderr, "%.50q", tc.line)
		require.Equal(t, tc.stderr == "", got.stderr == "", "%.50q: %s", tc.line, got.stderr)
	}
}

func TestValuesPassThroughPipesUnchanged(t *testing.T) {
	c := startLocalCluster(t, 1)
	for name, value := range map[string]string{
		"empty": "", "a line": "hello\n", "blank": " \r\n\n", "no text": "\x00\xff\xfe\x00", "a dash": "-",
		"the largest": strings.Repeat("x", int(defaultMaxValue)),
	} {
		got := c.reading(value, "put", name, "-")
		require.Equal(t, exitHeld, got.code, "%s: %s", name, got.stderr)
		got = c.run("get", name)
		require.Equal(t, exitHeld, got.code, "%s: %s", name, got.stderr)
		require.True(t, value == got.stdout, "%s: %d bytes came back of %d", name, len(got.stdout), len(value))

		require.Equal(t, exitHeld, c.reading(value, "cas", name, "-", "new").code, name)
		got = c.run("get", name)
		require.Equal(t, "new", got.stdout)
	}
}

// endless is a standard input that has no end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestStandardInputIsReadNoFurtherThanAValueGoes(t *testing.T) {
	c := startLocalCluster(t, 1)
	in := new(endless)
	got := tandemReading(t.Context(), in, c.args("put k -")...)
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "reading VALUE from standard input: there is more than 16777216 bytes")
	require.Contains(t, got.stderr, "nothing was sent")
	require.LessOrEqual(t, in.read, 2*int(defaultMaxValue))
	require.Equal(t, exitBroken, c.run("get k").code)
}

func TestAnswersAsJSON(t *testing.T) {
	c := startLocalCluster(t, 1)
	for _, tc := range []struct {
		line, value string
		code        int
		want        string
	}{
		{"get k --json", "", exitBroken, `{"key":"k","outcome":"absent","error":"no such key: \"k\""}`},
		{"put k - --json", "<\xff>", exitHeld, `{"key":"k","outcome":"done"}`},
		{"get k --json", "", exitHeld, `{"key":"k","value_base64":"PP8+","outcome":"done"}`},
		{"puthash k - --json", "<b>", exitHeld, `{"key":"k","previous_base64":"PP8+","outcome":"done"}`},
		{"get k --json", "", exitHeld, `{"key":"k","value":"` + strconv.Itoa(int(kv.Hash("<\xff><b>"))) + `","outcome":"done"}`},
		{"puthash l x --json", "", exitHeld, `{"key":"l","previous":"","outcome":"done"}`},
		{"cas l x y --json", "", exitBroken, `{"key":"l","outcome":"different","error":"the value is not \"x\", and stays"}`},
		{"delete l --json", "", exitHeld, `{"key":"l","outcome":"done"}`},
	} {
		got := c.reading(tc.value, tc.line)
		require.Equal(t, tc.code, got.code, "%s: %s", tc.line, got.stderr)
		require.Equal(t, tc.want+"\n", got.stdout, tc.line)
	}
}

// Whoever did not hear of an update must not take it for failed, nor a read for more.
func TestStatusTellsFailedFromUnknown(t *testing.T) {
	c := startLocalCluster(t, 1)
	require.Equal(t, exitHeld, c.run("put k v").code, "there is a primary")
	primary, hole, none := c.servers[0].Addr(), blackHole(t), nobody(t)
	lossy, _ := swallower(t, primary)
	const gaveUp = "gave up after 2s: "
	for _, tc := range []struct {
		line    string
		value   string
		route   string
		code    int
		outcome outcome
		says    []string
	}{
		{"put k -", swallow, primary + "=" + lossy, exitUnknown, outcomeUnknown,
			[]string{gaveUp, primary, "outcome unknown: it may have run, or may run yet"}},
		{"cas k v -", swallow, primary + "=" + lossy, exitUnknown, outcomeUnknown, []string{"outcome unknown"}},
		{"put k -", swallow, primary + "=" + hole, exitFailed, outcomeFailed, []string{gaveUp, primary, "it did not run"}}, // no session
		{"get k", "", primary + "=" + hole, exitFailed, outcomeFailed, []string{gaveUp, primary, "; it did not run"}},
		{"put k w", "", primary + "=" + none, exitFailed, outcomeFailed, []string{gaveUp, "connection refused", "it did not run"}},
		{"put k w", "", c.monitor.Addr() + "=" + hole, exitFailed, outcomeFailed, []string{gaveUp, c.monitor.Addr(), "it did not run"}},
		{"get k", "", c.monitor.Addr() + "=" + none, exitFailed, outcomeFailed, []string{gaveUp, c.monitor.Addr(), "connection refused"}},
	} {
		t.Run(tc.line+" "+tc.route, func(t *testing.T) {
			t.Parallel()
			got := c.reading(tc.value, tc.line, "--json", "--timeout", "2s", "--route", tc.route)
			require.Equal(t, tc.code, got.code, got.stderr)
			for _, says := range tc.says {
				require.Contains(t, got.stderr, says)
			}
			var a jsonAnswer
			require.NoError(t, json.Unmarshal([]byte(got.stdout), &a))
			require.Equal(t, tc.outcome, a.Outcome)
			require.Contains(t, got.stderr, a.Error)
		})
	}
}

func TestAnInterruptSaysWhatMayHaveHappened(t *testing.T) {
	c := startLocalCluster(t, 1)
	require.Equal(t, exitHeld, c.run("put k v").code, "there is a primary")
	interrupted := func(when <-chan struct{}, stdin io.Reader, args ...string) ran {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			<-when
			cancel()
		}()
		return tandemReading(ctx, stdin, args...)
	}
	const aMoment = 100 * time.Millisecond // any would do
	soon := func() <-chan struct{} {
		over := make(chan struct{})
		time.AfterFunc(aMoment, func() { close(over) })
		return over
	}

	lossy, swallowed := swallower(t, c.servers[0].Addr())
	got := interrupted(swallowed, strings.NewReader(swallow), c.args("put k - --timeout 0 --route", c.servers[0].Addr()+"="+lossy)...)
	require.Equal(t, exitUnknown, got.code, got.stderr)
	require.Contains(t, got.stderr, "interrupted: ")
	require.Contains(t, got.stderr, "outcome unknown")

	got = interrupted(soon(), strings.NewReader(swallow), c.args("put k - --timeout 0 --route", c.monitor.Addr()+"="+blackHole(t))...)
	require.Equal(t, exitFailed, got.code, got.stderr)
	require.Contains(t, got.stderr, "interrupted: ")
	require.Contains(t, got.stderr, "it did not run")

	in, out := io.Pipe() // nothing comes
	defer out.Close()
	got = interrupted(soon(), in, c.args("put k -")...)
	require.Equal(t, exitFailed, got.code, got.stderr)
	require.Contains(t, got.stderr, "reading VALUE from standard input: interrupted; nothing was sent")
}

func TestWhatIsWaitedForIsToldWhileThereIsTimeToMendIt(t *testing.T) {
	m, err := sysmonitor.Start("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	var said lines
	done := make(chan int)
	go func() {
		done <- run(t.Context(), []string{"put", "k", "v", "--monitor", m.Addr(), "--timeout", "0"}, strings.NewReader(""), io.Discard, &said)
	}()
	eventually(t, func() bool {
		return strings.Contains(said.String(), "tandem put: still trying: no view yet from the view service at "+m.Addr()+"\n")
	}, "what is waited for")
	s, err := kvservice.Start(m.Addr(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	require.Equal(t, exitHeld, <-done)
}

// lines is what was written, by several goroutines perhaps.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// closedPipe takes nothing.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAnAnswerThatCannotBeWritten(t *testing.T) {
	c := startLocalCluster(t, 1)
	require.Equal(t, exitHeld, c.run("put k v").code)
	for line, code := range map[string]int{"get k": exitFailed, "keys": exitFailed, "puthash k w": exitUnknown} {
		for _, args := range [][]string{c.args(line), c.args("shell")} {
			var stderr strings.Builder
			require.Equal(t, code, run(t.Context(), args, strings.NewReader(line), closedPipe{}, &stderr), args)
			require.Contains(t, stderr.String(), "writing the answer: ", args)
		}
	}
	require.NotEqual(t, "v", c.run("get k").stdout, "the update that was not told of")
}

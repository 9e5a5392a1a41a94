package kvservice

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/sysmonitor"
)

// journal is what servers log at the default level, each by its name.
type journal struct {
	mu    sync.Mutex
	lines map[string][]string
}

// logger returns a logger for a server.
func (j *journal) logger(name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.lines == nil {
			j.lines = make(map[string][]string)
		}
		_, line, _ := strings.Cut(strings.TrimSpace(string(p)), " ") // without the time
		j.lines[name] = append(j.lines[name], line)
		return len(p), nil
	}), nil))
}

// of returns what a server has logged.
func (j *journal) of(name string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines[name])
}

// with returns the lines of a server's that hold a text.
func (j *journal) with(name, text string) []string {
	return slices.DeleteFunc(j.of(name), func(line string) bool { return !strings.Contains(line, text) })
}

// A healthy group logs a line for each view and each pair in sync, and no other.
func TestLogHasAViewALineAndWhatItChanges(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	var j journal
	start := func(name string) *KVServer {
		return startServer(t, m, filepath.Join(dir, name), WithLogger(j.logger(name)))
	}
	await := func(name, text string) {
		t.Helper()
		require.Eventually(t, func() bool { return len(j.with(name, text)) > 0 }, soon, time.Millisecond, "%s: %s", name, text)
	}
	a := start("a")
	await("a", "number=1")
	b := start("b")
	await("a", "in sync")
	await("b", "in sync")
	start("c")
	await("c", "number=2")
	c := MakeKVClient(m.Addr())
	defer c.Close()
	for i := range 100 {
		c.Put(fmt.Sprint(i), "v")
	}
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	require.NoError(t, a.Shutdown(ctx))
	await("b", "number=4")
	await("b", "view=4")
	await("c", "view=4")
	require.NoError(t, b.Shutdown(ctx))
	await("c", "number=5")

	for name, want := range map[string][]string{
		"a": {
			`number=1 .*role=primary why="became primary: it is the first server of the cluster"`,
			`number=2 .*role=primary why="got a backup, to be brought up to date: DIR/b"`,
			`msg="in sync" .*view=2 keys=0 bytes=0 took=\S+ backup=DIR/b why="the backup has all`,
			`number=[34] primary=DIR/b .*role=idle why="handed over to DIR/b"`, // view 3 may be over before it hears of it
		},
		"b": {
			`number=2 .*role=backup why="became backup: DIR/a brings it up to date"`,
			`msg="in sync" .*view=2 .*primary=DIR/a why="took in the whole state"`,
			`number=3 .*role=primary why="became primary: it was the backup of DIR/a in view 2"`,
			`number=4 .*role=primary why="got a backup, to be brought up to date: DIR/c"`,
			`msg="in sync" .*view=4 keys=100 bytes=290 took=`,
			`number=5 .*role=idle why="handed over to DIR/c"`,
		},
		"c": {
			`number=2 .*role=idle why="stands by: the group has its members"`,
			`?number=3 .*role=idle why="DIR/b took over from DIR/a"`, // as above
			`number=4 .*role=backup why="became backup: DIR/b brings it up to date"`,
			`msg="in sync" .*view=4 keys=100 `,
			`number=5 .*role=primary why="became primary: it was the backup of DIR/b in view 4"`,
		},
	} {
		said := make(map[string]bool)
		for _, line := range j.of(name) {
			about := regexp.MustCompile(`^level=INFO msg=(view|"in sync") server=\S+ (number|view)=\d+ `).FindString(line)
			require.NotEmpty(t, about, "%s: %s", name, line)
			require.False(t, said[about], "%s: twice: %s", name, line)
			said[about] = true
			// A server may hear of a view that is over soon, before its first role and
			// after its last.
			for i, w := range want {
				w, optional := strings.CutPrefix(w, "?")
				if regexp.MustCompile(strings.ReplaceAll(w, "DIR", dir)).MatchString(line) {
					want = want[i+1:]
					break
				}
				if !optional {
					break
				}
			}
		}
		require.Empty(t, want, "%s: %q", name, j.of(name))
	}
}

func TestWhatAViewChangesForAServer(t *testing.T) {
	self := tandem.Server{Addr: "s", Incarnation: 1}
	v := func(number uint, primary, backup string) tandem.View {
		v := tandem.View{Viewnum: number, Primary: primary, Backup: backup}
		// Of what ran at the address before, the name is "old s".
		for _, m := range []struct {
			addr        *string
			incarnation *uint64
		}{{&v.Primary, &v.PrimaryIncarnation}, {&v.Backup, &v.BackupIncarnation}} {
			if *m.addr != "" {
				*m.incarnation = 1
			}
			if rest, old := strings.CutPrefix(*m.addr, "old "); old {
				*m.addr, *m.incarnation = rest, 7
			}
		}
		return v
	}
	for _, tc := range []struct {
		before, after tandem.View
		leaving       bool
		want          string
	}{
		{tandem.View{}, v(1, "s", ""), false, "became primary: it is the first server of the cluster"},
		{tandem.View{}, v(4, "s", ""), false, "became primary"},
		{v(1, "a", ""), v(2, "s", ""), false, "became primary: a is gone, the primary of view 1"},
		{v(2, "a", "s"), v(3, "s", ""), false, "became primary: it was the backup of a in view 2"},
		{v(1, "s", ""), v(2, "s", "b"), false, "got a backup, to be brought up to date: b"},
		{v(2, "s", "b"), v(4, "s", "c"), false, "got another backup, to be brought up to date: c"},
		{v(2, "s", "old b"), v(4, "s", "b"), false, "got another backup, to be brought up to date: b"},
		{v(2, "s", "b"), v(3, "s", ""), false, "goes on without backup: b was silent"},
		{v(2, "s", "b"), v(4, "s", "b"), false, "goes on as primary"},
		{tandem.View{}, v(2, "a", "s"), false, "became backup: a brings it up to date"},
		{v(3, "a", "b"), v(5, "a", "s"), false, "became backup: a brings it up to date"},
		{v(3, "s", ""), v(6, "a", "s"), false, "superseded: now backup of a"},
		{v(3, "a", "s"), v(7, "b", "s"), false, "still backup, now of b"},
		{v(3, "s", "a"), v(4, "a", ""), true, "handed over to a"},
		{v(3, "s", "a"), v(4, "a", ""), false, "superseded by a"},
		{v(3, "a", "s"), v(4, "a", ""), true, "left the role of backup"},
		{v(3, "a", "s"), v(4, "a", ""), false, "dropped as backup"},
		{tandem.View{}, v(4, "a", "old s"), false, "names what ran at this address before"},
		{tandem.View{}, v(4, "old s", "a"), false, "names what ran at this address before"},
		{tandem.View{}, v(4, "a", ""), false, "stands by"},
		{v(4, "a", "b"), v(5, "b", ""), false, "b took over from a"},
		{v(4, "a", "b"), v(5, "a", ""), false, "b is backup no more"},
		{v(4, "a", ""), v(5, "a", "b"), false, "b became backup"},
		{v(4, "a", "b"), v(6, "a", "b"), false, "the same members"},
	} {
		got := whatChanges(tc.before, tc.after, self, tc.leaving)
		require.True(t, strings.HasPrefix(got, tc.want), "%+v to %+v: %s", tc.before, tc.after, got)
	}
}

// V8: a backup that the primary does not reach is worth one warning, not one for
// each message that is sent again.
func TestASilentBackupIsWarnedOfOnce(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	faults := rpcnet.NewFaults(1)
	var j journal
	a := startServer(t, m, filepath.Join(dir, "a"), WithFaults(faults), WithLogger(j.logger("a")))
	require.Eventually(t, func() bool { return a.Status().Authority == "solo" }, soon, time.Millisecond)
	b := startServer(t, m, filepath.Join(dir, "b"), WithFaults(faults))
	require.Eventually(t, func() bool { return a.Status().BackupInSync && a.Status().Active }, soon, time.Millisecond)

	// Without the view service nothing comes of the report, and it stands.
	m.Kill()
	faults.Cut(a.Addr(), b.Addr())
	require.Eventually(t, func() bool { return len(j.with("a", "the backup does not answer")) > 0 }, soon, time.Millisecond)
	resends := a.Status().Resends
	require.Eventually(t, func() bool { return a.Status().Resends > resends }, soon, time.Millisecond)
	warned := j.with("a", "the backup does not answer")
	require.Len(t, warned, 1)
	require.Regexp(t, `level=WARN .*rule=V8 view=2 backup=`+b.Addr()+` silent=\d`, warned[0])
	require.Empty(t, j.with("a", "answers again"))

	faults.HealAll()
	require.Eventually(t, func() bool { return len(j.with("a", "the backup answers again")) == 1 }, soon, time.Millisecond)
	require.Len(t, j.with("a", "the view service does not answer"), 1)
}

// V0: a server of a cluster that was given up says once what to do with it, and
// does not pretend that it can hand over.
func TestAServerOfAClusterThatWasGivenUpSaysSo(t *testing.T) {
	dir := socketDir(t)
	data, addr := filepath.Join(dir, "data"), filepath.Join(dir, "monitor")
	m, err := sysmonitor.Start(addr, sysmonitor.WithData(data))
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	var j journal
	a := startServer(t, m, filepath.Join(dir, "a"), WithLogger(j.logger("a")))
	require.Eventually(t, func() bool { return a.Status().Authority == "solo" }, soon, time.Millisecond)
	m.Kill()

	d, err := sysmonitor.OpenData(data)
	require.NoError(t, err)
	_, err = d.StartOver()
	require.NoError(t, err)
	d.Close()
	m, err = sysmonitor.Start(addr, sysmonitor.WithData(data))
	require.NoError(t, err)
	t.Cleanup(m.Kill)

	require.Eventually(t, func() bool { return len(j.with("a", "of another cluster")) > 0 }, soon, time.Millisecond)
	sent := a.Status().PingsSent
	require.Eventually(t, func() bool { return a.Status().PingsSent > sent+3 }, soon, time.Millisecond)
	said := j.with("a", "of another cluster")
	require.Len(t, said, 1)
	require.Contains(t, said[0], "level=WARN")
	require.Contains(t, said[0], fmt.Sprintf("cluster=%x", a.Status().View.Cluster))

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, a.Shutdown(ctx), "another cluster")
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// status asks for the status of a cluster as JSON, and tells of the exit status.
func (c *localCluster) status(args ...string) (*statusReport, int) {
	c.t.Helper()
	got := c.tandem(append([]string{"status", "--json"}, args...)...)
	r := new(statusReport)
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	require.NoError(c.t, d.Decode(r), got.stderr)
	require.False(c.t, d.More(), "one object")
	return r, got.code
}

func TestStatusOfAHealthyCluster(t *testing.T) {
	c := startLocalCluster(t, 3)
	c.put(map[string]string{"a": "1", "b": "23"})
	require.Eventually(t, func() bool { return c.servers[1].Status().Keys == 2 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return c.servers[0].Status().BackupLag == 0 }, patience, time.Millisecond)
	r, code := c.status()
	require.Equal(t, exitHeld, code)
	require.Equal(t, serving, r.State)
	require.Empty(t, r.Why)
	require.Empty(t, r.Notes)
	require.NotNil(t, r.WaitsFor, "an empty list is a list")
	require.Equal(t, c.monitor.Addr(), r.Monitor.Addr)
	require.EqualValues(t, 20, r.Monitor.PingMillis)

	var lives []life
	for _, s := range c.servers {
		lives = append(lives, *newLife(s.Status().Server))
	}
	require.Equal(t, &viewReport{Number: 2, Active: true, Primary: &lives[0], Backup: &lives[1]}, r.View)
	require.Equal(t, lives[:2], r.InSync)
	require.Len(t, r.Servers, 3)
	for i, role := range []string{rolePrimary, roleBackup, roleIdle} {
		s := r.Servers[i]
		require.Equal(t, lives[i], s.life)
		require.Equal(t, role, s.Role)
		require.Equal(t, role, s.Told.Role)
		require.Equal(t, role != roleIdle, s.InSync)
		require.Equal(t, role != roleIdle, s.Told.PeerAgo != nil)
		require.Equal(t, role != roleIdle, s.Told.HoldsState)
		require.Equal(t, role == rolePrimary, s.Backup != nil)
		require.True(t, s.Monitor.Heard)
		require.NotZero(t, s.Totals.PingsAnswered)
		require.Equal(t, os.Getpid(), s.Process.PID)
		require.NotZero(t, s.Process.Memory)
		if role != roleIdle {
			require.EqualValues(t, 2, s.Told.Keys)
			require.EqualValues(t, 5, s.Told.Bytes)
			require.NotZero(t, s.Told.Sessions)
			require.Equal(t, r.Servers[0].Told.Index, s.Told.Index)
		}
	}
	require.Equal(t, "joint", r.Servers[0].Told.Authority)
	require.True(t, r.Servers[0].Backup.InSync)

	var rules []string
	for _, change := range r.Changes {
		rules = append(rules, change.Rule)
		require.NotEmpty(t, change.Reason)
	}
	require.Equal(t, []string{"V3", "V4", "V3", "V1"}, rules, "the latest first")
}

func TestStatusForPeople(t *testing.T) {
	c := startLocalCluster(t, 2)
	got := c.tandem("status", "--changes", "2")
	require.Equal(t, exitHeld, got.code, got.stderr)
	require.Empty(t, got.stderr)
	require.NotContains(t, got.stdout, "\x1b", "no colours where there is no terminal")
	require.True(t, strings.HasPrefix(got.stdout, "the group serves\n"))
	for _, want := range []string{"view      2, active", "primary   " + c.servers[0].Addr(), "backup    " + c.servers[1].Addr(),
		"INCARNATION", "LAG", "SESSIONS", "MEMORY", "HEARD BY MONITOR", "V4 idle server " + c.servers[1].Addr()} {
		require.Contains(t, got.stdout, want)
	}
	require.NotContains(t, got.stdout, "view 1", "two changes were asked for")
	for line := range strings.Lines(got.stdout) {
		require.LessOrEqual(t, len(line), plainWidth+1, line)
	}
}

func TestStatusWithoutABackup(t *testing.T) {
	c := startLocalCluster(t, 2)
	dead := c.servers[1]
	dead.Kill()
	require.Eventually(t, func() bool { return c.servers[0].Status().Authority == "solo" }, patience, time.Millisecond)
	r, code := c.status()
	require.Equal(t, exitHeld, code)
	require.Equal(t, serving, r.State)
	require.Nil(t, r.View.Backup)
	require.Contains(t, r.Notes, "no backup is in sync: the primary holds the only copy of the data")
	require.Contains(t, r.Notes, dead.Addr()+" does not answer: connect: connection refused")
	require.Nil(t, r.Servers[1].Told)
	require.True(t, r.Servers[1].Monitor.Suspected)

	text := c.tandem("status").stdout
	require.Contains(t, text, "! no backup is in sync")
	require.Contains(t, text, "silent")
}

// When the group is down it is told whose data is waited for.
func TestStatusOfAGroupThatIsDown(t *testing.T) {
	c := startLocalCluster(t, 1)
	lost := *newLife(c.servers[0].Status().Server)
	c.servers[0].Kill()
	c.until("it is down", func(st sysmonitor.Status) bool { return st.Down })
	c.join()
	c.until("another is there", func(st sysmonitor.Status) bool { return len(st.Servers) == 2 })
	r, code := c.status()
	require.Equal(t, exitBroken, code)
	require.Equal(t, down, r.State)
	require.Equal(t, []life{lost}, r.WaitsFor)
	require.Contains(t, r.Why, lost.String())

	got := c.tandem("status")
	require.Equal(t, exitBroken, got.code)
	require.True(t, strings.HasPrefix(got.stdout, "THE GROUP IS DOWN\n"))
	require.Contains(t, strings.Join(strings.Fields(got.stdout), " "), "it waits for the return of "+lost.String())
	require.Contains(t, got.stdout, "docs/operating.md")
}

func TestStatusBeforeThereIsAnyServer(t *testing.T) {
	c := startLocalCluster(t, 0)
	r, code := c.status()
	require.Equal(t, exitBroken, code)
	require.Equal(t, waiting, r.State)
	require.Equal(t, "no server has pinged yet; the first will be the primary", r.Why)
	require.Nil(t, r.View)
	require.Empty(t, r.Servers)
	require.Contains(t, c.tandem("status").stdout, "the group does not serve yet\n  no server has pinged yet")
}

func TestStatusOfNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	got := tandem(t, "status", "--monitor", nobody+",/not/there")
	require.Equal(t, exitFailed, got.code)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, nobody+",/not/there")
	require.Contains(t, got.stderr, "connection refused")

	got = tandem(t, "status", "--monitor", nobody, "--json")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stdout, `"state": "unknown"`)

	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.Equal(t, exitUnknown, tandemUntil(ctx, "status", "--monitor", nobody).code)
}

// A server that does not answer is told as such, and the others are told all the same.
func TestStatusOfAPrimaryThatCannotBeAsked(t *testing.T) {
	c := startLocalCluster(t, 2)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and answers nothing
	require.NoError(t, err)
	defer silent.Close()
	r, code := c.status("--route", c.servers[0].Addr()+"="+silent.Addr().String())
	require.Equal(t, exitUnknown, code)
	require.Equal(t, unclear, r.State)
	require.Equal(t, "the primary does not answer here: nothing came for 2s", r.Why)
	require.Equal(t, "nothing came for 2s", r.Servers[0].Error)
	require.NotNil(t, r.Servers[1].Told)
}

func TestWatchingGoesOnUntilItIsStopped(t *testing.T) {
	c := startLocalCluster(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		var stderr bytes.Buffer
		ended <- run(ctx, []string{"status", "--watch", "--json", "--interval", "1ms", "--monitor", c.monitor.Addr()},
			strings.NewReader(""), writer, &stderr)
		writer.Close()
	}()
	looks := json.NewDecoder(reader)
	next := func() *statusReport {
		r := new(statusReport)
		require.NoError(t, looks.Decode(r))
		return r
	}
	first := next()
	require.Equal(t, serving, first.State)

	c.join()
	for r := first; len(r.InSync) < 2; {
		r = next()
	}
	// Without the view service it is told what the servers say that it named.
	c.monitor.Kill()
	for r := first; r.Monitor.Error == ""; {
		if r = next(); r.Monitor.Error != "" {
			require.Equal(t, unclear, r.State)
			require.Len(t, r.Servers, 2)
			require.Equal(t, "joint", r.Servers[0].Told.Authority)
			require.Equal(t, rolePrimary, r.Servers[0].Role)
		}
	}
	stop()
	_, err := io.Copy(io.Discard, io.MultiReader(looks.Buffered(), reader))
	require.NoError(t, err)
	require.Equal(t, exitFailed, <-ended, "the last look found no view service")
}

func TestBlocksOfWatching(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	require.NoError(t, s.show("one\n"))
	require.NoError(t, s.show("two\n"))
	s.close("two\n")
	require.Equal(t, "one\n\ntwo\n", out.String())
}

func TestAPictureIsDrawnOverTheLast(t *testing.T) {
	var out bytes.Buffer
	s := &screen{w: &out, terminal: true}
	require.NoError(t, s.show("one\ntwo\n"))
	require.NoError(t, s.show("three\n"))
	s.close("three\n")
	require.Equal(t, otherScreen+toTop+"one"+endOfLine+"\r\ntwo"+endOfLine+belowHere+
		toTop+"three"+endOfLine+belowHere+firstScreen+"three\n", out.String())
}

func TestStatusFlagsThatMakeNoSense(t *testing.T) {
	for line, says := range map[string]string{
		"status --interval 0s": "--interval 0s: must be more than nothing",
		"status --changes -1":  "--changes -1: must not be negative",
		"status --monitor ,":   "--monitor",
		"status extra":         "status takes no arguments",
	} {
		got := tandem(t, strings.Fields(line)...)
		require.Equal(t, exitUsage, got.code, line)
		require.Contains(t, got.stderr, says, line)
		require.Empty(t, got.stdout, line)
	}
}

// What is seldom, and hard to bring about, is told from what was said.
func TestNotes(t *testing.T) {
	p, b := sysmonitor.Server{Addr: "p:1", Incarnation: 1}, sysmonitor.Server{Addr: "b:1", Incarnation: 2}
	view := kv.View{Viewnum: 4, Primary: p.Addr, PrimaryIncarnation: 1, Backup: b.Addr, BackupIncarnation: 2}
	base := func() *survey {
		return &survey{
			monitor: &sysmonitor.Status{Addr: "m:1", View: view, Active: 4, InSync: []sysmonitor.Server{p, b}},
			servers: []surveyed{
				{addr: p.Addr, known: &sysmonitor.ServerStatus{Server: p, Heard: true},
					told: &kvservice.Status{Server: p, View: view, Role: rolePrimary, Authority: "joint"}},
				{addr: b.Addr, known: &sysmonitor.ServerStatus{Server: b, Heard: true},
					told: &kvservice.Status{Server: b, View: view, Role: roleBackup, Authority: authorityNone}},
			},
		}
	}
	require.Empty(t, base().report().Notes)
	for _, tc := range []struct {
		about  string
		change func(*survey)
		state  string
		note   string
	}{
		{"full disk", func(v *survey) { v.monitor.DiskTrouble = "no space left on device" }, serving,
			"the view service cannot keep a view, and announces no other until it can: no space left on device"},
		{"transfer", func(v *survey) { v.servers[0].told.TransferRunning, v.servers[0].told.TransferChunks = true, 1234 }, serving,
			"p:1 brings its backup up to date: 1,234 chunks taken so far"},
		{"unreachable", func(v *survey) { v.servers[0].told.BackupUnreachable = true }, serving,
			"p:1 cannot reach its backup, and has reported that (V8)"},
		{"cooling down", func(v *survey) { v.servers[1].known.CoolDown = 2500 * time.Millisecond }, serving,
			"b:1 was unreachable for its primary; it may be backup again in 2.5 s (V8)"},
		{"unheard", func(v *survey) { v.servers[1].known.Heard = false }, serving,
			"b:1 has not been heard by the view service since that restarted"},
		{"leaving", func(v *survey) { v.servers[0].told.Leaving, v.servers[0].told.LeaveWaitsFor = true, "a backup" }, serving,
			"p:1 is leaving, and waits: a backup"},
		{"no answer to pings", func(v *survey) {
			v.servers[1].told.MonitorTrouble, v.servers[1].told.MonitorSilent = "connection refused", 3*time.Second
		}, serving, "b:1 had no answer from the view service for 3.0 s: connection refused"},
		{"gone while it was leaving", func(v *survey) {
			v.servers[1].told, v.servers[1].err, v.servers[1].known.Leaving = nil, errors.New("connection refused"), true
		}, serving, "b:1 does not answer: connection refused"},
		{"no authority yet", func(v *survey) { v.servers[0].told.Authority = authorityNone }, waiting, ""},
		{"restarted a moment ago", func(v *survey) { v.servers[0].told.Server.Incarnation = 9 }, waiting, ""},
		{"no answer", func(v *survey) { v.servers[0].told, v.servers[0].err = nil, errors.New("the wire is cut") }, unclear,
			"p:1 does not answer: the wire is cut"},
		{"lost memory", func(v *survey) {
			v.monitor.Down, v.monitor.LostMemory, v.monitor.Why = true, true, "it has lost its memory"
		}, down, ""},
	} {
		v := base()
		tc.change(v)
		r := v.report()
		require.Equal(t, tc.state, r.State, tc.about)
		require.Equal(t, tc.state != serving, r.Why != "", tc.about)
		if tc.note != "" {
			require.Equal(t, []string{tc.note}, r.Notes, tc.about)
		}
		require.Empty(t, r.WaitsFor, tc.about)
	}
	v := base()
	c := sysmonitor.Server{Addr: "c:1", Incarnation: 3}
	v.servers = append(v.servers, surveyed{addr: c.Addr, err: errors.New("connection refused"),
		known: &sysmonitor.ServerStatus{Server: c, Heard: true, Suspected: true, Leaving: true}})
	require.Empty(t, v.report().Notes, "it has left in order, and nobody has to look after it")
	v.servers[2].known.Leaving = false
	require.NotEmpty(t, v.report().Notes)
}

//go:build unix

package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
)

// record keeps the events of a cluster.
type record struct {
	t *testing.T

	mu     sync.Mutex
	events []Event
	more   chan struct{} // closed when there is one more
}

func (r *record) notify(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.t.Log(e)
	r.events = append(r.events, e)
	close(r.more)
	r.more = make(chan struct{})
}

// await returns the index of the first event from the given one on that is as
// wanted.
func (r *record) await(from int, what string, wanted func(Event) bool) int {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		events, more := r.events, r.more
		r.mu.Unlock()
		for ; from < len(events); from++ {
			if wanted(events[from]) {
				return from
			}
		}
		select {
		case <-more:
		case <-timeout:
			r.t.Fatalf("never seen: %s", what)
		}
	}
}

func (r *record) at(i int) Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[i]
}

// texts returns what was told from the given event on, but for the times.
func (r *record) texts(from int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for _, e := range r.events[from:] {
		texts = append(texts, e.Text)
	}
	return texts
}

// withBackup is an active view that has one.
func withBackup(e Event) bool { return e.Kind == ViewActive && e.Backup != "" }

// settings returns those of a cluster of copies of this test binary.
func settings(t *testing.T) (Settings, *record) {
	t.Helper()
	t.Setenv(partVariable, "tandem")
	exe, err := os.Executable()
	require.NoError(t, err)
	r := &record{t: t, more: make(chan struct{})}
	// The dead time is long: a busy machine must not look like a death.
	return Settings{Binary: exe, RunDir: t.TempDir(), DeadPings: 50, Notify: r.notify}, r
}

// up starts a cluster, which is killed when the test ends.
func up(t *testing.T, cfg *Config, set Settings) *Supervisor {
	t.Helper()
	s, err := Up(t.Context(), cfg, set)
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

func client(t *testing.T, s *Supervisor) *kvservice.KVClient {
	t.Helper()
	c := kvservice.MakeKVClient(s.MonitorAddr())
	t.Cleanup(c.Close)
	return c
}

func TestClusterGoesOnWhenItsPrimaryIsKilled(t *testing.T) {
	set, r := settings(t)
	s := up(t, Loopback(0, 3), set)
	active := r.await(0, "a view with a backup", withBackup)
	c := client(t, s)
	require.NoError(t, c.PutContext(t.Context(), "greeting", "hello"))

	old := r.at(active)
	require.Equal(t, "server-1", old.Primary, "the first to be started")
	before := s.Servers()[0].Ready
	require.Equal(t, before.PID, old.PID)
	require.NoError(t, syscall.Kill(before.PID, syscall.SIGKILL))

	ended := r.await(active, "the end of the primary", func(e Event) bool { return e.Kind == Ended })
	require.Equal(t, fmt.Sprintf("server-1 (pid %d): killed by SIGKILL", before.PID), r.at(ended).Text)
	again := r.await(ended, "its next life", func(e Event) bool { return e.Kind == Started })
	require.Equal(t, before.Addr, r.at(again).Addr, "at its old port")
	require.NotEqual(t, before.PID, r.at(again).PID)
	next := r.await(ended, "another primary with a backup", withBackup)
	require.NotEqual(t, "server-1", r.at(next).Primary)
	made := r.await(active, "the view in which it follows", func(e Event) bool { return e.Kind == ViewMade })
	require.Contains(t, r.at(made).Text, fmt.Sprintf("primary server-1 (pid %d)", before.PID), "the reason has names")

	v, err := c.GetContext(t.Context(), "greeting")
	require.NoError(t, err)
	require.Equal(t, "hello", v)
	for _, m := range s.Servers() {
		require.False(t, gone(m.Ready.PID), m.Name)
	}
	for _, name := range []string{"monitor", "server-1", "server-2", "server-3"} {
		require.FileExists(t, filepath.Join(set.RunDir, name+".log"))
	}
}

func TestClusterStopsInOrder(t *testing.T) {
	set, r := settings(t)
	s := up(t, Loopback(0, 3), set)
	r.await(0, "a view with a backup", withBackup)
	var pids []int
	for _, m := range s.Servers() {
		pids = append(pids, m.Ready.PID)
	}
	r.mu.Lock()
	from := len(r.events)
	r.mu.Unlock()
	s.Stop(t.Context())

	// Beside the views that are made of it.
	texts := slices.DeleteFunc(r.texts(from), func(s string) bool { return strings.HasPrefix(s, "view ") })
	want := []string{
		"server-3 (pid %d), idle, is asked to leave",
		"server-3 (pid %d): left in order",
		"server-2 (pid %d), backup, is asked to leave",
		"server-2 (pid %d): left in order",
		"server-1 (pid %d), primary, has nobody to hand over to, and is ended",
		"server-1 (pid %d): ended, as it was told",
	}
	for i := range want {
		want[i] = fmt.Sprintf(want[i], pids[2-i/2])
	}
	require.Equal(t, want, texts[:6])
	require.Regexp(t, `^monitor \(pid \d+\) is asked to leave$`, texts[6])
	require.Regexp(t, `^monitor \(pid \d+\): left in order$`, texts[7])
	require.Len(t, texts, 8)
	for _, pid := range pids {
		require.True(t, gone(pid))
	}
	s.Stop(t.Context())
	s.Kill()
	require.Len(t, slices.DeleteFunc(r.texts(from), func(s string) bool { return strings.HasPrefix(s, "view ") }), 8, "there is nothing left to stop")
}

func TestClusterStopsAtOnce(t *testing.T) {
	set, r := settings(t)
	s := up(t, Loopback(0, 2), set)
	r.await(0, "a view with a backup", withBackup)
	// The one that is to leave first does not hear of it.
	backup := s.Servers()[1].Ready.PID
	require.NoError(t, s.process(s.servers[1]).Freeze())
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Stop(ctx)
	}()
	r.await(0, "the departure", func(e Event) bool { return e.Kind == Leaving })
	cancel()
	<-stopped
	last := r.await(0, "its end", func(e Event) bool { return e.Kind == Ended && e.PID == backup })
	require.True(t, gone(backup))
	require.Contains(t, r.at(last).Text, "killed by SIGKILL")
	for _, m := range s.Servers() {
		require.Zero(t, m.Ready)
	}
}

func TestClusterThatIsDownStops(t *testing.T) {
	set, r := settings(t)
	s := up(t, Loopback(0, 1), set)
	r.await(0, "an active view", func(e Event) bool { return e.Kind == ViewActive })
	require.NoError(t, syscall.Kill(s.Servers()[0].Ready.PID, syscall.SIGKILL))
	down := r.await(0, "the group is down", func(e Event) bool { return e.Kind == GroupDown })
	require.Regexp(t, `^the group is down: .*server-1 \(pid \d+\).*; the processes that held it have ended, and nothing brings it back`, r.at(down).Text)
	r.await(0, "its next life", func(e Event) bool { return e.Kind == Started && e.Name == "server-1" && e.PID != r.at(1).PID })
	s.Stop(t.Context())
	r.await(down, "why it does not leave", func(e Event) bool {
		return e.Kind == Note && strings.HasPrefix(e.Text, "nobody can hand over anything: the group is down")
	})
	ended := r.await(down, "that it is ended", func(e Event) bool { return e.Kind == Leaving && strings.HasSuffix(e.Text, "is ended") })
	require.Contains(t, r.at(ended).Text, ", idle,", "its former life was the primary")
}

func TestPortThatIsTaken(t *testing.T) {
	set, r := settings(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := Loopback(0, 2)
	cfg.Servers[1].Port, err = portOf(l.Addr().String())
	require.NoError(t, err)
	_, err = Up(t.Context(), cfg, set)
	require.ErrorContains(t, err, "server-2 ended before it was ready: exit status 3: listen tcp "+l.Addr().String())
	require.ErrorContains(t, err, "address already in use")
	started, ended := 0, 0
	for _, e := range r.events {
		switch e.Kind {
		case Started:
			started++
		case Ended:
			ended++
		}
	}
	require.Equal(t, []int{2, 2}, []int{started, ended}, "the monitor and server-1: nothing is left")
}

func TestProcessThatKeepsDyingIsStartedMoreAndMoreRarely(t *testing.T) {
	set, r := settings(t)
	s := up(t, Loopback(0, 1), set)
	// Its port is taken as soon as it is free.
	m := s.Servers()[0]
	require.NoError(t, syscall.Kill(m.Ready.PID, syscall.SIGSTOP))
	require.NoError(t, syscall.Kill(m.Ready.PID, syscall.SIGKILL))
	var l net.Listener
	require.Eventually(t, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", m.Ready.Addr)
		return err == nil
	}, patience, time.Millisecond)
	from, pauses := 0, []string(nil)
	for range 3 {
		from = r.await(from+1, "another attempt", func(e Event) bool { return e.Kind == Restarting })
		pauses = append(pauses, r.at(from).Text)
	}
	require.Equal(t, []string{"server-1 is started again in 200ms", "server-1 is started again in 400ms", "server-1 is started again in 800ms"}, pauses)
	failed := r.await(0, "a failure", func(e Event) bool { return e.Kind == Failed })
	require.Contains(t, r.at(failed).Text, "address already in use")
	l.Close()
	r.await(from, "that it lives", func(e Event) bool { return e.Kind == Started && e.Addr == m.Ready.Addr })
}

func TestBackoff(t *testing.T) {
	var b backoff
	var pauses []time.Duration
	for range 7 {
		pauses = append(pauses, b.next(time.Second))
	}
	const s = time.Second
	require.Equal(t, []time.Duration{s / 5, 2 * s / 5, 4 * s / 5, 8 * s / 5, 16 * s / 5, 5 * s, 5 * s}, pauses)
	require.Equal(t, s/5, b.next(goodLife), "a good life makes up for it")
}

func TestRunFolderOfAnotherRun(t *testing.T) {
	set, _ := settings(t)
	require.NoError(t, os.Mkdir(filepath.Join(set.RunDir, "monitor-data"), 0o755))
	_, err := Up(t.Context(), Loopback(0, 1), set)
	require.ErrorContains(t, err, "earlier run")
}

func TestTwoNamesOfOnePlace(t *testing.T) {
	set, _ := settings(t)
	cfg := Loopback(7000, 1)
	cfg.Servers[0] = Place{"::ffff:127.0.0.1", 7000}
	_, err := Up(t.Context(), cfg, set)
	require.EqualError(t, err, "server-1: ::ffff:127.0.0.1 with port 7000 is where monitor is")
}

// A host that is not this one is played by a script: it has no settings of this
// process, and knows the command by the words of a shell alone.
func TestRemoteServers(t *testing.T) {
	set, r := settings(t)
	here := resolve
	defer func() { resolve = here }()
	resolve = func(ctx context.Context, host string) (string, bool, error) {
		if host == "localhost" {
			return loopback, false, nil
		}
		return here(ctx, host)
	}

	dir := t.TempDir()
	script := filepath.Join(dir, "fake ssh")
	require.NoError(t, os.WriteFile(script, []byte(`#!/bin/sh
# As ssh does: the words after the host are joined and given to the shell there.
host=$1; shift
echo "Welcome to $host"
env -i PATH="$PATH" `+partVariable+`=tandem /bin/sh -c "$*"
exit $?
`), 0o755))
	binary := filepath.Join(dir, "the 'binary'")
	require.NoError(t, os.Symlink(set.Binary, binary))
	cfg := Loopback(0, 2)
	cfg.Servers[1].Host = "localhost"
	cfg.Remote = Remote{Command: "'" + script + "' {host} {command}", Binary: binary}
	s := up(t, cfg, set)
	active := r.await(0, "a view with a backup", withBackup)
	require.Equal(t, "server-2", r.at(active).Backup)
	there := s.Servers()[1].Ready
	require.NotEqual(t, there.PID, s.process(s.servers[1]).Local())
	require.Regexp(t, `^localhost:[1-9]\d*$`, there.Reach(), "by its name")
	started := r.await(0, "its start", func(e Event) bool { return e.Kind == Started && e.Name == "server-2" })
	require.Equal(t, fmt.Sprintf("server-2 (pid %d on localhost) listens on %s", there.PID, there.Reach()), r.at(started).Text)

	// It dies there, and comes back at its port.
	require.NoError(t, syscall.Kill(there.PID, syscall.SIGKILL))
	ended := r.await(active, "its end", func(e Event) bool { return e.Kind == Ended && e.PID == there.PID })
	again := r.await(ended, "its next life", func(e Event) bool { return e.Kind == Started })
	require.Equal(t, there.Reach(), r.at(again).Addr)
	r.await(again, "that it is a backup again", withBackup)

	// The way to it dies, and with it what runs there.
	there = s.Servers()[1].Ready
	require.NoError(t, syscall.Kill(s.process(s.servers[1]).Local(), syscall.SIGKILL))
	require.Eventually(t, func() bool { return gone(there.PID) }, patience, 5*time.Millisecond)
	r.await(again, "that it is a backup again", func(e Event) bool { return withBackup(e) && e.View > r.at(active).View+2 })

	there = s.Servers()[1].Ready
	s.Stop(t.Context())
	require.True(t, gone(there.PID))
	r.await(0, "its departure", func(e Event) bool { return e.PID == there.PID && strings.HasSuffix(e.Text, ": left in order") })
}

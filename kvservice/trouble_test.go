package kvservice

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor"
)

// Whoever gives up should learn what he was waiting for.
func TestErrorOfARequestGivenUpSaysWhatItWaitedFor(t *testing.T) {
	giveUp := func(t *testing.T, c *KVClient) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		err := c.PutContext(ctx, "k", "v")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		return err
	}
	client := func(t *testing.T, monitor string) *KVClient {
		c := MakeKVClient(monitor)
		t.Cleanup(c.Close)
		return c
	}

	t.Run("there is no view", func(t *testing.T) {
		m := startMonitor(t, socketDir(t))
		err := giveUp(t, client(t, m.Addr()))
		require.ErrorContains(t, err, "no view yet from the view service at "+m.Addr())
	})
	t.Run("the view service lost its memory", func(t *testing.T) {
		dir := socketDir(t)
		m := startMonitor(t, dir)
		s := startServer(t, m, filepath.Join(dir, "a"))
		client(t, m.Addr()).Put("k", "v")
		m.Kill()
		m = startMonitor(t, dir)
		require.Eventually(t, func() bool { return m.Status().LostMemory }, 20*time.Second, time.Millisecond)
		err := giveUp(t, client(t, m.Addr()))
		require.ErrorIs(t, err, tandem.ErrLostMemory)
		require.ErrorContains(t, err, m.Addr())
		s.Kill()
	})
	t.Run("the primary is gone", func(t *testing.T) {
		dir := socketDir(t)
		m := startMonitor(t, dir)
		s := startServer(t, m, filepath.Join(dir, "a"))
		c := client(t, m.Addr())
		c.Put("k", "v")
		s.Kill()
		require.ErrorContains(t, giveUp(t, c), s.Addr())
	})
	t.Run("there is no room for a session", func(t *testing.T) {
		dir := socketDir(t)
		m := startMonitor(t, dir)
		startServer(t, m, filepath.Join(dir, "a"), WithLimits(Limits{MaxSessions: 1}))
		client(t, m.Addr()).Put("k", "v")
		err := giveUp(t, client(t, m.Addr()))
		require.ErrorIs(t, err, tandem.ErrTooManySessions)
		require.NotErrorIs(t, err, ErrOutcomeUnknown)
	})
}

// And so should whoever goes on waiting.
func TestWaitingForIsToldWhileWaiting(t *testing.T) {
	dir := socketDir(t)
	c := MakeKVClient(filepath.Join(dir, "monitor"))
	t.Cleanup(c.Close)
	require.NoError(t, c.WaitingFor(0), "nothing is under way")
	put := make(chan error, 1)
	go func() { put <- c.PutContext(t.Context(), "k", "v") }()
	says := func(what string) {
		t.Helper()
		require.Eventually(t, func() bool {
			err := c.WaitingFor(0)
			return err != nil && strings.Contains(err.Error(), what)
		}, 20*time.Second, time.Millisecond, what)
	}
	says("no such file or directory")
	require.NoError(t, c.WaitingFor(time.Hour), "it has not been under way for so long")
	startServer(t, startMonitor(t, dir), filepath.Join(dir, "a"))
	require.NoError(t, <-put)
	require.NoError(t, c.WaitingFor(0), "it is done")
	c.Close()
	require.NoError(t, c.WaitingFor(0), "and so is the client")
}

// A server with a mistyped address must not just look idle.
func TestServerSaysThatTheViewServiceDoesNotAnswer(t *testing.T) {
	dir := socketDir(t)
	nobody := filepath.Join(dir, "nobody")
	said := make(chan string, 100)
	s, err := Start(nobody, filepath.Join(dir, "a"), WithLogger(slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		said <- string(p)
		return len(p), nil
	}), nil))))
	require.NoError(t, err)
	defer s.Kill()
	line := <-said
	require.Contains(t, line, "level=WARN")
	require.Contains(t, line, nobody)
	require.Contains(t, s.Status().MonitorTrouble, nobody)

	m, err := sysmonitor.Start(nobody)
	require.NoError(t, err)
	defer m.Kill()
	for !strings.Contains(line, "answers again") {
		line = <-said
		require.NotContains(t, line, "does not answer", "once, not with every ping")
	}
	require.Empty(t, s.Status().MonitorTrouble)
}

func TestNilLoggerIsTheDefault(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	startServer(t, m, filepath.Join(dir, "a"), WithLogger(nil))
	c := MakeKVClient(m.Addr(), WithLogger(nil))
	defer c.Close()
	c.Put("k", "v")
}

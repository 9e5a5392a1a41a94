package kvservice

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

func TestStartRefusesALeaseLongerThanTheGraceAllows(t *testing.T) {
	m := startMonitor(t, socketDir(t))
	for name, opt := range map[string]Option{
		"longer":            WithLeases(time.Second, 999*time.Millisecond, 0),
		"with such clocks":  WithLeases(time.Second, time.Second, 1),
		"negative":          WithLeases(-time.Second, time.Second, 0),
		"no clock like it":  WithLeases(time.Second, time.Hour, 1_000_000),
		"of unsure minutes": WithLeases(time.Hour, time.Hour+time.Second, 200),
	} {
		t.Run(name, func(t *testing.T) {
			addr := filepath.Join(socketDir(t), "a")
			_, err := Start(m.Addr(), addr, opt)
			require.ErrorIs(t, err, replica.ErrLease)
			require.ErrorContains(t, err, "ppm")
			require.NoFileExists(t, addr)
		})
	}
	startServer(t, m, filepath.Join(socketDir(t), "a"), WithLeases(time.Hour, time.Hour+2*time.Second, 200))
}

// R3: the check comes after the value is read. A server that stood still, since it
// last looked at the clock, for longer than its lease does not answer what it read.
func TestServerThatStoodStillDoesNotAnswerByLease(t *testing.T) {
	dir := socketDir(t)
	m := startMonitor(t, dir)
	leases := WithLeases(time.Second, 1001*time.Millisecond, 200)
	a := startServer(t, m, filepath.Join(dir, "a"), leases)
	c := MakeKVClient(m.Addr())
	defer c.Close()
	c.Put("x", "old")
	b := startServer(t, m, filepath.Join(dir, "b"), leases)
	query, err := store.GetQuery(&tandem.GetArgs{Key: "x"}, a.limits)
	require.NoError(t, err)
	read := replica.Request{Kind: replica.Read, Payload: query}
	answer := make(chan replica.Reply, 1)

	stopped, goOn := make(chan bool, 1), make(chan struct{})
	stop := func(l *loop) {
		leased := l.core.Status().LeaseUntil > time.Since(l.started)
		stopped <- leased
		if !leased {
			return
		}
		select {
		case <-goOn:
			l.submit(&read, waiter{answer: answer}) // as it wakes, before it looks at the clock again
		case <-a.ctx.Done():
		}
	}
	require.Eventually(t, func() bool { // or nobody could take over
		st := m.Status()
		return st.View.Backup == b.Addr() && st.Active == st.View.Viewnum
	}, 20*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return a.post(stop) && <-stopped }, 20*time.Second, time.Millisecond)
	require.Eventually(t, func() bool {
		st := m.Status()
		return st.View.Primary == b.Addr() && st.Active == st.View.Viewnum
	}, 20*time.Second, time.Millisecond)
	c.Put("x", "new")
	close(goOn)
	select {
	case r := <-answer:
		require.Equal(t, tandem.ErrWrongServer, r.Err)
	case <-time.After(20 * time.Second):
		t.Fatal("no answer, although there is a newer view")
	}
	require.Zero(t, a.Status().LeasedReads)
}

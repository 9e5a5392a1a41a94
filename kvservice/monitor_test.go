package kvservice

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/sysmonitor"
)

// A server whose connection to the view service breaks is suspected unless it pings soon
// (rule V7), so it does at once. (Here the next ping would be an hour away.)
func TestServerPingsAtOnceWhenItsConnectionToTheViewServiceBreaks(t *testing.T) {
	dir := socketDir(t)
	m, err := sysmonitor.Start(filepath.Join(dir, "monitor"), sysmonitor.WithPingInterval(time.Hour))
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	var mu sync.Mutex
	var conns []net.Conn
	a := startServer(t, m, filepath.Join(dir, "a"), WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, conn)
		}
		return conn, err
	}))
	var settled uint64
	require.Eventually(t, func() bool {
		st, waits := a.Status(), m.Status().Waiting > 0 // for news of views
		settled = st.PingsAnswered
		return st.Active && waits && st.PingsSent == settled
	}, soon, time.Millisecond)
	mu.Lock()
	for _, conn := range conns {
		conn.Close()
	}
	mu.Unlock()
	require.Eventually(t, func() bool { return a.Status().PingsAnswered > settled }, soon, time.Millisecond)
	require.EqualValues(t, 1, m.Status().View.Viewnum)
}

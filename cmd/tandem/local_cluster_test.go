package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// localCluster is a cluster in this process, which ends with its test.
type localCluster struct {
	t       *testing.T
	monitor *sysmonitor.MonitorServer
	servers []*kvservice.KVServer
	opts    []kvservice.Option
}

// startLocalCluster starts a view service and as many servers, one after the other:
// the first is the primary, and the second its backup, in sync. The options are the
// servers'.
func startLocalCluster(t *testing.T, servers int, opts ...kvservice.Option) *localCluster {
	t.Helper()
	m, err := sysmonitor.Start("127.0.0.1:0", sysmonitor.WithPingInterval(20*time.Millisecond), sysmonitor.WithDeadPings(10))
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	c := &localCluster{t: t, monitor: m, opts: opts}
	for i := range servers {
		c.join()
		c.until("the view is active", func(st sysmonitor.Status) bool {
			return len(st.Servers) == i+1 && st.Active == st.View.Viewnum && len(st.InSync) == min(i+1, 2)
		})
	}
	return c
}

// join starts one more server.
func (c *localCluster) join() *kvservice.KVServer {
	c.t.Helper()
	s, err := kvservice.Start(c.monitor.Addr(), "127.0.0.1:0", c.opts...)
	require.NoError(c.t, err)
	c.t.Cleanup(s.Kill)
	c.servers = append(c.servers, s)
	return s
}

// until waits until the view service says so.
func (c *localCluster) until(what string, ok func(sysmonitor.Status) bool) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return ok(c.monitor.Status()) }, patience, 5*time.Millisecond, what)
}

// client returns a client, which ends with the test.
func (c *localCluster) client() *kvservice.KVClient {
	client := kvservice.MakeKVClient(c.monitor.Addr())
	c.t.Cleanup(client.Close)
	return client
}

// put stores pairs.
func (c *localCluster) put(pairs map[string]string) {
	c.t.Helper()
	client := c.client()
	for key, value := range pairs {
		require.NoError(c.t, client.PutContext(c.context(), key, value))
	}
}

// pairs returns all that is stored.
func (c *localCluster) pairs() map[string]string {
	c.t.Helper()
	all := make(map[string]string)
	require.NoError(c.t, c.client().ScanContext(c.context(), "", func(key, value string) bool {
		all[key] = value
		return true
	}))
	return all
}

// context returns one that lasts as long as a test has patience.
func (c *localCluster) context() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	c.t.Cleanup(cancel)
	return ctx
}

// tandem carries out a command line on this cluster.
func (c *localCluster) tandem(args ...string) ran {
	c.t.Helper()
	return tandem(c.t, append(args, "--monitor", c.monitor.Addr())...)
}

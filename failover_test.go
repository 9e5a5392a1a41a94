package tandem_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// hours is an interval in which nothing that waits for a tick or for a ping happens
// before a test gives up.
const hours = 10 * time.Hour

// unhurried are clusters in which pings are hours apart, so that whatever happens, it is
// an event that brings it about and not the passing of time.
var unhurried = map[string]config{
	"unix": {monitor: []sysmonitor.Option{sysmonitor.WithPingInterval(hours)}},
	"tcp":  {monitor: []sysmonitor.Option{sysmonitor.WithPingInterval(hours)}, tcp: true},
}

// TestNoStepOfAFailoverWaits: V7, A2, C2. From the end of the primary's process to the
// answer of its successor there is no wait for a ping, a tick or a timeout: the
// connection that closes, a dial that is refused and calls that wait for news do it all.
// The same is true of the way back, of a new server into the view.
func TestNoStepOfAFailoverWaits(t *testing.T) {
	for network, cfg := range unhurried {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, cfg)
			v := c.pair()
			k := c.client("client")
			for _, value := range []string{"one", "two", "three", "four"} {
				c.put(k, "key", value)
				c.kill(v.primary)
				require.Equal(t, value, c.get(k, "key"))
				c.put(k, "key", value+" and more")
				c.waitRoles(v.backup, "")
				c.start(v.primary)
				c.waitRoles(v.backup, v.primary)
				v = c.waitInSync()
			}
		})
	}
}

// TestNoStepOfAHandOverWaits: V11. The same of a primary that leaves in order, as far as
// clients can see. (Its own end is another matter: it asks with its next tick whether
// its heir is active.)
func TestNoStepOfAHandOverWaits(t *testing.T) {
	for network, cfg := range unhurried {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, cfg)
			v := c.pair()
			k := c.client("client")
			for _, value := range []string{"one", "two", "three", "four"} {
				c.put(k, "key", value)
				leaver := c.server(v.primary)
				left := make(chan error, 1)
				go func() { left <- leaver.Shutdown(t.Context()) }()
				c.waitRoles(v.backup, "")
				require.Equal(t, value, c.get(k, "key"))
				c.put(k, "key", value+" and more")
				c.kill(v.primary)
				if err := <-left; err != nil { // it had not asked yet
					require.ErrorIs(t, err, kvservice.ErrStopped)
				}
				c.start(v.primary)
				c.waitRoles(v.backup, v.primary)
				v = c.waitInSync()
			}
		})
	}
}

package tandem_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// C1: clients ask the view service when they have no view, an error, ErrWrongServer or
// no answer for long, and not for each operation.
func TestClientsLeaveTheViewServiceAlone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	v := c.pair()
	const clients, operations = 4, 250
	asked := func() (n int) {
		for i := range clients {
			n += c.sent(fmt.Sprintf("k%d", i), "MonitorServer.Get")
		}
		return n
	}
	var all team
	var ks []*kvservice.KVClient
	for i := range clients {
		ks = append(ks, c.client(fmt.Sprintf("k%d", i)))
	}
	var slow atomic.Int32 // operations that took long enough to raise a doubt, or nearly
	timed := func(operation func() error) error {
		began := time.Now()
		err := operation()
		if time.Since(began) >= sysmonitor.PingInterval {
			slow.Add(1)
		}
		return err
	}
	for i, k := range ks {
		all.add(func() error {
			for j := range operations / 2 {
				key := fmt.Sprintf("%d.%d", i, j)
				if err := timed(func() error { return k.PutContext(t.Context(), key, "v") }); err != nil {
					return err
				}
				if err := timed(func() error { _, err := k.GetContext(t.Context(), key); return err }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	all.wait(t)
	if c.view() == v { // else a slow machine took one of the servers for dead
		assert.GreaterOrEqual(t, asked(), clients, "each client asks for its first view")
		assert.LessOrEqual(t, asked(), clients+int(slow.Load()), "and then only if there is no answer for long")
	}

	// A view change costs each client a few questions, however long it takes:
	// the view service answers when there is news.
	before := asked()
	c.kill("a")
	for _, k := range ks {
		all.add(func() error { return k.PutContext(t.Context(), "after", "v") })
		all.add(func() error {
			_, err := k.GetContext(t.Context(), "0.0")
			return err
		})
	}
	all.wait(t)
	assert.LessOrEqual(t, asked()-before, 10*clients)
}

// V2: a server pings once per interval, and at once after it adopts a view.
func TestServersPingAtTheStatedRate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{})
	c.pair()
	c.start("c")
	c.waitHeard("c")
	names := []string{"a", "b", "c"}
	sent := func() (pings []int) {
		for _, name := range names {
			pings = append(pings, c.sent(name, "MonitorServer.Ping"))
		}
		return pings
	}
	began, before := time.Now(), sent()
	c.wait("20 pings of a", func() bool { return sent()[0] >= before[0]+20 })
	intervals := float64(time.Since(began)) / float64(sysmonitor.PingInterval)
	for i, after := range sent() {
		perInterval := float64(after-before[i]) / intervals
		assert.Greater(t, perInterval, 0.3, "pings of %s in %.1f intervals", names[i], intervals)
		assert.Less(t, perInterval, 1.5, "pings of %s in %.1f intervals", names[i], intervals)
	}
}

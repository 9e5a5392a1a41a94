package tandem_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// T4: a backup that was cut off for a while is sent what it missed and no more, and
// has everything when it has to take over.
func TestBackupThatReturnsIsSentWhatItMissed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient})
	c.pair()
	k := c.client("k")
	want := map[string]string{}
	put := func(i int) {
		key, value := fmt.Sprintf("key%d", i), fmt.Sprintf("value %d", i)
		c.put(k, key, value)
		want[key] = value
	}
	for i := range 100 {
		put(i)
	}
	before := c.server("a").Status()
	require.Zero(t, before.Deltas, "the first time it had nothing")

	cutOff(c, "b", "a", monitorName)
	c.waitRoles("a", "")
	for i := range 20 {
		put(50 + 5*i)
	}
	c.faults.HealAll()
	c.waitRoles("a", "b")
	c.waitInSync()
	a, b := c.server("a").Status(), c.server("b").Status()
	// On a busy machine it may be dropped and return once more.
	require.Positive(t, b.DeltaInstalls)
	require.Equal(t, b.DeltaInstalls+1, b.Installs, "the first was of everything, and no other")
	require.GreaterOrEqual(t, a.Deltas, b.DeltaInstalls)
	require.GreaterOrEqual(t, a.Transfers, before.Transfers+a.Deltas)
	put(1000)

	c.kill("a")
	c.waitRoles("b", "")
	require.Equal(t, want, c.snapshot(k, "key"))
}

// cutOff cuts every path between one name and the others.
func cutOff(c *cluster, name string, others ...string) {
	for _, o := range others {
		c.faults.Cut(c.addr(name), c.addr(o))
		c.faults.Cut(c.addr(o), c.addr(name))
	}
}

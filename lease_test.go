package tandem_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
)

// R3: with leases, reads are answered without a word to the backup.
func TestReadsByLeaseAskNobody(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{monitor: patient, server: []kvservice.Option{kvservice.WithLeases(time.Hour, 2*time.Hour, 200)}})
	c.pair()
	k := c.client("k")
	c.put(k, "x", "1")
	c.wait("a lease", func() bool { return c.server("a").Status().Leased })
	before := c.server("a").Status()
	for range 100 {
		require.Equal(t, "1", c.get(k, "x"))
	}
	after := c.server("a").Status()
	require.EqualValues(t, 100, after.LeasedReads-before.LeasedReads)
	require.Equal(t, before.ReadProbes, after.ReadProbes)
}

// R3 is off unless it is asked for, and not used with a backup that promises nothing.
func TestNoLeaseWithoutAPromise(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]kvservice.Option{
		"off":           nil,
		"only one side": {kvservice.WithLeases(time.Hour, 2*time.Hour, 200)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, config{monitor: patient})
			c.start("a", opts...)
			c.waitRoles("a", "")
			c.start("b")
			c.waitInSync()
			k := c.client("k")
			c.put(k, "x", "1")
			for range 10 {
				require.Equal(t, "1", c.get(k, "x"))
			}
			st := c.server("a").Status()
			require.False(t, st.Leased)
			require.Zero(t, st.LeasedReads)
			require.NotZero(t, st.ReadProbes)
		})
	}
}

// R3, I13: a primary that is cut off from its backup and the view service goes on
// answering reads until its lease ends, and nothing is written elsewhere before.
func TestReadsByLeaseAreNeverStale(t *testing.T) {
	t.Parallel()
	c := newCluster(t, config{server: []kvservice.Option{kvservice.WithLeases(2*time.Second, 2010*time.Millisecond, 200)}})
	c.pair()
	reader, writer := c.client("reader"), c.client("writer")
	c.put(writer, "x", "0")
	require.Equal(t, "0", c.get(reader, "x"))
	cutOff(c, "a", "b", monitorName)
	for i := 1; i <= 5; i++ {
		written := make(chan error, 1)
		go func() { written <- writer.PutContext(t.Context(), "x", strconv.Itoa(i)) }()
		for done := false; !done; {
			select {
			case err := <-written:
				require.NoError(t, err)
				done = true
			default:
			}
			got := c.get(reader, "x")
			if done {
				require.Equal(t, strconv.Itoa(i), got)
			}
		}
	}
	c.waitRoles("b", "")
}

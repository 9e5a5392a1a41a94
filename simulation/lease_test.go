package simulation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// leased turns leases on, with a tenth of error in the clocks' rates allowed.
func leased(o *Options) {
	o.Replica.ClockErrorPPM = 100_000
	o.Replica.Grace = 1100 * time.Millisecond
	o.Replica.Lease = 900 * time.Millisecond
}

// TestLeasesAreOutwaited is I13, R3: the primary is cut off from everybody but a
// client while it holds a lease, and its backup, whose clock is as fast as it may
// be while the primary's is as slow, takes over only when the lease is over.
func TestLeasesAreOutwaited(t *testing.T) {
	play(t, 2, func(s *scene) {
		s.do(0, put("old"), 3000)
		s.do(1, get, 1000)
		require.NotZero(t, s.cover.Counts[LeasedReads], "read without asking the backup")
		old, heir := s.roles()
		s.RunElapsed(old.node, 900_000)
		s.RunElapsed(heir.node, 1_100_000)
		s.cutBoth(monitorNode, old.node)
		s.cutBoth(heir.node, old.node)
		s.cutBoth(s.clients[0].node, old.node)
		require.Equal(t, "old", s.do(1, get, 50).Output.Value, "the lease still holds")
		require.Equal(t, replica.Joint, old.status.Authority)
		s.do(0, put("new"), 5000)
		require.False(t, old.elapsed() < old.status.LeaseUntil, "the lease is over")
		s.net.mend()
		require.Equal(t, "new", s.do(1, get, 3000).Output.Value)
	}, leased)
}

// TestLeaseClockBeyondItsBound is I13 the other way round: it falls, and the
// history with it, when the primary's clock is slower than the bound allows. So
// the bound is what leases stand on, and the check sees when it gives way.
func TestLeaseClockBeyondItsBound(t *testing.T) {
	o := sceneOptions(2)
	leased(&o)
	s := &scene{New(o), t}
	f := s.Try(func() {
		require.True(t, s.RunUntil(s.settled, 5000))
		s.do(0, put("old"), 3000)
		old, heir := s.roles()
		s.RunElapsed(old.node, 100_000)
		s.cutBoth(monitorNode, old.node)
		s.cutBoth(heir.node, old.node)
		s.cutBoth(s.clients[0].node, old.node)
		s.do(0, put("new"), 5000)
	})
	require.NotNil(t, f)
	require.Equal(t, "I13", f.Invariant, "%s", f.Detail)
}

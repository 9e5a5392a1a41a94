package replica_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// TestLeaseAndGraceMustFit: rule R3's inequality, at its edge and beyond what 64 bits
// can multiply.
func TestLeaseAndGraceMustFit(t *testing.T) {
	const most = time.Duration(1<<63 - 1)
	for name, c := range map[string]struct {
		lease, grace time.Duration
		ppm          int
		fits         bool
	}{
		"off":               {0, 0, 0, true},
		"a promise alone":   {0, time.Second, 200, true},
		"equal":             {time.Second, time.Second, 0, true},
		"a little more":     {time.Second + 1, time.Second, 0, false},
		"bad clocks":        {9 * time.Second, 11 * time.Second, 100_000, true},
		"a bit too much":    {9*time.Second + 1, 11 * time.Second, 100_000, false},
		"centuries":         {most / 11 * 9, most, 100_000, true},
		"too many":          {most/11*9 + 20, most, 100_000, false},
		"negative lease":    {-1, time.Second, 0, false},
		"negative grace":    {0, -1, 0, false},
		"negative error":    {0, 0, -1, false},
		"clocks that stand": {0, time.Second, 1_000_000, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := replica.Config{Lease: c.lease, Grace: c.grace, ClockErrorPPM: c.ppm, Machine: newRecorder()}
			err := cfg.Check()
			if c.fits {
				require.NoError(t, err)
				require.NotPanics(t, func() { replica.New(cfg) })
				return
			}
			require.ErrorIs(t, err, replica.ErrLease)
			require.PanicsWithError(t, err.Error(), func() { replica.New(cfg) })
		})
	}
}

// TestLeaseCountsFromBeforeItsMessage: R3, when more messages are under way than are
// told apart: then the lease is shorter than it might be, never longer.
func TestLeaseCountsFromBeforeItsMessage(t *testing.T) {
	const lease = time.Hour
	p := newPair(replica.Config{Lease: lease, Grace: lease}).join()
	p.exchange()
	for i := range 200 {
		p.primary.Elapsed(time.Duration(i) * time.Second)
		p.put("0/0 put k v")
	}
	messages := p.messages
	require.Len(t, messages, 200)
	last := time.Duration(0)
	for i, m := range messages {
		p.messages = append(p.messages[:0:0], m)
		p.exchange()
		from := p.primary.Status().LeaseUntil - lease
		require.LessOrEqual(t, from, time.Duration(i)*time.Second)
		require.GreaterOrEqual(t, from, last)
		last = from
	}
	require.Positive(t, last)
}

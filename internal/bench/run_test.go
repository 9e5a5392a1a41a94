package bench

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var everything = Mix{Get: 2, Put: 2, Append: 1, PutHash: 1, CompareAndSwap: 1, Delete: 1}

// TestNothingIsFoundInAStoreWithoutFaults runs on the machine's time.
func TestNothingIsFoundInAStoreWithoutFaults(t *testing.T) {
	for _, d := range []Distribution{Uniform, Zipf, Sequential} {
		t.Run(string(d), func(t *testing.T) {
			l := Load{Clients: 8, Keys: 100, Duration: 50 * time.Millisecond, Mix: everything, Distribution: d}
			r, err := Run(t.Context(), newMemory(), l, nil)
			require.NoError(t, err)
			assert.Zero(t, r.Violations)
			assert.Empty(t, r.Failures)
			for _, k := range Kinds() {
				assert.NotZero(t, r.Kinds[k.String()].Operations, "%v", k)
			}
		})
	}
}

// slow answers everything after a time.
func slow(d time.Duration) *memory {
	m := newMemory()
	m.before = func(ctx context.Context, _ Kind, _ string) error {
		time.Sleep(d)
		return nil
	}
	return m
}

func TestClosedLoopCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Load{Clients: 4, Keys: 4, Warmup: 100 * time.Millisecond, Duration: time.Second}
		r, err := Run(t.Context(), slow(3*time.Millisecond), l, nil)
		require.NoError(t, err)
		assert.InDelta(t, 4/0.003, r.PerSecond, 4/0.003/100)
		assert.InDelta(t, 3*time.Millisecond, r.All.P50, float64(10*time.Microsecond))
		assert.InDelta(t, 3*time.Millisecond, r.All.Max, float64(10*time.Microsecond))
		assert.InDelta(t, 3*time.Millisecond, r.LongestGap, float64(10*time.Microsecond))
		assert.InDelta(t, 3*time.Millisecond, r.LongestSilence, float64(10*time.Microsecond))
	})
}

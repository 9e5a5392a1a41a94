package bench

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// near is how far a histogram's bounds may be from a latency, and a little more.
const near = 5e-3

// TestOpenLoopCountsFromWhenOperationsWereMeantToBegin has a store stand still for a
// second, once: a hundred operations were meant to begin in it, and each of them waited
// for its end.
func TestOpenLoopCountsFromWhenOperationsWereMeantToBegin(t *testing.T) {
	for _, clients := range []int{1, 7} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			began := time.Now()
			const from, stall = time.Second, time.Second
			m.before = func(context.Context, Kind, string) error {
				if now := time.Since(began); now >= from && now < from+stall {
					time.Sleep(from + stall - now)
				}
				return nil
			}
			l := Load{Clients: clients, Keys: clients, Rate: 100, nap: time.Sleep, Arrivals: Constant, Duration: 10 * time.Second}
			r, err := Run(t.Context(), m, l, nil)
			require.NoError(t, err)
			assert.InDelta(t, 1000, r.Operations, 1)
			assert.Zero(t, r.NotBegun)
			assert.InEpsilon(t, stall, r.All.Max, near)
			// Of a hundred that waited from 1 s down to 10 ms, half waited longer than 500 ms:
			// those are 5 % of all, so that p90 is nothing, and p99 the tenth longest wait.
			assert.Less(t, r.All.P50, time.Millisecond)
			assert.InEpsilon(t, 900*time.Millisecond, r.All.P99, 0.02)
			// Who counts from when operations did begin sees one for each client that was long.
			assert.Less(t, r.Service.P99, time.Millisecond)
			assert.InDelta(t, 100, r.Slots[20].Operations, 12, "all that had waited are answered at once")
			assert.Zero(t, r.Slots[15].Operations)
		})
	}
}

func TestOpenLoopBoundsWhatIsUnderWayAndCountsWhatItDidNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		m := newMemory()
		m.before = func(_ context.Context, k Kind, _ string) error {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n) && k == Append; old = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		l := Load{Clients: 5, Keys: 5, Rate: 100, nap: time.Sleep, Arrivals: Constant, Duration: 2 * time.Second, Mix: Mix{Append: 1}}
		r, err := Run(t.Context(), m, l, nil)
		require.NoError(t, err)
		assert.EqualValues(t, 5, most.Load())
		assert.InDelta(t, 50, r.PerSecond, 3, "what five clients can do")
		assert.InDelta(t, 200, r.Operations+r.NotBegun, 2, "every arrival is one or the other")
		assert.InDelta(t, 100, r.NotBegun, 6)
		assert.InEpsilon(t, 100*time.Millisecond, r.Service.P99, near)
		assert.Greater(t, r.All.Max, 900*time.Millisecond)
	})
}

func TestPoissonArrivalsHaveTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Load{Clients: 50, Keys: 50, Rate: 1000, nap: time.Sleep, Duration: 20 * time.Second, Seed: 1}
		r, err := Run(t.Context(), slow(time.Millisecond), l, nil)
		require.NoError(t, err)
		assert.InEpsilon(t, 1000, r.PerSecond, 0.05)
		counts := make(map[uint64]int)
		for _, s := range r.Slots[:200] {
			counts[s.Operations]++
		}
		assert.Greater(t, len(counts), 20, "a hundred in each slot on average, and not in each")
	})
}

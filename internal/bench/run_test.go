package bench

import (
	"context"
	"sync/atomic"
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

func TestCleanLeavesNothing(t *testing.T) {
	m := newMemory()
	m.data["somebody's"] = "own"
	l := Load{Clients: 3, Keys: 50, Duration: 20 * time.Millisecond, Mix: everything, Clean: true}
	_, err := Run(t.Context(), m, l, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"somebody's": "own"}, m.data)
}

// What another load left behind is not taken for this one's.
func TestLoadsFollowOneAnother(t *testing.T) {
	m := newMemory()
	for range 3 {
		r, err := Run(t.Context(), m, Load{Clients: 2, Keys: 20, Duration: 10 * time.Millisecond, Mix: everything, Seed: 1}, nil)
		require.NoError(t, err)
		assert.Zero(t, r.Violations)
	}
}

func TestARunThatIsInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	_, err := Run(ctx, newMemory(), Load{Duration: time.Hour}, func(p Progress) {
		if told++; p.Stage == "measure" {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Positive(t, told)
}

// What is never answered is given up when the load has no more patience, and its outcome
// is then unknown.
func TestWhatIsNeverAnsweredIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		puts := 0
		m.before = func(ctx context.Context, k Kind, _ string) error {
			if k != Put {
				return nil
			}
			if puts++; puts <= 10 {
				time.Sleep(time.Millisecond)
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		l := Load{Clients: 1, Keys: 1, Duration: time.Second, Patience: 5 * time.Second}
		began := time.Now()
		r, err := Run(t.Context(), m, l, nil)
		require.NoError(t, err)
		assert.Equal(t, 6*time.Second, time.Since(began).Truncate(100*time.Millisecond))
		assert.EqualValues(t, 1, r.Failures["put"].Unknown)
		assert.EqualValues(t, 9, r.Operations)
		assert.InDelta(t, 9, r.PerSecond, 0.1)
		assert.Greater(t, r.LongestGap, 900*time.Millisecond)
		assert.Zero(t, r.Violations)
	})
}

// Windows share out what was answered, and tell of who waits.
func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var stuck atomic.Bool
		m.before = func(context.Context, Kind, string) error {
			time.Sleep(10 * time.Millisecond)
			for stuck.Load() {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		r, err := Start(t.Context(), m, Load{Clients: 1, Keys: 1}, nil)
		require.NoError(t, err)
		defer r.Close()
		time.Sleep(time.Second + 5*time.Millisecond)
		w := r.Cut()
		assert.InDelta(t, 100, w.Operations, 1)
		assert.InDelta(t, 10*time.Millisecond, w.LongestGap, float64(100*time.Microsecond))
		now := time.Now()
		stuck.Store(true)
		time.Sleep(300 * time.Millisecond)
		waited, all := r.Waiting(now)
		assert.False(t, all)
		assert.InDelta(t, 305*time.Millisecond, waited, float64(2*time.Millisecond))
		stuck.Store(false)
		time.Sleep(20 * time.Millisecond)
		_, all = r.Waiting(now)
		assert.True(t, all)
		w = r.Cut()
		assert.InDelta(t, 306*time.Millisecond, w.LongestGap, float64(3*time.Millisecond))
		assert.InDelta(t, 306*time.Millisecond, w.LongestSilence, float64(3*time.Millisecond))
	})
}

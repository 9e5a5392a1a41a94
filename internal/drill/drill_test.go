package drill

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/sysmonitor"
)

// Drills themselves are tested where there is a binary to run: cmd/tandem.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQuantiles(t *testing.T) {
	four := []int{10, 20, 30, 40}
	for share, want := range map[float64]int{0: 10, 0.25: 10, 0.26: 20, 0.5: 20, 0.75: 30, 0.9: 40, 1: 40} {
		assert.Equal(t, want, Quantile(four, share), "%v", share)
	}
	assert.Equal(t, 7, Quantile([]int{7}, 0.5))
	assert.Equal(t, 20, Quantile([]int{10, 20, 30}, 0.5))
}

func TestRulesSinceAView(t *testing.T) {
	view := func(number uint, rule string) sysmonitor.Change {
		return sysmonitor.Change{View: sysmonitor.View{Viewnum: number}, Rule: rule}
	}
	st := &sysmonitor.Status{History: []sysmonitor.Change{
		view(2, "V5"), view(3, "V5"), view(3, "V3"), view(4, "V4"), view(4, "V3"), view(5, "V6"),
	}}
	assert.Equal(t, []string{"V4", "V6"}, rulesSince(st, 3), "activations make no view")
	assert.Empty(t, rulesSince(st, 5))
}

func TestTrialsAreSummedUp(t *testing.T) {
	f := &failover{res: new(FailoverResult), calm: calm{operations: 300, time: 2 * time.Second, gap: 7}}
	for _, gap := range []time.Duration{5, 1, 4, 2, 3} {
		f.res.Trials = append(f.res.Trials, Trial{Gap: gap})
	}
	f.sum()
	assert.Equal(t, []time.Duration{1, 3, 5, 5, 7}, []time.Duration{f.res.Min, f.res.Median, f.res.P90, f.res.Max, f.res.Undisturbed})
	assert.InDelta(t, 150, f.res.PerSecond, 1e-9)
}

func TestWrongDrillsAreRefused(t *testing.T) {
	_, err := Failover(t.Context(), FailoverConfig{Settings: Settings{Servers: 2}, Fault: Kill, Trials: 1, Load: bench.Load{Rate: 5}})
	require.ErrorContains(t, err, "clients must not be idle")
	_, err = Failover(t.Context(), FailoverConfig{Settings: Settings{Servers: 1}, Fault: Kill, Trials: 1})
	require.ErrorContains(t, err, "two at least")
	_, err = Transfer(t.Context(), TransferConfig{Phase: time.Second})
	require.ErrorContains(t, err, "a load of 0 of the peak")
}

func TestAGroupThatCannotStart(t *testing.T) {
	_, err := Up(t.Context(), Settings{Binary: t.TempDir() + "/nothing", Dir: t.TempDir(), Servers: 2})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAGroupGoesOnFromNoOther(t *testing.T) {
	dir := t.TempDir()
	require.False(t, Used(dir))
	require.NoError(t, os.Mkdir(filepath.Join(dir, monitorData), 0o700))
	require.True(t, Used(dir))
	_, err := Up(t.Context(), Settings{Binary: t.TempDir() + "/nothing", Dir: dir, Servers: 2})
	require.ErrorContains(t, err, "views of an earlier one")
}

func TestMemoryIsWatched(t *testing.T) {
	if runtime.GOOS != "linux" {
		require.Zero(t, Resident(os.Getpid()))
		return
	}
	const some = 64 << 20
	w := watchMemory(os.Getpid())
	block := make([]byte, some)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	require.Eventually(t, func() bool { return Resident(os.Getpid()) >= some }, time.Minute, time.Millisecond)
	runtime.KeepAlive(block)
	require.NotZero(t, w.stop())
	require.Equal(t, w.stop(), w.stop())
	require.Zero(t, Resident(-1))
}

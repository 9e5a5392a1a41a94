package simulation

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// broken returns options and the failure that they run into: with a lease clock
// that breaks its bound, and much else that goes wrong and does not matter.
func broken(t *testing.T) (Options, *Failure) {
	for seed := uint64(1); seed < 200; seed++ {
		o := Draw(seed)
		leased(&o)
		o.Faults.ClockBeyondBound = 0.02
		if _, err := Run(o); err != nil {
			f := err.(*Failure)
			require.Equal(t, "I13", f.Invariant, "seed %d: %s", seed, f.Detail)
			return o, f
		}
	}
	t.Fatal("no lease clock did any harm")
	return Options{}, nil
}

func TestShrink(t *testing.T) {
	o, f := broken(t)
	small, g, stats := Shrink(o, f, ShrinkBudget{Runs: 1500})
	t.Logf("%+v", stats)
	require.Equal(t, f.Invariant, g.Invariant)
	require.LessOrEqual(t, stats.Runs, 1500)
	require.Less(t, len(small.Schedule.Faults), 12, "few faults are needed")
	require.Less(t, small.Ops, 30)
	require.Contains(t, faultsOf(small.Schedule), "clock-beyond-bound")

	again, h, _ := Shrink(o, f, ShrinkBudget{Runs: 1500})
	require.Equal(t, small, again, "one failure shrinks to one schedule")
	require.Equal(t, g.Detail, h.Detail)

	text, err := json.MarshalIndent(small, "", "  ")
	require.NoError(t, err)
	var read Options
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, small, read)
	_, err = Run(read)
	require.EqualError(t, err, g.Error(), "what was written to a file replays")
}

func faultsOf(s *Schedule) (names []string) {
	for _, d := range s.Faults {
		names = append(names, d.Fault)
	}
	return names
}

// TestScheduleIsTheRun: with the faults that struck as a schedule, and no rates,
// the run is the same, event for event.
func TestScheduleIsTheRun(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		o := Draw(seed)
		report, err := Run(o)
		require.NoError(t, err)
		o.Ops, o.Schedule = report.Started, &report.Schedule
		for k := range faultKinds {
			if k != int(Hints) { // with hints, the view service hears of crashes
				*faultKinds[k].rate(&o.Faults) = 0
			}
		}
		again, err := Run(o)
		require.NoError(t, err)
		require.Equal(t, report.Hash, again.Hash, "seed %d", seed)
	}
}

func TestOptionsAsJSON(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		o := Draw(seed)
		text, err := json.Marshal(o)
		require.NoError(t, err)
		var read Options
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, o, read)
	}
	var o Options
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Replica": {"Nonsense": 1}}`), &o), "Nonsense")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Schedule": {"Faults": ["dropp:a>b:1"]}}`), &o), "dropp")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Schedule": {"Faults": ["drop:a>b"]}}`), &o), "kind:place:number")
}

func TestOptionsOfNoWorld(t *testing.T) {
	for _, tc := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Servers = 0 }, "Servers is 0"},
		{func(o *Options) { o.Clients = 100 }, "Clients is 100"},
		{func(o *Options) { o.Keys = 0 }, "Keys is 0"},
		{func(o *Options) { o.TickMillis = 0 }, "TickMillis is 0"},
		{func(o *Options) { o.Replica.Lease, o.Replica.Grace = 2, 1 }, "lease"},
	} {
		o := Draw(1)
		require.NoError(t, o.Check())
		tc.change(&o)
		_, err := Run(o)
		require.ErrorContains(t, err, tc.want)
	}
}

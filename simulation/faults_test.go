package simulation

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryFaultAlone: each kind of fault strikes with all others at rate zero,
// and the world stands it. Leases are off, for one kind breaks their bound.
func TestEveryFaultAlone(t *testing.T) {
	for _, kind := range FaultNames() {
		t.Run(kind.Name, func(t *testing.T) {
			require.NotEmpty(t, kind.About)
			o := Draw(1)
			o.Replica.Lease, o.Replica.Grace = 0, 0
			o.DiskMillis, o.ViewDiskMillis = 0, 0
			require.NoError(t, o.Faults.Only(kind.Name))
			report, err := Run(o)
			require.NoError(t, err)
			for k, other := range FaultNames() {
				if other.Name == kind.Name {
					require.NotZero(t, report.Coverage.Counts[k], "it struck")
				} else {
					require.Zero(t, report.Coverage.Counts[k], "%s did not", other.Name)
				}
			}
			if report.Coverage.Counts[MonitorAmnesias] == 0 { // which may come at once
				require.GreaterOrEqual(t, report.Coverage.Counts[Operations], uint64(operationsMin))
			}
		})
	}
}

func TestFaultsByName(t *testing.T) {
	f := Draw(3).Faults
	f.Crash, f.Drop = 0.5, 0
	before := f
	require.ErrorContains(t, f.Only("drop", "flood"), `no fault "flood"`)
	require.ErrorContains(t, f.Without("flood"), `no fault "flood"`)
	require.Equal(t, before, f)
	require.NoError(t, f.Only("drop", "crash"))
	require.Equal(t, 0.5, f.Crash, "as it was")
	require.NotZero(t, f.Drop, "the usual rate")
	require.Zero(t, f.Freeze)
	require.Equal(t, before.LastMillis, f.LastMillis)
	require.NoError(t, f.Without("crash"))
	require.Zero(t, f.Crash)
	require.NotZero(t, f.Drop)
}

// TestEveryRunStandsALot: no run is over before its clients have done much, under
// faults of nodes as well as of messages, unless the group is down for good.
func TestEveryRunStandsALot(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		o := Draw(seed)
		report, err := Run(o)
		require.NoError(t, err)
		if report.Coverage.Counts[Down] > 0 {
			require.False(t, o.Faults.Merciful, "seed %d", seed)
			continue
		}
		if report.Coverage.Counts[MonitorAmnesias] > 0 {
			continue // it may come at once
		}
		require.GreaterOrEqual(t, report.Started, operationsMin, "seed %d", seed)
		ofNodes := 0
		for _, d := range report.Schedule.Faults {
			if k, _ := faultNamed(d.Fault); faultKinds[k].node {
				ofNodes++
			}
		}
		require.GreaterOrEqual(t, ofNodes, nodeStrikesMin, "seed %d", seed)
		require.GreaterOrEqual(t, len(report.Schedule.Faults), strikesMin, "seed %d", seed)
	}
}

// TestViewServiceWithoutItsMemory is V0: it announces nothing once a server tells
// it of a view. If one that knows none comes first, another cluster begins, and
// whoever knows the old one stays with it.
func TestViewServiceWithoutItsMemory(t *testing.T) {
	for _, newcomer := range []bool{false, true} {
		play(t, 2, func(s *scene) {
			s.do(0, put("x"), 1000)
			s.do(1, get, 1000)
			_, b := s.roles()
			s.monitor.crash(false)
			s.forgetViews()
			if newcomer {
				s.Crash(b.node)
				s.Hold(func(from, to int, _ *body) bool { return to == monitorNode && from != b.node })
				s.Restart(b.node)
			}
			s.Restart(monitorNode)
			s.RunFor(1000)
			s.Hold(nil)
			s.Release()
			require.Equal(t, newcomer, s.usurped)
			require.Equal(t, !newcomer, s.monitor.core.LostMemory())
			if !newcomer {
				require.Equal(t, "x", s.do(1, get, 1000).Output.Value, "a client that knows the view is served")
				require.NotZero(t, s.cover.Counts[RefusedForgotten])
				return
			}
			read := s.start(0, get)
			s.RunUntil(s.done(read), 3000)
			require.NotEqual(t, Done, s.history[read].Verdict, "a client of the old cluster does not go over: %+v", s.history[read])
		})
	}
}

// TestViewServiceRestarts is V10: it goes on from what was durable, and what was
// not has never been told.
func TestViewServiceRestarts(t *testing.T) {
	for _, reached := range []bool{false, true} {
		play(t, 2, func(s *scene) {
			s.do(0, put("x"), 1000)
			_, b := s.roles()
			before, _ := s.monitor.core.View()
			s.Crash(b.node)
			require.True(t, s.RunUntil(func() bool { return s.monitor.record.View != before }, 5000))
			told, _ := s.monitor.core.View()
			require.Equal(t, before, told, "the record is on its way")
			s.monitor.crash(reached)
			s.RunFor(100)
			s.Restart(monitorNode)
			after, _ := s.monitor.core.View()
			require.Equal(t, reached, after != before)
			require.Equal(t, "x", s.do(1, get, 5000).Output.Value)
			s.Restart(b.node)
			require.True(t, s.RunUntil(s.settled, 5000))
		}, func(o *Options) { o.ViewDiskMillis = 50 })
	}
}

package search

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Messages that are left out of a state because they can have no effect any more
// hide nothing: with them as without no server gets into another state.
func TestDeadMessagesHideNoState(t *testing.T) {
	for name, b := range map[string]Bounds{
		"gaps":       {Servers: 2, Ops: 2, Views: 2},
		"reads":      {Servers: 2, Ops: 1, Reads: 1, Views: 3},
		"heartbeats": {Servers: 2, Ops: 1, Views: 2, Resends: 2},
		"late disks": {Servers: 2, Ops: 1, Views: 2, Resends: 1, LateDisks: true},
		"crashes":    {Servers: 2, Ops: 1, Views: 3, Crashes: 1},
		"deltas":     {Servers: 2, Ops: 1, Views: 4, Deltas: true},
	} {
		t.Run(name, func(t *testing.T) {
			without := serverStates(t, b)
			b.KeepDead = true
			with := serverStates(t, b)
			require.Greater(t, len(with), 20)
			require.Equal(t, with, without)
		})
	}
}

// serverStates returns all states that servers get into within the bounds, as the
// keys that tell them apart.
func serverStates(t *testing.T, b Bounds) []string {
	cfg := Config{Bounds: b}
	x := newExplorer(cfg, false)
	s := &searcher{x: x, cfg: &cfg, begin: time.Now(), good: &healthy{}}
	end, _ := s.run(context.Background(), x.start())
	require.Equal(t, Exhausted, end)
	var keys []string
	for key := range x.servers.byKey {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// What only the caller asks for is part of a state when the caller can ask: an
// invariant or a prune of his may, and not a goal alone.
func TestStatesDifferInWhatIsAskedOfThem(t *testing.T) {
	b := Bounds{Servers: 2, Ops: 1, Views: 4, Crashes: 1}
	never := &Goal{Name: "never", Holds: func(s *State) bool { return s.Answered() > s.Committed() }}
	asked := search(t, Config{Bounds: b, Goal: never})
	require.Greater(t, asked.Found, search(t, Config{Bounds: b}).Found)
	cfg := Config{Bounds: b, Invariants: []Invariant{{"always", func(s *State) bool { return !never.Holds(s) }}}}
	require.Equal(t, asked.Found, search(t, cfg).Found)
	cfg = Config{Bounds: b, Prune: func(s *State) bool { return never.Holds(s) }}
	require.Equal(t, asked.Found, search(t, cfg).Found)
}

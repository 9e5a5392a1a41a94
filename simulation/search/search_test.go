package search

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func search(t *testing.T, cfg Config) Result {
	t.Helper()
	r, err := Run(context.Background(), cfg)
	require.NoError(t, err)
	return r
}

// Every invariant that invariants.go and oracle.go look at (I1 to I12, S5, and P1
// by the search for deadlocks) holds in every state of these spaces.
func TestSmallSpacesAreExhausted(t *testing.T) {
	for name, cfg := range map[string]Config{
		"two updates":    {Bounds: Bounds{Servers: 2, Ops: 2, Views: 3, Crashes: 1}},
		"a read":         {Bounds: Bounds{Servers: 2, Ops: 1, Reads: 1, Views: 3, Crashes: 1}},
		"retries":        {Bounds: Bounds{Servers: 2, Ops: 1, Retries: 1, Views: 3}},
		"late pings":     {Bounds: Bounds{Servers: 2, Ops: 1, Views: 3, Crashes: 1, LatePings: true}},
		"deltas":         {Bounds: Bounds{Servers: 2, Ops: 1, Views: 4, Deltas: true}},
		"late disks":     {Bounds: Bounds{Servers: 2, Ops: 1, Views: 3, LateDisks: true}},
		"heartbeats":     {Bounds: Bounds{Servers: 2, Ops: 1, Views: 3, Resends: 1}},
		"reports":        {Bounds: Bounds{Servers: 2, Ops: 1, Views: 4, LatePings: true, Reports: true}},
		"from nothing":   {Bounds: Bounds{Servers: 2, Ops: 1, Views: 3, Crashes: 1, Fresh: true}},
		"three servers":  {Bounds: Bounds{Servers: 3, Ops: 1, Views: 3}},
		"all suspicions": {Bounds: Bounds{Servers: 2, Ops: 1, Views: 3, Crashes: 1, AllSuspicions: true}},
		"ghosts":         {Bounds: Bounds{Servers: 2, Ops: 1, Views: 3, KeepDead: true}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Deadlocks = true
			r := search(t, cfg)
			require.Equal(t, Exhausted, r.End, "%s: %s\n%s", r.Invariant, r.Detail, strings.Join(r.Trace, "\n"))
			require.Greater(t, r.Found, 50)
			require.Equal(t, r.Found, r.Explored)
		})
	}
}

// The number of states does not depend on who found them first.
func TestWorkersFindTheSameStates(t *testing.T) {
	cfg := Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 4, Crashes: 1, Deltas: true}}
	cfg.Workers = 1
	one := search(t, cfg)
	for range 3 {
		cfg.Workers = 4
		four := search(t, cfg)
		require.Equal(t, one.Found, four.Found)
		require.Equal(t, one.Depth, four.Depth)
	}
}

// What leads to the same state leads on in the same way: a walk through states
// whose parts an exhaustive search had found by other ways is the walk of cores
// that have lived through nothing else.
func TestEqualStatesBehaveAlike(t *testing.T) {
	b := Bounds{Servers: 2, Ops: 2, Reads: 1, Views: 4, Crashes: 1, Deltas: true, LatePings: true, Resends: 1}
	cfg := Config{Bounds: b, States: 150_000}
	used := newExplorer(cfg, false)
	s := &searcher{x: used, cfg: &cfg, begin: time.Now(), good: &healthy{}}
	end, _ := s.run(context.Background(), used.start())
	require.NotEqual(t, Broken, end)
	for seed := range uint64(60) {
		dice := rand.New(rand.NewPCG(seed, 1))
		fresh := newExplorer(cfg, false)
		here, there := used.start(), fresh.start()
		for range 40 {
			require.Equal(t, here.lines(), there.lines())
			texts := there.possible(t)
			require.Equal(t, here.possible(t), texts)
			text := texts[dice.IntN(len(texts))]
			here, there = follow(t, here, text), follow(t, there, text)
		}
	}
}

// possible returns the events that can happen, but for dead messages, of which the
// state found first may hold others.
func (s *State) possible(t *testing.T) []string {
	var texts []string
	s.each(func(e event) {
		if e.kind == delivers && !s.isLive(s.x.messages.at(e.arg)) {
			return
		}
		texts = append(texts, s.x.text(e))
	})
	slices.Sort(texts)
	require.Equal(t, len(texts), len(slices.Compact(slices.Clone(texts))), "two events have one text")
	return texts
}

func follow(t *testing.T, s *State, text string) *State {
	e, ok := s.named(text)
	require.True(t, ok)
	next, v := s.after(e)
	require.Nil(t, v)
	if next == nil {
		return s
	}
	return next
}

func TestGoalIsReachedByAShortestWay(t *testing.T) {
	goal, err := ParseGoal("joint=a", Bounds{Servers: 2})
	require.NoError(t, err)
	cfg := Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 3}, Goal: goal}
	r := search(t, cfg)
	require.Equal(t, GoalFound, r.End)
	require.Equal(t, []string{
		"monitor <- ping of b/1: 0, no view yet",
		"a learns of view (2,a/1,b/1), active 1",
		"b <- Chunk 1 of a/1 to b/1 in view (2,a/1,b/1): chunk 0 of the state at 1",
		"a <- Installed 1 of b/1 to a/1 in view (2,a/1,b/1): 1",
	}, r.Trace)

	trace, err := Replay(cfg.Bounds, r.Trace)
	require.NoError(t, err)
	require.True(t, goal.Holds(trace.Steps[len(trace.Steps)-1].State))
	require.Empty(t, trace.Invariant)
}

func TestStagesGoOnFromOneGoalToTheNext(t *testing.T) {
	joint, err := ParseGoal("joint=a", Bounds{Servers: 2})
	require.NoError(t, err)
	promoted, err := ParseGoal("solo=b,committed=1", Bounds{Servers: 2, Ops: 1})
	require.NoError(t, err)
	cfg := Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 4}, Stages: []Goal{*joint}, Goal: promoted}
	r := search(t, cfg)
	require.Equal(t, GoalFound, r.End)
	trace, err := Replay(cfg.Bounds, r.Trace)
	require.NoError(t, err)
	require.True(t, promoted.Holds(trace.Steps[len(trace.Steps)-1].State))
	reached := slices.IndexFunc(trace.Steps, func(p Step) bool { return joint.Holds(p.State) })
	require.Equal(t, 3, reached, "the first stage's goal comes first, by its shortest way")
}

// An invariant that does not hold is found, by a shortest way, and the way to it
// can be told, read back, and gone again.
func TestBrokenInvariantLeavesAReplayableTrace(t *testing.T) {
	never := Invariant{"NeverPromoted", func(s *State) bool { v, _ := s.View(); return v.Primary != "b" }}
	cfg := Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 4}, Invariants: []Invariant{never}}
	r := search(t, cfg)
	require.Equal(t, Broken, r.End)
	require.Equal(t, "NeverPromoted", r.Invariant)

	trace, err := Replay(cfg.Bounds, r.Trace, never)
	require.NoError(t, err)
	require.Equal(t, "NeverPromoted", trace.Invariant)
	require.Equal(t, r.Depth+1, len(trace.Steps))

	var text, page bytes.Buffer
	require.NoError(t, trace.WriteTranscript(&text))
	require.Contains(t, text.String(), "V4 at monitor: (3,b/1,none): primary a/1 is suspected")
	require.Contains(t, text.String(), "sends Chunk 1 of a/1 to b/1")
	require.Contains(t, text.String(), "NeverPromoted broken")
	bounds, events, err := ReadTranscript(&text)
	require.NoError(t, err)
	require.Equal(t, cfg.Bounds, bounds)
	require.Equal(t, trace.Events(), events)

	require.NoError(t, trace.Diagram().WriteHTML(&page))
	require.Contains(t, page.String(), "NeverPromoted broken at step")
}

func TestRandomWalksFindAndShorten(t *testing.T) {
	never := Invariant{"NeverTwoViewsLater", func(s *State) bool { _, active := s.View(); return active < 3 }}
	cfg := Config{Bounds: Bounds{Servers: 3, Ops: 2, Views: 6, Crashes: 2}, Invariants: []Invariant{never}, Workers: 1, Time: time.Minute}
	r, err := Walk(context.Background(), cfg, 1)
	require.NoError(t, err)
	require.Equal(t, Broken, r.End)
	trace, err := Replay(cfg.Bounds, r.Trace, never)
	require.NoError(t, err)
	require.Equal(t, never.Name, trace.Invariant)
	for i := range r.Trace {
		shorter, err := Replay(cfg.Bounds, slices.Delete(slices.Clone(r.Trace), i, i+1), never)
		require.True(t, err != nil || shorter.Invariant == "", "event %d, %q, is not needed", i+1, r.Trace[i])
	}
	again, err := Walk(context.Background(), cfg, 1)
	require.NoError(t, err)
	require.Equal(t, r.Trace, again.Trace)
}

// Where nothing can happen any more a walk ends, and the next begins.
func TestWalksEndWhereNothingIsLeft(t *testing.T) {
	cfg := Config{Bounds: Bounds{Servers: 2, Views: 1}, States: 100, Depth: 1000}
	r, err := Walk(context.Background(), cfg, 1)
	require.NoError(t, err)
	require.Equal(t, "states", r.Limit)
}

func TestRandomWalksHold(t *testing.T) {
	cfg := Config{Bounds: Bounds{Servers: 3, Ops: 3, Reads: 2, Views: 9, Crashes: 2, Retries: 1, Resends: 3,
		Deltas: true, LatePings: true, LateDisks: true, Reports: true, AllSuspicions: true}, Deadlocks: true, States: 60_000}
	r, err := Walk(context.Background(), cfg, uint64(time.Now().UnixNano()))
	require.NoError(t, err)
	require.Equal(t, LimitReached, r.End, "%s: %s\n%s", r.Invariant, r.Detail, strings.Join(r.Trace, "\n"))
}

func TestLimitsAreNoProof(t *testing.T) {
	b := Bounds{Servers: 3, Ops: 2, Views: 6, Crashes: 2, LatePings: true}
	for limit, cfg := range map[string]Config{
		"depth":  {Bounds: b, Depth: 4},
		"states": {Bounds: b, States: 1000},
		"time":   {Bounds: b, Time: time.Millisecond},
		"memory": {Bounds: b, Memory: 1},
	} {
		r := search(t, cfg)
		require.Equal(t, LimitReached, r.End)
		require.Equal(t, limit, r.Limit)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := Run(ctx, Config{Bounds: b})
	require.NoError(t, err)
	require.Equal(t, "interrupted", r.Limit)
}

func TestPruneKeepsFromGoingOn(t *testing.T) {
	cfg := Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 4, Crashes: 1}}
	all := search(t, cfg)
	cfg.Prune = func(s *State) bool { return s.Crashes() > 0 }
	pruned := search(t, cfg)
	require.Equal(t, Exhausted, pruned.End)
	require.Positive(t, pruned.Pruned)
	require.Less(t, pruned.Found, all.Found)
}

func TestImpossibleConfigurations(t *testing.T) {
	for want, cfg := range map[string]Config{
		"1 servers, must be 2 to 4":       {Bounds: Bounds{Servers: 1, Views: 2}},
		"0 views, must be 1 to 12":        {Bounds: Bounds{Servers: 2}},
		"9 updates, must be 0 to 4":       {Bounds: Bounds{Servers: 2, Views: 2, Ops: 9}},
		"retries need sessions":           {Bounds: Bounds{Servers: 2, Views: 2, Fresh: true, Retries: 1}},
		"-1 crashes, must be 0 to 15":     {Bounds: Bounds{Servers: 2, Views: 2, Crashes: -1}},
		"-5 states, must be 0 to":         {Bounds: Bounds{Servers: 2, Views: 2}, States: -5},
		"100000 workers, must be 0 to 10": {Bounds: Bounds{Servers: 2, Views: 2}, Workers: 100000},
	} {
		_, err := Run(context.Background(), cfg)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, want)
	}
	for _, text := range []string{"", "joint", "joint=z", "solo=c", "view=x", "view=-1", "view=4", "crashes=1", "flying=a"} {
		_, err := ParseGoal(text, Bounds{Servers: 2, Views: 3})
		require.ErrorIs(t, err, ErrConfig, "goal %q", text)
	}
}

func TestTranscriptsThatCannotBeReplayed(t *testing.T) {
	b := Bounds{Servers: 2, Ops: 1, Views: 3}
	_, err := Replay(b, []string{"a learns of view (9,a/1,none), active 9"})
	require.ErrorIs(t, err, ErrReplay)
	require.ErrorContains(t, err, "event 1")
	_, _, err = ReadTranscript(strings.NewReader("1. b crashes, and comes back without its memory\n"))
	require.ErrorIs(t, err, ErrReplay)
	_, _, err = ReadTranscript(strings.NewReader("bounds {}\n2. b crashes, and comes back without its memory\n"))
	require.ErrorContains(t, err, "event 2 stands where event 1 should")
	_, _, err = ReadTranscript(strings.NewReader("bounds {\n"))
	require.ErrorIs(t, err, ErrReplay)
}

func TestMemoKeepsWhatCameFirst(t *testing.T) {
	var m memo[int]
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for k := range uint64(2000) {
				v := int(k)*10 + w
				got := *m.put(k, &v)
				require.Equal(t, int(k), got/10)
				require.Same(t, m.get(k), m.get(k))
			}
		})
	}
	wait.Wait()
	require.Nil(t, m.get(99999))
}

package simulation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/simulation/diagram"
)

func TestRecordingChangesNothing(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		plain, err := Run(Draw(seed))
		require.NoError(t, err)
		_, recorded, err := Record(Draw(seed))
		require.NoError(t, err)
		require.Equal(t, plain, recorded, "seed %d", seed)
	}
}

// breakInvariant lets a world come to a server that seems to fall behind (I1), in
// the middle of an event.
func breakInvariant(t *testing.T, seed uint64) (*Recording, *Failure) {
	w := New(Draw(seed))
	r := w.record()
	f := w.Try(func() {
		w.RunUntil(func() bool { return w.oracle.last() > 5 }, 5000)
		w.RunUntil(func() bool { // its next life, too
			w.servers[0].seen = 999
			return false
		}, 5000)
	})
	require.NotNil(t, f)
	require.Equal(t, "I1", f.Invariant)
	r.end(f)
	return r, f
}

func marksOf(d *diagram.Diagram, sign diagram.Sign) []diagram.Mark {
	return slices.DeleteFunc(slices.Clone(d.Marks), func(m diagram.Mark) bool { return m.Sign != sign })
}

func TestDiagramOfAFailure(t *testing.T) {
	r, f := breakInvariant(t, 7)
	d := r.Diagram()
	broken := marksOf(d, diagram.Broken)
	require.Len(t, broken, 1)
	require.Equal(t, 1, broken[0].Node, "the first server")
	require.GreaterOrEqual(t, broken[0].At, float64(f.Millis))
	require.Contains(t, broken[0].Detail, f.Detail)
	require.Contains(t, broken[0].Detail, Predicate("I1"))
	require.Contains(t, d.Verdict, "I1")
	for i := range d.Messages {
		require.LessOrEqual(t, d.Messages[i].Sent, broken[0].At)
	}
	require.NoError(t, d.WriteHTML(new(strings.Builder)))
}

func TestDiagramFindsTheBreakingMessage(t *testing.T) {
	found := 0
	for seed := uint64(1); seed <= 20; seed++ {
		r, f := breakInvariant(t, seed)
		d := r.Diagram()
		for i := range d.Messages {
			if m := &d.Messages[i]; m.Breaking {
				found++
				require.Equal(t, 1, m.To, "seed %d: the server that the invariant broke at", seed)
				require.Equal(t, f.Millis, int64(m.Delivered), "seed %d", seed)
			}
		}
	}
	require.Positive(t, found, "in some of 20 seeds a message did it")
}

// A failure at the end of a run is no message's doing.
func TestDiagramOfALateFailure(t *testing.T) {
	w := New(Draw(7))
	r := w.record()
	f := w.Try(func() {
		w.RunFor(500)
		w.fail("P1", "made up")
	})
	r.end(f)
	d := r.Diagram()
	require.Equal(t, -1, marksOf(d, diagram.Broken)[0].Node)
	require.NotContains(t, fmt.Sprintf("%+v", d.Messages), "Breaking:true")
}

// TestDiagramTellsTheRun compares what is drawn with what was counted.
func TestDiagramTellsTheRun(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		r, report, err := Record(Draw(seed))
		require.NoError(t, err)
		d := r.Diagram()
		require.Empty(t, marksOf(d, diagram.Broken))
		var lost, operations, first uint64
		for i := range d.Messages {
			if m := &d.Messages[i]; m.Fate == diagram.Lost {
				lost++
			} else if m.Fate == diagram.Arrived && !m.Again {
				first++
			}
		}
		for i := range d.Spans {
			s := &d.Spans[i]
			require.LessOrEqual(t, s.From, s.To, "seed %d: %+v", seed, *s)
			if s.Look >= diagram.OperationDone {
				operations++
			}
		}
		counts := &report.Coverage.Counts
		require.GreaterOrEqual(t, lost, counts[Dropped], "seed %d", seed)
		require.Equal(t, counts[Operations], operations, "seed %d", seed)
		require.Positive(t, first, "seed %d", seed)
		require.GreaterOrEqual(t, uint64(len(marksOf(d, diagram.Crash))), counts[Crashes]+counts[ClientCrashes], "seed %d", seed)
		require.NoError(t, d.WriteHTML(new(strings.Builder)), "seed %d", seed)
	}
}

func TestLogIsInOrder(t *testing.T) {
	r, f := breakInvariant(t, 7)
	var b strings.Builder
	require.NoError(t, r.WriteLog(&b))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	last, lastEvent := int64(0), uint64(0)
	for _, line := range lines[1:] {
		var at int64
		var event uint64
		_, err := fmt.Sscan(line, &at, &event)
		require.NoError(t, err, line)
		require.GreaterOrEqual(t, at, last, line)
		require.GreaterOrEqual(t, event, lastEvent, line)
		last, lastEvent = at, event
	}
	require.Contains(t, lines[len(lines)-1], "I1 broken: "+f.Detail)
	text := b.String()
	for _, want := range []string{"-> ", "<- ", "F1 in view 1", "operation 0: ", "is committed", "primary in view (1,"} {
		require.Contains(t, text, want)
	}
}

func TestOperationsHaveTimes(t *testing.T) {
	r, report, err := Record(Draw(3))
	require.NoError(t, err)
	for i, op := range report.History {
		call, back := r.Millis(i)
		require.GreaterOrEqual(t, call, int64(0))
		require.Equal(t, op.Verdict != Running, back >= call, "operation %d, from %d to %d: %+v", i, call, back, op)
	}
	call, back := r.Millis(len(report.History))
	require.Equal(t, []int64{-1, -1}, []int64{call, back})
}

// The words for an invariant stand in docs/protocol.md, too.
func TestPredicatesAreThoseOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../docs/protocol.md")
	require.NoError(t, err)
	named := 0
	for _, line := range strings.Split(string(document), "\n") {
		cells := strings.Split(line, " | ")
		name, ok := strings.CutPrefix(cells[0], "| ")
		if !ok || len(cells) < 2 || Predicate(name) == "" {
			continue
		}
		named++
		require.Equal(t, cells[1], Predicate(name), "%s", name)
	}
	require.Equal(t, 27, named, "14 invariants and 13 rules")
	for _, name := range []string{"I1", "I13", "P1", "Linearizable"} {
		require.NotEmpty(t, Predicate(name))
	}
}

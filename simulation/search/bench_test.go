package search

import (
	"context"
	"testing"
)

// BenchmarkSearch exhausts a space, and tells how many states and events it looks
// at in a second.
func BenchmarkSearch(b *testing.B) {
	for _, dl := range []bool{false, true} {
		name := "plain"
		if dl {
			name = "deadlocks"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := Run(context.Background(), Config{Bounds: Bounds{Servers: 2, Ops: 1, Views: 4, Crashes: 1, Deltas: true, LatePings: true}, Deadlocks: dl})
				if err != nil || r.End != Exhausted {
					b.Fatal(r, err)
				}
				b.ReportMetric(float64(r.Found)/r.Elapsed.Seconds(), "states/s")
				b.ReportMetric(float64(r.Steps)/r.Elapsed.Seconds(), "events/s")
			}
		})
	}
}

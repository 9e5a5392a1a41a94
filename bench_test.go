package tandem_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkFailover kills the primary under load, once for each iteration, and
// reports the longest time in which a client got nothing done. It fails if an
// operation was lost, stale or run twice. Fifty kills:
//
//	go test -run '^$' -bench Failover -benchtime 50x .
func BenchmarkFailover(b *testing.B) {
	c := newCluster(b, config{})
	c.start("a")
	c.waitRoles("a", "")
	c.start("b")
	c.waitInSync()
	w := new(witness)
	clients := newLoad(b, w)
	clients.gaps = new(gaps)
	clients.gaps.measure()
	clients.chains(c, 3)
	clients.journals(c)
	c.wait("every client to be at work", clients.gaps.all)

	var longest []time.Duration
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		b.StopTimer()
		v := c.waitInSync()
		pause := time.Duration(rng.IntN(100)) * time.Millisecond
		time.Sleep(pause) // not for anything: so that it comes at any moment
		b.StartTimer()

		clients.gaps.measure()
		c.kill(v.primary)
		c.waitRoles(v.backup, "")
		c.wait("every client to go on", clients.gaps.all)

		b.StopTimer()
		longest = append(longest, clients.gaps.sinceMeasured())
		c.start(v.primary)
		c.waitInSync()
		b.StartTimer()
	}
	operations := clients.stop()
	w.clean(b)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	most := longest[0]
	for _, d := range longest {
		most = max(most, d)
	}
	b.ReportMetric(ms(most), "max-gap-ms")
	b.ReportMetric(ms(median(longest)), "median-gap-ms")
	b.ReportMetric(float64(operations)/float64(len(longest)), "ops/kill")
	b.ReportMetric(float64(w.lost), "lost")
	b.ReportMetric(float64(w.stale), "stale")
	b.ReportMetric(float64(w.duplicated), "duplicated")
}

// BenchmarkFormation starts a view service and two servers, and reports how long
// after its start the first one serves, and how long after its own the second
// is a backup in sync, the store being empty. Medians of twenty:
//
//	go test -run '^$' -bench Formation -benchtime 20x .
func BenchmarkFormation(b *testing.B) {
	var view, sync []time.Duration
	until := func(what string, cond func() bool) {
		b.Helper()
		for deadline := time.Now().Add(patience); !cond(); {
			require.True(b, time.Now().Before(deadline), "waited in vain for %s", what)
			time.Sleep(100 * time.Microsecond)
		}
	}
	for b.Loop() {
		c := newCluster(b, config{})
		start := time.Now()
		first := c.start("a")
		until("the first view", func() bool { st := first.Status(); return st.Active && st.Authority == "solo" })
		view = append(view, time.Since(start))

		start = time.Now()
		c.start("b")
		until("a backup in sync", func() bool { st := first.Status(); return st.BackupInSync && st.Active })
		sync = append(sync, time.Since(start))
		b.StopTimer()
		c.kill("a")
		c.kill("b")
		c.killMonitor()
		b.StartTimer()
	}
	b.ReportMetric(float64(median(view).Microseconds())/1000, "view-ms")
	b.ReportMetric(float64(median(sync).Microseconds())/1000, "sync-ms")
}

// BenchmarkPut measures updates through a primary and a backup, by many
// goroutines of one client.
func BenchmarkPut(b *testing.B) {
	c := newCluster(b, config{})
	c.pair()
	k := c.client("client")
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := k.PutContext(b.Context(), "key", "value"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

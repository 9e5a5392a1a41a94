package replica

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// plainLog is what a log is, in one slice.
type plainLog struct {
	log     log
	base    uint64
	entries []Entry
}

func (p *plainLog) clone() *plainLog {
	return &plainLog{p.log.clone(), p.base, slices.Clone(p.entries)}
}

// TestLogIsWhatWasAddedToIt compares logs and their clones with plain slices. What was
// handed out of one stays as it was, whatever is done with that log or another.
func TestLogIsWhatWasAddedToIt(t *testing.T) {
	payload := make([]byte, 3*runBytes/2)
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint64Range(0, 3).Draw(t, "base")
		logs := []*plainLog{{log: log{base: start}, base: start}}
		var out, asItWas [][]Entry
		epoch := uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			i := rapid.IntRange(0, len(logs)-1).Draw(t, "log")
			p := logs[i]
			last := p.base + uint64(len(p.entries))
			index := rapid.Uint64Range(p.base, last).Draw(t, "index")
			switch rapid.SampledFrom([]string{"add", "trim", "cut", "slice", "clone"}).Draw(t, "do") {
			case "add":
				size := rapid.SampledFrom([]int{0, 10, runBytes / 10, len(payload)}).Draw(t, "size")
				epoch++
				for n := range rapid.SampledFrom([]uint64{1, 7, runEntries, 2*runEntries + 1}).Draw(t, "entries") {
					e := Entry{Epoch: epoch, Index: last + 1 + n, Time: int64(epoch), Payload: payload[:size]}
					p.log.add(e)
					p.entries = append(p.entries, e)
				}
			case "trim":
				p.log.trim(index)
				p.entries, p.base = slices.Clone(p.entries[index-p.base:]), index
			case "cut":
				p.log.cut(index)
				p.entries = p.entries[:index-p.base]
			case "slice":
				if index == last {
					continue
				}
				max := rapid.SampledFrom([]int{1, 1000, runBytes, 10 * runBytes}).Draw(t, "max")
				got := p.log.slice(index+1, max)
				want := p.entries[index-p.base:][:len(got)]
				require.NotEmpty(t, got)
				require.True(t, len(got) == 1 || bytesOf(want) <= max)
				require.True(t, index+uint64(len(got)) == last || bytesOf(want)+entrySize(p.entries[index-p.base:][len(got)]) > max, "more would have fitted")
				out, asItWas = append(out, got), append(asItWas, slices.Clone(want))
			case "clone":
				logs = append(logs, p.clone())
			}
			for _, p := range logs {
				p.compare(t, index)
			}
			for i := range out {
				require.True(t, slices.EqualFunc(asItWas[i], out[i], sameEntry), "what was handed out has changed")
			}
		}
	})
}

func (p *plainLog) compare(t *rapid.T, index uint64) {
	last := p.base + uint64(len(p.entries))
	require.Equal(t, p.base, p.log.base)
	require.Equal(t, last, p.log.last())
	require.Equal(t, bytesOf(p.entries), p.log.bytes)
	require.True(t, slices.EqualFunc(p.entries, p.log.held(), sameEntry))
	if index < p.base || index > last {
		return
	}
	require.Equal(t, bytesOf(p.entries[index-p.base:]), p.log.bytesAfter(index))
	require.True(t, slices.EqualFunc(p.entries[:index-p.base], p.log.between(p.base, index, math.MaxInt), sameEntry))
	if index > p.base {
		require.True(t, sameEntry(p.entries[index-p.base-1], p.log.at(index)))
		epoch, time := p.log.stamp(index)
		require.Equal(t, p.entries[index-p.base-1].Epoch, epoch)
		require.Equal(t, p.entries[index-p.base-1].Time, time)
	}
}

func sameEntry(a, b Entry) bool {
	return a.Epoch == b.Epoch && a.Index == b.Index && a.Time == b.Time && len(a.Payload) == len(b.Payload)
}

// BenchmarkLog is what an entry costs that is added, forwarded and forgotten, of a log
// that keeps 200,000 others for a server that returns.
func BenchmarkLog(b *testing.B) {
	var l log
	payload := make([]byte, 150)
	for range 200_000 {
		l.add(Entry{Index: l.last() + 1, Payload: payload})
	}
	b.ReportAllocs()
	for b.Loop() {
		l.add(Entry{Index: l.last() + 1, Payload: payload})
		l.slice(l.last(), 1<<20)
		l.at(l.last())
		l.bytesAfter(l.last() - 1)
		l.trim(l.base + 1)
	}
}

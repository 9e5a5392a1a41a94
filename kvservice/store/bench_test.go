package store

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

const benchValue = 100 // bytes

// benchKey returns the i-th of a million keys of 16 bytes, scattered over their order.
func benchKey(b []byte, i int) []byte {
	return fmt.Appendf(b[:0], "key-%012d", uint64(i)*2654435761%1_000_000_007)
}

// filled returns a store of so many pairs, and sessions that have made a request.
func filled(b testing.TB, keys, sessions int) *log {
	l := newLog(Limits{})
	for range sessions {
		l.now++
		l.apply(b, openCommand())
	}
	value := string(make([]byte, benchValue))
	var key []byte
	for i := range keys {
		key = benchKey(key, i)
		l.store.Apply(entryOf(l, putCommand(b, 0, 0, string(key), value)))
	}
	l.entries = nil
	return l
}

func openCommand() []byte {
	c := Command{Kind: OpenSession, MaxSessions: 1 << 20}
	return c.Append(nil)
}

func putCommand(t require.TestingT, session, number uint64, key, value string) []byte {
	c, err := PutCommand(&tandem.PutArgs{Key: key, Value: value, Session: session, Number: number}, Limits{})
	require.NoError(t, err)
	return c
}

// entryOf makes the next entry of a log that does not keep it.
func entryOf(l *log, payload []byte) replica.Entry {
	return replica.Entry{Index: l.store.index + 1, Time: l.now, Payload: payload}
}

// BenchmarkPut measures an update of a key that is there, by one of so many
// sessions in turn, without what makes the command.
func BenchmarkPut(b *testing.B) {
	for _, keys := range []int{10_000, 1_000_000} {
		for _, sessions := range []int{64, 65_536} {
			b.Run(fmt.Sprintf("keys=%d/sessions=%d", keys, sessions), func(b *testing.B) {
				l := filled(b, keys, sessions)
				const ring = 1 << 14
				payloads := make([][]byte, ring)
				var key []byte
				value := string(make([]byte, benchValue))
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					if i%ring == 0 {
						b.StopTimer()
						for j := range payloads {
							key = benchKey(key, (i+j)*7919%keys)
							payloads[j] = putCommand(b, uint64((i+j)%sessions)+1, uint64((i+j)/sessions)+1, string(key), value)
						}
						b.StartTimer()
					}
					l.now += int64(i & 1)
					l.store.Apply(entryOf(l, payloads[i%ring]))
				}
			})
		}
	}
}

// BenchmarkDuplicate measures the look at the session table that every update
// begins with, on arrival.
func BenchmarkDuplicate(b *testing.B) {
	for _, sessions := range []int{64, 65_536} {
		b.Run(fmt.Sprint("sessions=", sessions), func(b *testing.B) {
			l := filled(b, 1, sessions)
			b.ReportAllocs()
			for i := range b.N {
				l.store.Duplicate(uint64(i*7919%sessions)+1, 5)
			}
		})
	}
}

// BenchmarkGet measures the answer to a query, by a million keys.
func BenchmarkGet(b *testing.B) {
	const keys = 1_000_000
	l := filled(b, keys, 0)
	queries := make([][]byte, 1<<14)
	var key []byte
	for i := range queries {
		key = benchKey(key, i*7919%keys)
		queries[i] = (&getQuery{key: string(key)}).append(nil)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		l.store.Read(queries[i%len(queries)])
	}
}

// BenchmarkPutUnderSnapshot measures updates that each come upon a node that a
// snapshot shares (rule T2): what it costs, and what it takes of memory, the new pairs
// included.
func BenchmarkPutUnderSnapshot(b *testing.B) {
	const keys = 1_000_000
	l := filled(b, keys, 64)
	value := string(make([]byte, benchValue))
	var key []byte
	payloads := make([][]byte, min(b.N, keys))
	for i := range payloads {
		key = benchKey(key, i*7919%keys)
		payloads[i] = putCommand(b, uint64(i%64)+1, uint64(i/64)+1, string(key), value)
	}
	v := l.store.Snapshot()
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	for _, p := range payloads {
		l.store.Apply(entryOf(l, p))
	}
	b.StopTimer()
	b.ReportMetric((float64(heap())-float64(before))/float64(len(payloads)), "kept-B/op")
	runtime.KeepAlive([]any{l, v, payloads})
}

// BenchmarkTransfer measures a million pairs taken apart in chunks, and put
// together from them.
func BenchmarkTransfer(b *testing.B) {
	const keys = 1_000_000
	l := filled(b, keys, 64)
	v := l.store.Snapshot()
	all := chunks(v, 256<<10)
	b.Run("chunks", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			for chunk, pos := v.Chunk(nil, 256<<10); pos != nil; chunk, pos = v.Chunk(pos, 256<<10) {
				b.SetBytes(int64(len(chunk)) * int64(len(all)))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/key")
	})
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			m := New(Limits{})
			for _, chunk := range all {
				require.NoError(b, m.Load(chunk))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/key")
	})
}

// BenchmarkMemory measures what a pair takes when pairs were put in any order, when
// they were loaded, and what a session takes that has made a request.
func BenchmarkMemory(b *testing.B) {
	const keys, sessions = 1_000_000, 65_536
	for range b.N {
		before := heap()
		l := filled(b, keys, 0)
		b.ReportMetric(float64(heap()-before)/keys, "put-B/key")
		m := load(b, l.store, l.store.Snapshot(), 256<<10)
		l = nil
		b.ReportMetric(float64(heap()-before)/keys, "loaded-B/key")
		runtime.KeepAlive(m)
		m = nil
		before = heap()
		l = filled(b, 1, sessions)
		for i := range sessions {
			l.store.Apply(entryOf(l, putCommand(b, uint64(i)+1, 1, "k", "v")))
		}
		b.ReportMetric(float64(heap()-before)/sessions, "B/session")
		runtime.KeepAlive(l)
	}
}

// heap returns the bytes of the heap that are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package bench

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// nothing is a store that does nothing, and says that it does.
type nothing struct{ values map[string]string }

func (*nothing) Name() string                              { return "nothing" }
func (n *nothing) Open(context.Context) (Client, error)    { return n, nil }
func (*nothing) Put(context.Context, string, string) error { return nil }
func (n *nothing) Get(_ context.Context, key string) (string, bool, error) {
	return n.values[key], true, nil
}
func (*nothing) Close() error { return nil }

// BenchmarkGenerator is what an operation costs the generator itself.
func BenchmarkGenerator(b *testing.B) {
	for _, kind := range []Kind{Put, Get} {
		for _, d := range []Distribution{Uniform, Zipf} {
			b.Run(kind.String()+"/"+string(d), func(b *testing.B) {
				var mix Mix
				mix[kind] = 1
				l := Load{Keys: 10_000, Mix: mix, Distribution: d}.filled()
				n := new(nothing)
				r := &Running{load: l, system: n, share: 1, progress: func(Progress) {}, keys: newRegisters(&l, 1)}
				if err := r.begin(b.Context(), rand.New(rand.NewPCG(1, 1))); err != nil {
					b.Fatal(err)
				}
				n.values = make(map[string]string)
				for i := range r.keys.states {
					n.values[r.keys.key(i)] = r.keys.value(i, 1)
				}
				w := r.workers[0]
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					began := time.Now()
					r.gate.RLock()
					if err := w.step(ctx, began, began); err != nil {
						b.Fatal(err)
					}
					r.gate.RUnlock()
				}
			})
		}
	}
}

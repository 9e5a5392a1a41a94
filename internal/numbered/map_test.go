package numbered

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever is put and deleted, there is what there is in a map of Go's.
func TestMapIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, most := range []int{1, places, 3 * places, 1000} {
		var m Map[uint64, uint64]
		model := map[uint64]*uint64{}
		next := uint64(0)
		for range 20_000 {
			if n := rng.Uint64N(next + 1); rng.IntN(2) == 0 {
				require.Equal(t, model[n], m.Get(n))
				require.Equal(t, model[n], m.Delete(n))
				delete(model, n)
			} else if len(model) < most {
				v := next
				m.Put(next, &v)
				model[next] = &v
				next++
			} else {
				oldest := slices.Min(slices.Collect(maps.Keys(model)))
				require.Same(t, model[oldest], m.Delete(oldest))
				delete(model, oldest)
			}
			require.Equal(t, len(model), m.Len())
		}
		var all []uint64
		for v := range m.All() {
			all = append(all, *v)
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(model)), all)
	}
}

func BenchmarkMap(b *testing.B) {
	v := new(int)
	b.Run("numbered", func(b *testing.B) {
		var m Map[uint64, int]
		for n := uint64(0); b.Loop(); n++ {
			m.Put(n, v)
			if m.Get(n) != v || m.Delete(n) != v {
				b.Fatal("it is not there")
			}
		}
	})
	b.Run("Go", func(b *testing.B) {
		m := make(map[uint64]*int)
		for n := uint64(0); b.Loop(); n++ {
			m[n] = v
			if m[n] != v {
				b.Fatal("it is not there")
			}
			delete(m, n)
		}
	})
}

package bench

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKeysAndValues(t *testing.T) {
	l := Load{Keys: keysMax, ValueSize: 20}
	r := &registers{tags: 7, filler: "vvvv"}
	for _, i := range []int{0, 1, 9, 10, 123456789, l.Keys - 1} {
		require.Equal(t, fmt.Sprintf("bench-%010d", i), r.key(i))
		require.Len(t, r.key(i), KeySize)
		for _, n := range []uint32{0, 1, 255, 1<<32 - 1} {
			v := r.value(i, n)
			require.Len(t, v, l.ValueSize)
			got, ok := r.number(i, v)
			require.True(t, ok)
			require.Equal(t, n, got)
			for _, wrong := range []string{"", v[1:], v + "v", "x" + v[1:], v[:len(v)-1] + "w"} {
				_, ok = r.number(i, wrong)
				assert.False(t, ok, wrong)
			}
			_, ok = r.number(i+1, v)
			assert.False(t, ok, "another key's")
		}
	}
}

// Clients share out the keys: each has its own, and together they have all.
func TestEveryKeyHasOneWriter(t *testing.T) {
	for _, d := range []Distribution{Uniform, Zipf, Sequential} {
		r, err := Start(t.Context(), newMemory(), Load{Clients: 3, Keys: 10, Distribution: d}, nil)
		require.NoError(t, err)
		defer r.Close()
		stand(r, func() {
			writers := make(map[int]int)
			for _, w := range r.workers {
				for range 10_000 {
					i, err := w.mine()
					require.NoError(t, err)
					before, known := writers[i]
					require.True(t, !known || before == w.id, "key %d of clients %d and %d", i, before, w.id)
					writers[i] = w.id
				}
			}
			assert.Len(t, writers, 10, "%s", d)
		})
	}
}

// The n-th most frequent key is drawn in proportion to n^-theta.
func TestZipf(t *testing.T) {
	const keys, draws = 1000, 200_000
	z := newZipf(keys, 0.5)
	counts := make([]int, keys)
	for i := range draws {
		counts[z.rank((float64(i)+0.5)/draws)]++
	}
	assert.InEpsilon(t, 2, float64(counts[0])/float64(counts[3]), 0.1, "4^0.5")
	first, share := 0, 0.0
	for n := 1; n <= 250; n++ {
		first += counts[n-1]
		share += math.Pow(float64(n), -0.5) / z.zetan
	}
	assert.InEpsilon(t, share, float64(first)/draws, 0.01)
	for keys := 1; keys <= 4; keys++ {
		z := newZipf(keys, 0.99)
		for _, u := range []float64{0, 0.3, 0.6, 0.9, 0.999999999} {
			require.Less(t, z.rank(u), keys)
			require.GreaterOrEqual(t, z.rank(u), 0)
		}
	}
}

func TestMixes(t *testing.T) {
	for text, want := range map[string]string{
		"put": "put=1", "get=9,put=1": "get=9,put=1", "delete=2,cas": "cas=1,delete=2", "get=0,append=3": "append=3",
	} {
		m, err := ParseMix(text)
		require.NoError(t, err)
		assert.Equal(t, want, m.String())
		assert.Equal(t, text != "put" && text != "get=9,put=1", m.extended())
	}
	for text, says := range map[string]string{
		"": `no operation ""`, "put=x": `share "x" of put`, "put=-1": `share "-1"`, "get=0": "must have some", "put,put": "twice", "rename": "there are get, put",
	} {
		_, err := ParseMix(text)
		require.ErrorContains(t, err, says)
	}
	m := Mix{Get: 2, Delete: 1}
	assert.Equal(t, []Kind{Get, Get, Delete}, []Kind{m.at(0), m.at(1), m.at(2)})
}

func TestWrongLoadsAreRefused(t *testing.T) {
	for says, l := range map[string]Load{
		"-1 clients":      {Clients: -1},
		"2 keys":          {Clients: 3, Keys: 2},
		"rate -1":         {Rate: -1},
		`arrivals "slow"`: {Arrivals: "slow"},
		"values of 5":     {ValueSize: 5},
		"theta 1":         {Theta: 1},
		"distribution":    {Distribution: "normal"},
		"warm-up -1":      {Warmup: -1},
	} {
		_, err := Run(t.Context(), newMemory(), l, nil)
		require.ErrorContains(t, err, says)
	}
	_, err := Start(t.Context(), plain{newMemory()}, Load{Mix: Mix{Append: 1}}, nil)
	require.ErrorContains(t, err, "it can get and put alone")
	_, err = Start(t.Context(), plain{newMemory()}, Load{Clean: true}, nil)
	require.ErrorContains(t, err, "it cannot delete")
}

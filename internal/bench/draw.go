package bench

import (
	"math"
	"math/rand/v2"
)

// drawer draws the ranks of keys, from 0, the most frequent, up. It is not safe for
// concurrent use; its table is shared.
type drawer struct {
	rng  *rand.Rand
	keys int
	zipf *zipf // nil: uniform
}

func (d *drawer) next() int {
	if d.zipf == nil {
		return d.rng.IntN(d.keys)
	}
	return d.zipf.rank(d.rng.Float64())
}

// zipf turns uniform numbers into ranks with a Zipf distribution whose exponent is less
// than one, as in Gray et al., Quickly Generating Billion-Record Synthetic Databases
// (SIGMOD 1994), section 3.2. The standard library's needs an exponent of more than one.
type zipf struct {
	keys              float64
	alpha, zetan, eta float64
	half              float64 // 1 + the weight of the second rank
}

// newZipf sums up the weights, once.
func newZipf(keys int, theta float64) *zipf {
	z := &zipf{keys: float64(keys), alpha: 1 / (1 - theta), half: 1 + math.Pow(0.5, theta)}
	for n := 1; n <= keys; n++ {
		z.zetan += math.Pow(float64(n), -theta)
	}
	z.eta = (1 - math.Pow(2/z.keys, 1-theta)) / (1 - z.half/z.zetan)
	return z
}

// rank returns the rank for a number from 0 up to 1.
func (z *zipf) rank(u float64) int {
	switch uz := u * z.zetan; {
	case uz < 1 || z.keys < 2:
		return 0
	case uz < z.half || z.keys < 3:
		return 1
	}
	return min(int(z.keys*math.Pow(z.eta*u-z.eta+1, z.alpha)), int(z.keys)-1)
}

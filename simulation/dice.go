package simulation

import "math/bits"

// dice is a small generator of random numbers (SplitMix64: Steele, Lea, Flood,
// OOPSLA 2014). A World has many: each message, fault and node rolls its own, made
// from the seed and a name, so that one of them rolling more or less often leaves
// the others as they are. Shrinking depends on that.
type dice struct{ state uint64 }

// What dice are for, as the first part of their names. Faults come first: a
// fault's dice bear its number.
const (
	diceOfMessage = 0x100 + iota // what the network does of itself
	diceOfNode
	diceOfClerk
	diceOfClock
)

// newDice returns the dice with a name.
func newDice(seed, use, place, n uint64) dice {
	d := dice{seed ^ use*0xd6e8feb86659fd93}
	d.state = d.next() ^ place
	d.state = d.next() ^ n
	return d
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float draws a number of [0, 1).
func (d *dice) float() float64 { return float64(d.next()>>11) / (1 << 53) }

func (d *dice) chance(p float64) bool { return p > 0 && d.float() < p }

// intN draws a number of [0, n).
func (d *dice) intN(n int) int {
	hi, _ := bits.Mul64(d.next(), uint64(n))
	return int(hi)
}

// upTo draws a time between one millisecond and a bound.
func (d *dice) upTo(millis int64) int64 {
	if millis <= 1 {
		return 1
	}
	return 1 + int64(d.intN(int(millis)))
}

// pick chooses one of some nodes. It goes by the slots: without one of those that
// are not chosen the choice would be the same, so that a world with a server or a
// client less is not another world altogether.
func (d *dice) pick(w *World, nodes ...int) int {
	salt := d.next()
	best, chosen := uint64(0), -1
	for _, node := range nodes {
		named := newDice(salt, 0, uint64(w.nodes[node].slot), 0)
		if rank := named.next(); chosen < 0 || rank > best {
			best, chosen = rank, node
		}
	}
	return chosen
}

package bench

import (
	"fmt"
	"time"
)

// Distribution says which keys are used how often.
type Distribution string

// The distributions.
const (
	// Uniform: all keys alike.
	Uniform Distribution = "uniform"
	// Zipf: the n-th most frequent key in proportion to n^-Theta.
	Zipf Distribution = "zipf"
	// Sequential: each client writes its keys in turn, so that none is overwritten soon,
	// and a lost write can be found long after; reads are uniform.
	Sequential Distribution = "sequential"
)

// Arrivals says how operations of an open loop are spread.
type Arrivals string

// The spreads.
const (
	Poisson  Arrivals = "poisson"  // as those of many independent users: pauses are exponential
	Constant Arrivals = "constant" // all pauses are equal
)

// Load says what to do to a System. The zero value of a field is its default.
type Load struct {
	// Clients is how many there are, each of which has one operation under way at most;
	// default 1.
	Clients int `json:"clients"`
	// Rate is the arrivals per second of an open loop, 0.001 to 10 million; zero: a closed
	// loop.
	Rate float64 `json:"rate"`
	// Arrivals is for an open loop; default Poisson.
	Arrivals Arrivals `json:"arrivals"`

	// Warmup is time before the measurement; Duration that of the measurement itself.
	Warmup   time.Duration `json:"warmup_ns"`
	Duration time.Duration `json:"duration_ns"`

	Mix Mix `json:"mix"` // default puts alone

	// Keys is the number of keys, of 16 bytes, which are all put first; default 10000, and
	// at least one for each client. A client writes only its own share of them: of a
	// drawn key it takes the next of its own.
	Keys         int          `json:"keys"`
	Distribution Distribution `json:"distribution"` // default Uniform
	Theta        float64      `json:"theta"`        // of Zipf, more than 0 and less than 1; default 0.99
	// ValueSize is the bytes of a value, at least ValueSizeMin; default 100.
	ValueSize int    `json:"value_size"`
	Seed      uint64 `json:"seed"` // of what is drawn

	// Clean has Run remove all keys in the end, by clients that must be Extended. Otherwise
	// they stay, and the next load puts its own in their place.
	Clean bool `json:"clean"`

	// Patience is how long operations that are under way at the end are waited for;
	// default 10 s. It also bounds the reading back of each client's keys, which is given
	// as much again for every 10000 keys.
	Patience time.Duration `json:"patience_ns"`

	// nap waits for a short time, precisely. Tests in virtual time have their own.
	nap func(time.Duration)
}

// ValueSizeMin is what a value must hold: whose it is, and its number.
const ValueSizeMin = 16

// clientsMax bounds the clients: what is a goroutine here is a connection elsewhere.
const clientsMax = 65536

// The rates of an open loop. Fewer arrivals are none; of more, the pauses between them
// are too short to be told.
const (
	rateMin = 0.001
	rateMax = 10_000_000
)

// filled returns the load with its defaults.
func (l Load) filled() Load {
	l.Mix = l.Mix.filled()
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Clients, 1}, {&l.Keys, 10_000}, {&l.ValueSize, 100}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.Arrivals == "" {
		l.Arrivals = Poisson
	}
	if l.Distribution == "" {
		l.Distribution = Uniform
	}
	if l.Theta == 0 {
		l.Theta = 0.99
	}
	if l.nap == nil {
		l.nap = nap
	}
	if l.Patience == 0 {
		l.Patience = 10 * time.Second
	}
	return l
}

// Check returns an error that names what is wrong with a load.
func (l Load) Check() error {
	l = l.filled()
	switch {
	case l.Clients < 1 || l.Clients > clientsMax:
		return fmt.Errorf("%d clients: must be 1 to %d", l.Clients, clientsMax)
	case l.Rate != 0 && !(l.Rate >= rateMin && l.Rate <= rateMax): // nor is that which is no number
		return fmt.Errorf("rate %v: must be %v to %d operations a second, or 0", l.Rate, rateMin, rateMax)
	case l.Arrivals != Poisson && l.Arrivals != Constant:
		return fmt.Errorf("arrivals %q: must be %s or %s", l.Arrivals, Poisson, Constant)
	case l.Warmup < 0:
		return fmt.Errorf("warm-up %v: must not be negative", l.Warmup)
	case l.Duration < 0:
		return fmt.Errorf("duration %v: must not be negative", l.Duration)
	case l.Patience < 0:
		return fmt.Errorf("patience %v: must not be negative", l.Patience)
	case l.Keys < l.Clients || l.Keys > keysMax:
		return fmt.Errorf("%d keys: must be at least one for each of %d clients, and at most %d", l.Keys, l.Clients, keysMax)
	case l.Distribution != Uniform && l.Distribution != Zipf && l.Distribution != Sequential:
		return fmt.Errorf("distribution %q: must be %s, %s or %s", l.Distribution, Uniform, Zipf, Sequential)
	case !(l.Theta > 0 && l.Theta < 1):
		return fmt.Errorf("theta %v: must be more than 0 and less than 1", l.Theta)
	case l.ValueSize < ValueSizeMin:
		return fmt.Errorf("values of %d bytes: must be at least %d, to hold what is checked", l.ValueSize, ValueSizeMin)
	}
	return nil
}

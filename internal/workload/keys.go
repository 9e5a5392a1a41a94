package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

// keyBudget is how many operations a key gets. One of unknown outcome counts
// for many, because it may run at any later moment, and the checker tries all.
const (
	keyBudget      = 100
	unknownsPerKey = 6
)

// Keys names the keys that operations are on. A few are in use at a time, and
// each is given up for a new one after a while, so that the checker has little to
// think about at once. It is safe for concurrent use.
type Keys struct {
	mu    sync.Mutex
	slots []slot
	all   []string
}

// slot is a place of a key that is in use.
type slot struct{ generation, spent int }

// NewKeys returns names of which so many are in use at a time, at least two. It
// panics if there are to be fewer. A good number is that of the clients: when an
// outage leaves each of them with an operation of unknown outcome, they fall on as
// many keys.
func NewKeys(atOnce int) *Keys {
	if atOnce < 2 {
		panic(fmt.Sprintf("workload: %d keys at once, must be two at least", atOnce))
	}
	return &Keys{slots: make([]slot, atOnce)}
}

// next returns the key for an operation. The first slot's keys are used seldom, so
// that each of their histories spans many faults.
func (k *Keys) next(rng *rand.Rand) string {
	at := 0
	if rng.IntN(12) > 0 {
		at = 1 + rng.IntN(len(k.slots)-1)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.slots[at]
	if s.spent >= keyBudget {
		s.generation, s.spent = s.generation+1, 0
	}
	key := fmt.Sprintf("key %d.%d", at, s.generation)
	if s.spent == 0 {
		k.all = append(k.all, key)
	}
	s.spent++
	return key
}

// unknown notes that an operation on a key is of unknown outcome.
func (k *Keys) unknown(key string) {
	var at, generation int
	if _, err := fmt.Sscanf(key, "key %d.%d", &at, &generation); err != nil {
		panic(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := &k.slots[at]; s.generation == generation {
		s.spent += keyBudget / unknownsPerKey
	}
}

// Used returns every key that an operation was on, in the order of their first use.
func (k *Keys) Used() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all)
}

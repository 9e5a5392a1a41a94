package tandem_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// witness counts what must not happen: it compares what clients are told with
// what they know. It is safe for concurrent use.
type witness struct {
	mu sync.Mutex
	// lost: an acknowledged write is missing. stale: a read shows less than
	// was acknowledged before it began. duplicated: a write took effect twice,
	// or in the wrong place. failed: an operation returned an error.
	lost, stale, duplicated, failed int
	first                           []string // the first few, in words
}

func (w *witness) say(counter *int, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*counter++
	if len(w.first) < 10 {
		w.first = append(w.first, fmt.Sprintf(format, args...))
	}
}

// clean fails the test if anything was seen.
func (w *witness) clean(t testing.TB) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost+w.stale+w.duplicated+w.failed > 0 {
		t.Errorf("lost %d, stale %d, duplicated %d, failed %d:\n  %s",
			w.lost, w.stale, w.duplicated, w.failed, strings.Join(w.first, "\n  "))
	}
}

// cleanButFailed is clean for a run whose operations could not all end.
func (w *witness) cleanButFailed(t testing.TB) {
	t.Helper()
	w.mu.Lock()
	w.failed = 0
	w.mu.Unlock()
	w.clean(t)
}

// hashChain is a key that one client changes by PutHash, so that each value follows
// from all that came before, and that any client reads.
//
//	confirmed <= len(values)-1 <= confirmed+1
type hashChain struct {
	w   *witness
	key string

	mu        sync.Mutex
	values    []string         // values[i]: after i steps
	places    map[string][]int // values backwards; a 32-bit hash may come twice
	confirmed int              // steps known to have run
}

func newHashChain(w *witness, key string) *hashChain {
	return &hashChain{w: w, key: key, values: []string{""}, places: map[string][]int{"": {0}}}
}

// step makes the next change; only the chain's owner may. It reports whether
// the operation succeeded.
func (c *hashChain) step(ctx context.Context, k *kvservice.KVClient) bool {
	c.mu.Lock()
	n := len(c.values)
	old := c.values[n-1]
	arg := strconv.Itoa(n)
	next := strconv.Itoa(int(tandem.Hash(old + arg)))
	c.values = append(c.values, next)
	c.places[next] = append(c.places[next], n)
	c.mu.Unlock()

	got, err := k.PutHashContext(ctx, c.key, arg)
	if err != nil {
		c.w.say(&c.w.failed, "step %d of %s: %v", n, c.key, err)
		return false
	}
	switch {
	case got == old:
	case got == next:
		c.w.say(&c.w.duplicated, "step %d of %s ran twice", n, c.key)
	default:
		c.w.say(&c.w.lost, "step %d of %s found %q (of steps %v), not %q", n, c.key, got, c.at(got), old)
	}
	c.mu.Lock()
	c.confirmed = n
	c.mu.Unlock()
	return true
}

func (c *hashChain) at(value string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.places[value]
}

// read reads the key and checks that the value is none older than what was
// confirmed before, and none that nobody has asked for yet.
func (c *hashChain) read(ctx context.Context, k *kvservice.KVClient) bool {
	c.mu.Lock()
	low := c.confirmed
	c.mu.Unlock()
	got, err := k.GetContext(ctx, c.key)
	if err != nil && !errors.Is(err, tandem.ErrNoKey) {
		c.w.say(&c.w.failed, "read of %s: %v", c.key, err)
		return false
	}
	c.mu.Lock()
	high, places := len(c.values)-1, c.places[got]
	c.mu.Unlock()
	older := false
	for _, i := range places {
		if i >= low && i <= high {
			return true
		}
		older = older || i < low
	}
	if older {
		c.w.say(&c.w.stale, "a read of %s shows steps %v, when %d were confirmed", c.key, places, low)
	} else {
		c.w.say(&c.w.lost, "a read of %s shows %q, which none of its %d steps makes", c.key, got, high)
	}
	return true
}

// appendWriters is how many clients append to one journal.
const appendWriters = 2

// journal is a key to which several clients append numbered words.
type journal struct {
	w   *witness
	key string

	mu               sync.Mutex
	begun, confirmed [appendWriters]int
	longest          string // of the values seen: all others are beginnings of it
}

func newJournal(w *witness, key string) *journal { return &journal{w: w, key: key} }

// append appends the next word of a writer; each writer is one goroutine.
func (j *journal) append(ctx context.Context, k *kvservice.KVClient, writer int) bool {
	j.mu.Lock()
	n := j.begun[writer]
	j.begun[writer]++
	j.mu.Unlock()
	if err := k.AppendContext(ctx, j.key, fmt.Sprintf("%d:%d ", writer, n)); err != nil {
		j.w.say(&j.w.failed, "word %d of writer %d to %s: %v", n, writer, j.key, err)
		return false
	}
	j.mu.Lock()
	j.confirmed[writer] = n + 1
	j.mu.Unlock()
	return true
}

// read reads the key and checks that it holds what was confirmed before, and
// nothing that had not begun, each word once and in its writer's order, and all
// words in the order that earlier reads saw.
func (j *journal) read(ctx context.Context, k *kvservice.KVClient) bool {
	j.mu.Lock()
	low := j.confirmed
	j.mu.Unlock()
	got, err := k.GetContext(ctx, j.key)
	if err != nil && !errors.Is(err, tandem.ErrNoKey) {
		j.w.say(&j.w.failed, "read of %s: %v", j.key, err)
		return false
	}
	j.check(got, low)
	return true
}

func (j *journal) check(got string, low [appendWriters]int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var count [appendWriters]int
	for _, word := range strings.Fields(got) {
		var writer, n int
		if _, err := fmt.Sscanf(word, "%d:%d", &writer, &n); err != nil || writer < 0 || writer >= appendWriters {
			j.w.say(&j.w.lost, "%s holds %q, which nobody wrote", j.key, word)
			return
		}
		switch {
		case n == count[writer]:
			count[writer]++
		case n < count[writer]:
			j.w.say(&j.w.duplicated, "%s holds %s again, or late: %q", j.key, word, got)
			return
		default:
			j.w.say(&j.w.lost, "%s holds %s and not the word before it: %q", j.key, word, got)
			return
		}
	}
	for writer := range appendWriters {
		if count[writer] < low[writer] {
			j.w.say(&j.w.stale, "%s holds %d words of writer %d, when %d were confirmed", j.key, count[writer], writer, low[writer])
		}
		if count[writer] > j.begun[writer] {
			j.w.say(&j.w.duplicated, "%s holds %d words of writer %d, who wrote %d", j.key, count[writer], writer, j.begun[writer])
		}
	}
	switch {
	case strings.HasPrefix(got, j.longest):
		j.longest = got
	case !strings.HasPrefix(j.longest, got):
		j.w.say(&j.w.lost, "%s was %q and then %q", j.key, j.longest, got)
	}
}

package workload

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tandemkv/tandem/simulation"
)

// Verdict is what a history was found to be.
type Verdict string

// The verdicts.
const (
	Valid   Verdict = "valid"   // every key's history is linearizable
	Invalid Verdict = "invalid" // some key's is not
	Unknown Verdict = "unknown" // no key's was found not to be, and not all could be judged
)

const (
	judgingMax = 30 * time.Second // of the checker, per key
	badKeysMax = 3                // each may take the checker long
)

// Judgement is the verdict on a history, and what led to it.
type Judgement struct {
	Verdict   Verdict
	Keys      int       // of the history
	Judged    int       // of those, by the checker: all, unless it ended early
	Bad       []BadKey  // by key
	Witnessed Witnessed // in all keys
}

// BadKey is a key whose history is not linearizable, or nobody can tell.
type BadKey struct {
	Key    string
	Result porcupine.CheckResult
}

// String says it in a sentence.
func (b BadKey) String() string {
	if b.Result == porcupine.Illegal {
		return "the history of " + b.Key + " is not linearizable"
	}
	return "the checker cannot tell in time whether the history of " + b.Key + " is linearizable"
}

// Judge has every key's history judged, each for 30 s at most, by so many workers at
// once, until a few were found that are not linearizable, or of which nobody can
// tell. When the context ends it begins no further key. progress, which may be nil,
// is called after each key, by any worker, with how many were judged and how many
// there are. No operation may be under way.
func (h *History) Judge(ctx context.Context, workers int, progress func(judged, keys int)) Judgement {
	keys := h.Keys()
	j := Judgement{Keys: len(keys)}
	for _, key := range keys {
		j.Witnessed.add(witness(h.Of(key)))
	}
	var mu sync.Mutex
	var next, bad atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil && bad.Load() < badKeysMax {
				i := int(next.Add(1)) - 1
				if i >= len(keys) {
					return
				}
				result := simulation.Linearizable(h.Of(keys[i]), judgingMax)
				mu.Lock()
				j.Judged++
				judged := j.Judged
				if result != porcupine.Ok {
					bad.Add(1)
					j.Bad = append(j.Bad, BadKey{keys[i], result})
				}
				mu.Unlock()
				if progress != nil {
					progress(judged, len(keys))
				}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(j.Bad, func(a, b BadKey) int { return slices.Index(keys, a.Key) - slices.Index(keys, b.Key) })
	j.Verdict = j.verdict()
	return j
}

func (j *Judgement) verdict() Verdict {
	illegal := func(b BadKey) bool { return b.Result == porcupine.Illegal }
	switch {
	case j.Witnessed.Any() || slices.ContainsFunc(j.Bad, illegal):
		return Invalid
	case len(j.Bad) > 0 || j.Judged < j.Keys:
		return Unknown
	}
	return Valid
}

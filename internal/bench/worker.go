package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tandemkv/tandem/internal/pause"
)

// worker is one client at work. It belongs to its goroutine, but while the load stands
// still.
type worker struct {
	r      *Running
	id     int
	client Client
	rng    *rand.Rand
	draw   drawer
	cursor int // of Sequential: the key that it wrote last
	extras extras

	shard  *shard
	column int // of the shard
}

// refusedPause is for how long a client does nothing after an operation that was
// refused: a system that refuses all of them is not to be beaten at it.
const refusedPause = time.Millisecond

// loop works until there is nothing more to do.
func (w *worker) loop(ctx context.Context) {
	for w.r.taking.Err() == nil {
		began := time.Now()
		meant := began
		if s := w.r.schedule; s != nil {
			var ok bool
			if meant, ok = s.take(w.r.taking); !ok {
				return
			}
			began = time.Now()
		}
		w.r.gate.RLock()
		err := w.step(ctx, meant, began)
		w.r.gate.RUnlock()
		if err != nil {
			w.r.fail(err)
			return
		}
	}
}

// step does one operation. The error is one that ends the load.
func (w *worker) step(ctx context.Context, meant, began time.Time) error {
	kind, err := w.perform(ctx, w.r.load.Mix.at(w.rng.IntN(w.r.share)))
	switch {
	case err == nil:
		ended := time.Now()
		w.shard.answered(w.column, kind, meant, began, ended)
		w.r.silence.answered(ended)
		return nil
	case errors.Is(err, errNoKey):
		return err
	case ctx.Err() != nil && kind == Get:
		return nil // it was given up, and changes nothing
	}
	f := Failures{Unknown: 1, First: err.Error()}
	if kind == Get || errors.Is(err, ErrDidNotRun) {
		f.DidNotRun, f.Unknown = 1, 0
		defer pause.For(ctx, refusedPause)
	}
	w.shard.failed(kind, f)
	return nil
}

// perform does an operation of a kind, or what has to come before one, and returns which.
func (w *worker) perform(ctx context.Context, kind Kind) (Kind, error) {
	keys, found := w.r.keys, &w.r.found
	switch kind {
	case Get:
		return kind, keys.get(ctx, w.client, w.draw.next(), found)
	case Append:
		return kind, w.extras.append(ctx, w.client.(Extended))
	case PutHash:
		return kind, w.extras.putHash(ctx, w.client.(Extended), found)
	case Delete:
		return w.extras.putOrDelete(ctx, w.client.(Extended), found)
	}
	i, err := w.mine()
	switch {
	case err != nil:
		return kind, err
	case kind == CompareAndSwap:
		return kind, keys.swap(ctx, w.client.(Extended), i, found)
	}
	return kind, keys.put(ctx, w.client, i)
}

// errNoKey ends a load.
var errNoKey = errors.New("of all its keys the last write's outcome is unknown: there must be more keys")

// mine draws a key that this client may write.
func (w *worker) mine() (int, error) {
	all, step := len(w.r.keys.states), w.r.load.Clients
	i := w.cursor
	if w.r.load.Distribution != Sequential {
		rank := w.draw.next()
		i = rank - rank%step + w.id
	} else {
		i += step
	}
	for range all/step + 1 {
		if i >= all {
			i = w.id
		}
		if !w.r.keys.states[i].given {
			w.cursor = i
			return i, nil
		}
		i += step
	}
	return 0, fmt.Errorf("client %d: %w", w.id, errNoKey)
}

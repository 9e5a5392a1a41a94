package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// crewMin is how many clients put and read back keys, if the load has fewer.
const crewMin = 32

// crew returns clients for what is not measured, and a function that closes those that
// were opened for it. The workers stand still.
func (r *Running) crew(ctx context.Context) (clients []Client, dismiss func(), err error) {
	for _, w := range r.workers {
		clients = append(clients, w.client)
	}
	own := len(clients)
	dismiss = func() {
		for _, c := range clients[own:] {
			c.Close() // it has done its work
		}
	}
	for len(clients) < min(crewMin, r.load.Keys) {
		c, err := r.open(ctx)
		if err != nil {
			dismiss()
			return nil, nil, err
		}
		clients = append(clients, c)
	}
	return clients, dismiss, nil
}

// each has a crew do something with every number up to n, and returns the first error.
func (r *Running) each(ctx context.Context, stage string, n int, do func(ctx context.Context, c Client, i int) error) error {
	clients, dismiss, err := r.crew(ctx)
	if err != nil {
		return err
	}
	defer dismiss()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var done atomic.Uint64
	for first, c := range clients {
		wg.Go(func() {
			for i := first; i < n && ctx.Err() == nil; i += len(clients) {
				if err := do(ctx, c, i); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	for {
		select {
		case <-all:
			return context.Cause(ctx)
		case <-tick.C:
			r.progress(Progress{stage, done.Load(), uint64(n)})
		}
	}
}

// fill puts every key.
func (r *Running) fill(ctx context.Context) error {
	err := r.each(ctx, "fill", len(r.keys.states), func(ctx context.Context, c Client, i int) error {
		return r.keys.put(ctx, c, i)
	})
	if err != nil {
		return fmt.Errorf("put the keys: %w", err)
	}
	return nil
}

// ReadBack has the clients stand still, once they have had their answers, and looks
// whether everything is there that was acknowledged: all keys, or those that were written
// since the last time. What it finds is in Violations. The time that it takes is in no
// client's gap; in an open loop arrivals go on meanwhile, and are late. The error is that of a read that failed, or of not having been
// done in the time that Load.Patience tells of.
func (r *Running) ReadBack(ctx context.Context, all bool) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	defer r.rested()
	var which []int
	for i := range r.keys.states {
		if s := &r.keys.states[i]; all || s.touched {
			which = append(which, i)
			s.touched = false
		}
	}
	bound := r.load.Patience * time.Duration(1+len(which)/10_000)
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("it was not done in %v", bound))
	defer cancel()
	err := r.each(ctx, "read back", len(which)+len(r.workers), func(ctx context.Context, c Client, i int) error {
		if i < len(which) {
			return r.keys.readBack(ctx, c, which[i], &r.found)
		}
		return r.workers[i-len(which)].extras.readBack(ctx, c, all, &r.found)
	})
	if err != nil {
		return errors.Join(r.Err(), fmt.Errorf("load %s: read back: %w", r.system.Name(), err))
	}
	return nil
}

// rested notes that no client had anything to do up to now.
func (r *Running) rested() {
	now := time.Now()
	for _, s := range r.shards {
		s.rested(now)
	}
	r.silence.rested(now)
}

// clean removes what the load has put, after it was stopped, by clients that are Extended.
// The error is of the first key that could not be removed.
func (r *Running) clean(ctx context.Context) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	var names []string
	for i := range r.keys.states {
		names = append(names, r.keys.key(i))
	}
	for _, w := range r.workers {
		names = append(names, w.extras.keys()...)
	}
	err := r.each(ctx, "clean up", len(names), func(ctx context.Context, c Client, i int) error {
		_, err := c.(Extended).Delete(ctx, names[i])
		return err
	})
	if err != nil {
		return fmt.Errorf("load %s: clean up: %w", r.system.Name(), err)
	}
	return nil
}

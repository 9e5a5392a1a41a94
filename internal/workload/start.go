package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
)

// Load is what workers are given.
type Load struct {
	History *History
	Keys    *Keys
	Seed    uint64 // of what they ask for
	// Clients are those that are used, one worker each. One that stands here twice is
	// shared by two.
	Clients []*kvservice.KVClient
	// Patient has no operation given up before the context ends: each that fails is
	// an error of the store. Otherwise some have deadlines.
	Patient bool
}

// Workers are goroutines that use clients.
type Workers struct {
	wg      sync.WaitGroup
	running atomic.Int64
	once    sync.Once
	stop    chan struct{}
}

// Start starts the workers. They end when they are stopped and what they have begun
// is answered, or with the context.
func Start(ctx context.Context, l Load) *Workers {
	w := &Workers{stop: make(chan struct{})}
	for who, k := range l.Clients {
		mine := worker{l, who, k, rand.New(rand.NewPCG(l.Seed, uint64(1+who))), make(map[string]string)}
		w.running.Add(1)
		w.wg.Go(func() {
			defer w.running.Add(-1)
			for n := 0; ctx.Err() == nil; n++ {
				select {
				case <-w.stop:
					return
				default:
					mine.step(ctx, n)
				}
			}
		})
	}
	return w
}

// Stop lets no worker begin another operation. It does not wait.
func (w *Workers) Stop() { w.once.Do(func() { close(w.stop) }) }

// Running returns how many workers have not ended.
func (w *Workers) Running() int { return int(w.running.Load()) }

// Wait waits until all have ended.
func (w *Workers) Wait() { w.wg.Wait() }

// worker is one of them.
type worker struct {
	Load
	who   int
	k     *kvservice.KVClient
	rng   *rand.Rand
	known map[string]string // what it knows of keys, right or wrong
}

// pauseMax is what a worker leaves at most between two operations: some of the
// machine is for others.
const pauseMax = 10 * time.Millisecond

// step does one operation.
func (w *worker) step(ctx context.Context, n int) {
	if d := w.deadline(); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	op := w.History.Do(ctx, w.k, w.who, w.invent(n))
	switch op.Verdict {
	case simulation.Unknown:
		w.Keys.unknown(op.Input.Key)
	case simulation.Done:
		w.learn(op)
	}
	time.Sleep(time.Duration(w.rng.Int64N(int64(pauseMax))))
}

// deadline returns the time that an operation has, zero if it may take as long as it
// takes, as most may. Some have a deadline that a fault outlasts, and a few one that
// is hard to meet.
func (w *worker) deadline() time.Duration {
	if w.Patient {
		return 0
	}
	switch draw := w.rng.IntN(40); {
	case draw == 0:
		return 1 + time.Duration(w.rng.IntN(3000))*time.Microsecond
	case draw <= 10:
		return time.Duration(20+w.rng.IntN(500)) * time.Millisecond
	}
	return 0
}

// writes are the kinds of update, some of them twice as often as others.
var writes = []simulation.OpKind{
	simulation.Put, simulation.PutHash, simulation.Delete,
	simulation.Append, simulation.Append, simulation.CompareAndSwap, simulation.CompareAndSwap,
}

// invent makes up an operation. Each value is written once, so that a read tells
// which write it saw. The first worker only reads: a primary that was superseded and
// does not know it leaves writers waiting, who then look for another, so that only
// one who never writes may be answered by it (R2).
func (w *worker) invent(n int) simulation.Input {
	in := simulation.Input{Kind: simulation.Get, Key: w.Keys.next(w.rng)}
	if w.who == 0 || w.rng.IntN(5) < 2 {
		return in
	}
	in.Kind = writes[w.rng.IntN(len(writes))]
	if in.Kind != simulation.Delete {
		in.Value = token(w.who, n)
	}
	if in.Kind == simulation.CompareAndSwap {
		in.Expected = w.known[in.Key]
	}
	return in
}

// token returns a value that is written once: by a worker's operation of this
// number. In a value that was appended to, each can be told from what stands around it.
func token(who, n int) string { return fmt.Sprintf("[%d:%d]", who, n) }

// learn notes what an operation tells of its key.
func (w *worker) learn(op simulation.Operation) {
	in := op.Input
	switch in.Kind {
	case simulation.Get:
		w.known[in.Key] = op.Output.Value
	case simulation.Put:
		w.known[in.Key] = in.Value
	case simulation.PutHash:
		w.known[in.Key] = strconv.Itoa(int(tandem.Hash(op.Output.Value + in.Value)))
	case simulation.Append:
		w.known[in.Key] += in.Value
	case simulation.Delete:
		w.known[in.Key] = ""
	case simulation.CompareAndSwap:
		if op.Output.Swapped {
			w.known[in.Key] = in.Value
		}
	}
}

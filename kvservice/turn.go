package kvservice

import (
	"runtime"
	"sync"

	"github.com/tandemkv/tandem"
)

// turn is the right to step a core, which one goroutine has at a time. There is one
// goroutine that waits for work and for ticks; but whoever brings work from the network
// takes the turn itself if it is free, and so spares a lone request the way to
// another goroutine and back. If it is not free, whoever has it looks again
// before it goes.
type turn struct {
	sync.Mutex
	bell  chan struct{} // holds an element when the goroutine that waits should look
	waits func() bool   // whether there is work
	work  func()        // does what there is, called with the turn held
	// others reports whether others may be about to bring requests, called with the
	// turn held.
	others func() bool
}

// offer does what waits, or leaves it to whoever has the turn.
func (t *turn) offer() {
	if t.waits() && t.TryLock() {
		t.work()
		t.pass()
	}
}

// offerTogether is offer for requests: others that bring some go first, and then it is
// done with together. What a peer sends has been gathered by it, and to let others go
// first costs a wakened thread where there are none.
func (t *turn) offerTogether() {
	if t.waits() && t.TryLock() {
		t.letOthersGoFirst()
		t.work()
		t.pass()
	}
}

// letOthersGoFirst gives those time who may be about to bring requests. It is called with
// the turn held.
func (t *turn) letOthersGoFirst() {
	if t.others() {
		runtime.Gosched()
	}
}

// pass gives the turn up. What has come since it was last looked is left to the
// goroutine that waits.
func (t *turn) pass() {
	t.Unlock()
	if t.waits() {
		t.ring()
	}
}

// awaitOthers returns when nobody has the turn any more who had it before.
func (t *turn) awaitOthers() {
	t.Lock()
	t.pass()
}

// ring wakes the goroutine that waits.
func (t *turn) ring() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

// guard takes the steps of a core's turn, and returns the invariant that broke, if one
// did; then the steps after that were not taken.
func guard(steps ...func()) (broken *tandem.InvariantError) {
	defer func() {
		if v := recover(); v != nil {
			var ok bool
			if broken, ok = v.(*tandem.InvariantError); !ok {
				panic(v) // a bug of another kind: the stack says more than we could
			}
		}
	}()
	for _, step := range steps {
		step()
	}
	return nil
}

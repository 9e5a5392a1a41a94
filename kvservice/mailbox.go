package kvservice

import (
	"sync"
	"sync/atomic"
)

// mailbox holds, in order, what waits for the goroutine that owns a core. Posting
// to it costs a lock, and wakes that goroutine only if it may be asleep, so that what
// arrives together is taken together. It is safe for concurrent use.
type mailbox[E any] struct {
	bell chan struct{} // holds an element when the owner should look; several may share one
	max  int           // events that wait; whoever posts more waits for room

	mu    sync.Mutex
	room  *sync.Cond
	items []E
	shut  bool
	some  atomic.Bool // items is not empty
}

func newMailbox[E any](bell chan struct{}, max int) *mailbox[E] {
	m := &mailbox[E]{bell: bell, max: max}
	m.room = sync.NewCond(&m.mu)
	return m
}

// post adds events, waiting for room. It returns false if the mailbox was closed, and
// then nothing was added.
func (m *mailbox[E]) post(events ...E) bool {
	m.mu.Lock()
	for len(m.items) >= m.max && !m.shut {
		m.room.Wait()
	}
	if m.shut {
		m.mu.Unlock()
		return false
	}
	first := len(m.items) == 0
	m.items = append(m.items, events...)
	m.some.Store(true)
	m.mu.Unlock()
	if first {
		m.ring()
	}
	return true
}

// ring makes the owner look.
func (m *mailbox[E]) ring() {
	select {
	case m.bell <- struct{}{}:
	default:
	}
}

// waits reports whether take would return something. It costs less.
func (m *mailbox[E]) waits() bool { return m.some.Load() }

// take returns all that waits, and goes on in the emptied spare.
func (m *mailbox[E]) take(spare []E) []E {
	m.mu.Lock()
	defer m.mu.Unlock()
	full := len(m.items) >= m.max
	items := m.items
	m.items = spare[:0]
	m.some.Store(false)
	if full {
		m.room.Broadcast()
	}
	return items
}

// close makes post return false from now on. What waits stays there.
func (m *mailbox[E]) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shut = true
	m.room.Broadcast()
}

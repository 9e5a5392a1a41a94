package kvservice

import (
	"sync"
	"sync/atomic"
)

// mailbox holds, in order, what waits for whoever has the turn to step a core. It
// wakes nobody. It is safe for concurrent use.
type mailbox[E any] struct {
	max  int    // events that wait; whoever posts more waits for room
	full func() // wakes who makes room, for those who wait for it may be the ones who should

	mu    sync.Mutex
	room  *sync.Cond
	items []E
	shut  bool
	some  atomic.Bool // items is not empty
}

func newMailbox[E any](max int, full func()) *mailbox[E] {
	m := &mailbox[E]{max: max, full: full}
	m.room = sync.NewCond(&m.mu)
	return m
}

// post adds events, waiting for room. It returns false if the mailbox was closed, and
// then nothing was added.
func (m *mailbox[E]) post(events ...E) bool {
	m.mu.Lock()
	for len(m.items) >= m.max && !m.shut {
		m.full()
		m.room.Wait()
	}
	if m.shut {
		m.mu.Unlock()
		return false
	}
	m.items = append(m.items, events...)
	m.some.Store(true)
	m.mu.Unlock()
	return true
}

// add is post without waiting for room, for what is bounded elsewhere, and for those who
// may have the turn. What comes after close stays there.
func (m *mailbox[E]) add(e E) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items = append(m.items, e)
	m.some.Store(true)
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

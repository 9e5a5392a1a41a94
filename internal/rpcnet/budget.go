package rpcnet

import "sync"

// budget hands out a number of bytes, in the order of the requests: a large one
// is not overtaken for ever by small ones. Safe for concurrent use.
//
// Invariant: 0 <= free <= the size it was made with.
type budget struct {
	mu    sync.Mutex
	free  int
	queue []*share // those that wait, oldest first
}

// share is one request; ready is closed when it was granted.
type share struct {
	bytes int
	ready chan struct{}
}

func newBudget(bytes int) *budget { return &budget{free: bytes} }

// ask requests bytes, at most the budget's size. The caller waits for ready and
// gives the share back, granted or not.
func (b *budget) ask(bytes int) *share {
	s := &share{bytes, make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, s)
	b.grant()
	return s
}

// giveBack ends a share, or its wait.
func (b *budget) giveBack(s *share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, waiting := range b.queue {
		if waiting == s {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.grant() // it may have stood before smaller ones
			return
		}
	}
	b.free += s.bytes
	b.grant()
}

func (b *budget) grant() {
	for len(b.queue) > 0 && b.queue[0].bytes <= b.free {
		b.free -= b.queue[0].bytes
		close(b.queue[0].ready)
		b.queue = b.queue[1:]
	}
}

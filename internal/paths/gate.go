package paths

import (
	"context"
	"sync"
)

// gate is what all bytes of a direction pass.
type gate struct {
	mu   sync.Mutex
	free chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{free: make(chan struct{})}
	close(g.free)
	return g
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isOpen() {
		close(g.free)
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOpen() {
		g.free = make(chan struct{})
	}
}

// isOpen is called with the lock held.
func (g *gate) isOpen() bool {
	select {
	case <-g.free:
		return true
	default:
		return false
	}
}

// pass waits until the gate is open, and reports false if the context ends first.
func (g *gate) pass(ctx context.Context) bool {
	for {
		g.mu.Lock()
		open, free := g.isOpen(), g.free
		g.mu.Unlock()
		if open {
			return true
		}
		select {
		case <-free: // and perhaps shut again since
		case <-ctx.Done():
			return false
		}
	}
}

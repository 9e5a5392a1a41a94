package paths

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// ErrClosed is what a Network says that was closed.
var ErrClosed = errors.New("the network is closed")

// Network is the parties and the paths between them. Parties are known by any
// names. All methods are safe for concurrent use.
type Network struct {
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	targets map[string]string // where parties listen, by name
	paths   map[direction]*path
	gates   map[direction]*gate
	closed  bool
}

// direction is the way from one party to another.
type direction struct{ from, to string }

func (d direction) back() direction { return direction{d.to, d.from} }

// New returns a network without parties, to be closed.
func New() *Network {
	n := &Network{
		targets: make(map[string]string),
		paths:   make(map[direction]*path),
		gates:   make(map[direction]*gate),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Target says where a party listens, host:port; empty: nowhere. It counts for
// connections that are opened from now on.
func (n *Network) Target(name, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.targets[name] = addr
}

func (n *Network) target(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.targets[name]
}

// Path returns the address at which one party reaches another, a port of loopback
// that stays the same until Close. The error is that of listening there, or ErrClosed.
func (n *Network) Path(from, to string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return "", fmt.Errorf("path from %s to %s: %w", from, to, ErrClosed)
	}
	d := direction{from, to}
	p := n.paths[d]
	if p == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("path from %s to %s: %w", from, to, err)
		}
		p = newPath(n, d, l, n.gate(d), n.gate(d.back()))
		n.paths[d] = p
		n.tasks.Go(p.serve)
	}
	return p.listener.Addr().String(), nil
}

// Dialer returns a function by which a party of this very process opens connections.
// The address that it is given is a party's name, the network is ignored.
func (n *Network) Dialer(from string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, to string) (net.Conn, error) {
		via, err := n.Path(from, to)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, "tcp", via)
	}
}

// Cut stops the bytes that one party sends to another until Heal, in connections
// that either of them opened. Nothing says so to them, and connections that one
// opens to the other are not answered: for that both directions are needed. What
// can be held of what is sent is held; then whoever sends has to wait.
func (n *Network) Cut(from, to string) { n.gateOf(from, to).shut() }

// Heal ends Cut(from, to). What was held is delivered, also what somebody sent who
// has gone since; to have it lost, Reset before.
func (n *Network) Heal(from, to string) { n.gateOf(from, to).open() }

// HealAll ends every cut.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range n.gates {
		g.open()
	}
}

// Reset breaks every connection between two parties, whoever opened it: both ends
// see a reset, and what was under way is lost. It returns how many there were.
func (n *Network) Reset(a, b string) int {
	n.mu.Lock()
	between := []*path{n.paths[direction{a, b}], n.paths[direction{b, a}]}
	n.mu.Unlock()
	broken := 0
	for _, p := range between {
		if p != nil {
			broken += p.reset()
		}
	}
	return broken
}

// Close breaks every connection and ends every path. When it returns, no goroutine
// of the network is left. Any number of calls is fine.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	n.cancel()
	for _, p := range n.paths {
		p.listener.Close()
	}
	n.mu.Unlock()
	n.tasks.Wait()
}

func (n *Network) gateOf(from, to string) *gate {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gate(direction{from, to})
}

// gate returns the gate of a direction. It is called with the lock held.
func (n *Network) gate(d direction) *gate {
	g := n.gates[d]
	if g == nil {
		g = newGate()
		n.gates[d] = g
	}
	return g
}

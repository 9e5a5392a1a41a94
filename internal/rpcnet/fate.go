package rpcnet

import (
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"
)

// fate is what chance has in store for one RPC. It is drawn when the RPC starts.
type fate struct {
	dropRequest, dropReply   bool
	delayRequest, delayReply time.Duration
	runs                     atomic.Bool // the request is delivered even if its caller gives up
}

var (
	errDroppedRequest = errors.New("injected fault: request dropped")
	errDroppedReply   = errors.New("injected fault: reply dropped")
)

// draw draws the fate of the next RPC on a route.
func (f *Faults) draw(r Route) *fate {
	n := f.drawn[r]
	f.drawn[r]++

	h := fnv.New64a()
	for _, s := range []string{stableName(r.From), stableName(r.To), r.Method} {
		io.WriteString(h, s)
		h.Write([]byte{0})
	}
	chance := rand.New(rand.NewPCG(f.seed^h.Sum64(), n))
	// Each number is drawn whether it is needed or not, so that a setting that
	// is changed does not shift the others.
	u, d1, d2 := chance.Float64(), chance.Float64(), chance.Float64()

	un, special := f.at[r.To]
	if !special {
		un = f.general
	}
	between := func(u float64) time.Duration {
		return f.delay.min + time.Duration(u*float64(f.delay.max-f.delay.min))
	}
	return &fate{
		dropRequest:  u < un.dropRequest,
		dropReply:    u >= un.dropRequest && u < un.dropRequest+un.dropReply,
		delayRequest: between(d1),
		delayReply:   between(d2),
	}
}

// stableName is the part of a name that is the same from run to run.
func stableName(name string) string {
	if Network(name) == "unix" {
		return filepath.Base(name)
	}
	return name
}

// flight is a message on its way.
type flight struct {
	from, to, method string
	// deliver lets it arrive. For a request it is called with the lock held, so
	// that order is kept, and returns nil; for a reply it returns what is to
	// be done without the lock, since that runs a caller's code.
	deliver func() (unlocked func())
	// strand is called without waiting for anything when the message is lost or
	// held by a freeze: the caller's patience begins to run out.
	strand func()
	// hold, if set, is called when the message is kept for later.
	hold func()
}

// request sends a call's request through the faults. An error says that the call
// was not accepted.
func (f *Faults) request(c *call) error {
	h := c.hub
	route := Route{h.cfg.Name, c.addr, c.method}
	fl := &flight{
		from: route.From, to: route.To, method: route.Method,
		strand: func() { f.strand(c) },
		hold:   func() { c.markRuns() },
		deliver: func() func() {
			// An error means that the hub was closed, which settles the call.
			if _, err := h.enqueue(c, true, false); err == nil {
				f.passed[route]++
			}
			return nil
		},
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	c.fate = f.draw(route)
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return notSent(ErrClosed)
	}
	h.loose[c] = true
	h.mu.Unlock()

	if c.fate.dropRequest {
		c.markRuns()
		h.after(0, func() { c.settle(connLost(errDroppedRequest)) })
		return nil
	}
	if d := c.fate.delayRequest; d > 0 && !f.cuts[path{fl.from, fl.to}] {
		c.markRuns()
		h.after(d, func() { f.arrive(fl) })
		return nil
	}
	f.pass(fl)
	return nil
}

// reply sends the outcome of a call that came over the network through the faults.
func (f *Faults) reply(c *call, outcome error) {
	fl := &flight{
		from: c.addr, to: c.hub.cfg.Name, method: c.method,
		strand:  func() { f.strand(c) },
		deliver: func() func() { return func() { c.settle(outcome) } },
	}
	if c.fate.dropReply {
		c.settle(connLost(errDroppedReply))
		return
	}
	if d := c.fate.delayReply; d > 0 && !f.isCut(fl.from, fl.to) {
		c.hub.after(d, func() { f.arrive(fl) })
		return
	}
	f.arrive(fl)
}

// markRuns notes that the request is out of its caller's hands.
func (c *call) markRuns() {
	c.fate.runs.Store(true)
	c.state.CompareAndSwap(callQueued, callHanded)
}

// strand gives a call up after StallTimeout.
func (f *Faults) strand(c *call) {
	c.markRuns()
	if !c.hub.cfg.DialPerCall && c.state.Load() != callSettled {
		stall := c.hub.cfg.StallTimeout
		c.hub.after(stall, func() { c.settle(connLost(stalled(stall))) })
	}
}

// arrive lets a message go on that was delayed, or is not delayed.
func (f *Faults) arrive(fl *flight) {
	f.mu.Lock()
	unlocked := f.pass(fl)
	f.mu.Unlock()
	if unlocked != nil {
		unlocked()
	}
}

// pass delivers a message, unless it is lost or held. It is called with the lock
// held and returns what is to be done without it.
func (f *Faults) pass(fl *flight) (unlocked func()) {
	if f.cuts[path{fl.from, fl.to}] {
		fl.strand()
		return nil
	}
	if f.frozen[fl.from] || f.frozen[fl.to] {
		f.held = append(f.held, fl)
		fl.strand()
		return nil
	}
	for _, g := range f.gates {
		if g.match(fl.from, fl.to, fl.method) {
			g.held = append(g.held, fl)
			if fl.hold != nil {
				fl.hold()
			}
			return nil
		}
	}
	return fl.deliver()
}

func (f *Faults) passAll(held []*flight) (unlocked []func()) {
	for _, fl := range held {
		if fn := f.pass(fl); fn != nil {
			unlocked = append(unlocked, fn)
		}
	}
	return unlocked
}

func runAll(fns []func()) {
	for _, fn := range fns {
		fn()
	}
}

func (f *Faults) isCut(from, to string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cuts[path{from, to}]
}

// severed reports whether nothing passes between two names, in one direction at
// least: then neither can tell that the other is alive.
func (f *Faults) severed(a, b string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cuts[path{a, b}] || f.cuts[path{b, a}] || f.frozen[a] || f.frozen[b]
}

package rpcnet

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// The lab's unreliable network: of all RPCs, these shares lose their request
// before it runs, and their reply after it ran.
const (
	LabDropRequest = 0.10
	LabDropReply   = 0.18
)

// Faults is a faulty network between Transports and the servers they call. It
// is installed in any number of transports, and may be changed while they are
// used: all methods are safe for concurrent use.
//
// A request travels from Transport.Name to the address that was dialled, a reply
// the other way; these are the names that cuts, freezes and gates go by. Every
// decision by chance is a function of the seed, the route (from, to, method), and how
// many RPCs went that way before, so it does not depend on what goroutines on
// other routes do. Of a socket's path only the last element counts for that,
// since the rest often differs from run to run.
//
// A nil *Faults in a TransportConfig is a network without faults, and costs nothing.
type Faults struct {
	mu      sync.Mutex
	seed    uint64
	general unreliability
	at      map[string]unreliability // by address
	delay   struct{ min, max time.Duration }
	cuts    map[path]bool
	frozen  map[string]bool
	held    []*flight // because an end is frozen, oldest first
	gates   []*Gate
	drawn   map[Route]uint64 // RPCs whose fate was drawn
	passed  map[Route]int    // requests handed to the network
}

type unreliability struct{ dropRequest, dropReply float64 }

// path is a direction.
type path struct{ from, to string }

// Route is who calls what where.
type Route struct{ From, To, Method string }

// NewFaults returns a network that has no faults yet.
func NewFaults(seed uint64) *Faults {
	return &Faults{
		seed:   seed,
		at:     make(map[string]unreliability),
		cuts:   make(map[path]bool),
		frozen: make(map[string]bool),
		drawn:  make(map[Route]uint64),
		passed: make(map[Route]int),
	}
}

// Unreliable makes every RPC lose its request with one probability, and its
// reply (after it has run) with the other; their sum is at most 1. The caller of
// either sees ErrConnLost promptly, as if the connection had been closed, which
// it is not: its other calls are unaffected. Zeros make the network reliable again.
func (f *Faults) Unreliable(dropRequest, dropReply float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.general = unreliability{dropRequest, dropReply}
}

// UnreliableAt is Unreliable for the RPCs to one address, for which it
// takes the place of the general setting until ReliableAgain.
func (f *Faults) UnreliableAt(addr string, dropRequest, dropReply float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[addr] = unreliability{dropRequest, dropReply}
}

// ReliableAgain ends Unreliable and every UnreliableAt.
func (f *Faults) ReliableAgain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.general = unreliability{}
	clear(f.at)
}

// Delay makes every request and every reply travel for a random time between
// the two (inclusive). Messages overtake each other: calls no longer arrive in
// the order in which they were started. Zeros end it for RPCs that start later.
func (f *Faults) Delay(min, max time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay.min, f.delay.max = min, max
}

// Cut makes every message from one name to another vanish: requests of calls
// that from makes to to, and replies that from gives to to, also replies to
// requests that were sent before. Signs of life are cut as well. A call that loses
// a message hangs until its context ends, or until StallTimeout has passed since the loss
// (not with DialPerCall); then its outcome is unknown, even if its request never
// arrived, for its caller cannot know. Connections on a path that stays cut for
// StallTimeout while replies are owed are lost, too.
func (f *Faults) Cut(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cuts[path{from, to}] = true
}

// Heal ends Cut(from, to). What vanished is gone.
func (f *Faults) Heal(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.cuts, path{from, to})
}

// HealAll ends every cut.
func (f *Faults) HealAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.cuts)
}

// Freeze holds every message to and from name until Thaw. Callers lose patience
// as they do with a cut, but the messages are delivered all the same, as from
// a process that was stopped and goes on: a request may run long after its
// caller has given up.
func (f *Faults) Freeze(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen[name] = true
}

// Thaw ends Freeze(name) and delivers what was held, in order. done functions of
// calls whose replies were held run before it returns.
func (f *Faults) Thaw(name string) {
	f.mu.Lock()
	delete(f.frozen, name)
	held := f.held
	f.held = nil
	replies := f.passAll(held)
	f.mu.Unlock()
	runAll(replies)
}

// Hold holds every message for which match is true, until the gate is released.
// For a request, from is its caller; for a reply, from is the server's address.
// A held call waits for the gate without limit but its context and Close, and a held
// request goes out even if its caller has given up.
// match must be quick and must not call methods of f.
func (f *Faults) Hold(match func(from, to, method string) bool) *Gate {
	g := &Gate{faults: f, match: match}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates = append(f.gates, g)
	return g
}

// Gate is what Hold holds messages at. It is safe for concurrent use.
type Gate struct {
	faults *Faults
	match  func(from, to, method string) bool
	held   []*flight // guarded by faults.mu
}

// Held returns the number of messages that wait at the gate.
func (g *Gate) Held() int {
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	return len(g.held)
}

// Release delivers what the gate holds, in order, and takes the gate away. done
// functions of calls whose replies were held run before it returns.
func (g *Gate) Release() {
	f := g.faults
	f.mu.Lock()
	f.gates = slices.DeleteFunc(f.gates, func(x *Gate) bool { return x == g })
	held := g.held
	g.held = nil
	replies := f.passAll(held)
	f.mu.Unlock()
	runAll(replies)
}

// Counts returns how many requests were handed to the network, by method;
// neither those that were lost on the way nor signs of life count.
func (f *Faults) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := make(map[string]int)
	for r, n := range f.passed {
		counts[r.Method] += n
	}
	return counts
}

// CountsBy returns the same by route.
func (f *Faults) CountsBy() map[Route]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.passed)
}

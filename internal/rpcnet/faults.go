package rpcnet

import "time"

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
type Faults struct{}

// NewFaults returns a network without faults.
func NewFaults(seed uint64) *Faults { return &Faults{} }

// Unreliable makes every RPC lose its request with one probability, and its
// reply (after it has run) with the other; their sum is at most 1. The caller of
// either sees ErrConnLost promptly, as if the connection had been closed, which
// it is not: its other calls are unaffected. Zeros make the network reliable again.
func (f *Faults) Unreliable(dropRequest, dropReply float64) {}

// UnreliableAt is Unreliable for the RPCs to one address, for which it
// takes the place of the general setting until ReliableAgain.
func (f *Faults) UnreliableAt(addr string, dropRequest, dropReply float64) {}

// ReliableAgain ends Unreliable and every UnreliableAt.
func (f *Faults) ReliableAgain() {}

// Delay makes every request and every reply travel for a random time between
// the two (inclusive). Messages overtake each other: calls no longer arrive in
// the order in which they were started. Zeros end it for later messages.
func (f *Faults) Delay(min, max time.Duration) {}

// Cut makes every message from one name to another vanish: requests of calls
// that from makes to to, and replies that from gives to to, also replies to
// requests that were sent before. Signs of life are cut as well. A call that loses
// a message hangs until its context ends, or until StallTimeout has passed since the loss
// (not with DialPerCall); then its outcome is unknown, even if its request never
// arrived, for its caller cannot know. Connections on a path that stays cut for
// StallTimeout while replies are owed are lost, too.
func (f *Faults) Cut(from, to string) {}

// Heal ends Cut(from, to). What vanished is gone.
func (f *Faults) Heal(from, to string) {}

// HealAll ends every cut.
func (f *Faults) HealAll() {}

// Freeze holds every message to and from name until Thaw. Callers lose patience
// as they do with a cut, but the messages are delivered all the same, as from
// a process that was stopped and goes on: a request may run long after its
// caller has given up.
func (f *Faults) Freeze(name string) {}

// Thaw ends Freeze(name) and delivers what was held, in order.
func (f *Faults) Thaw(name string) {}

// Hold holds every message for which match is true, until the gate is released.
// For a request, from is its caller; for a reply, from is the server's address.
// A held call waits for the gate without limit but its context and Close.
// match must be quick and must not call methods of f.
func (f *Faults) Hold(match func(from, to, method string) bool) *Gate { return &Gate{} }

// Gate is what Hold holds messages at.
type Gate struct{}

// Held returns the number of messages that wait at the gate.
func (g *Gate) Held() int { return 0 }

// Release delivers what the gate holds, in order, and takes the gate away.
func (g *Gate) Release() {}

// Counts returns how many requests were handed to the network, by method;
// neither those that were lost on the way nor signs of life count.
func (f *Faults) Counts() map[string]int { return nil }

// CountsBy returns the same by route.
func (f *Faults) CountsBy() map[Route]int { return nil }

// Route is who calls what where.
type Route struct{ From, To, Method string }

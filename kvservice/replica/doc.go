// Package replica holds a key/value server's replication rules as a pure state
// machine: who may commit, what is forwarded, acknowledged, transferred and
// read, and when.
//
// A Replica does no input or output. Events go in through its methods (a message
// was delivered, a client asked, a tick passed, entries are durable), the state
// changes, and what should happen in the world collects in an outbox until
// TakeEffects hands it over: messages to send, replies to give, a ping, records
// to keep. Equal events in equal order give equal states and equal effects, so
// the same code runs on sockets, in the simulator and under the model checker.
//
// The heart of it is the authority of a server to commit (rules A1 to A7):
//
//	        told that (e,P,none) is active,
//	        or named primary of (e,P,B)          backup installed
//	none ────────────────────────────────▶ solo ───────────────────▶ joint
//	 ▲                                       │                         │
//	 └── adopts a view, except by A3 ◀───────┴─────────────────────────┘
//
// Solo, an entry is committed when the primary has it; joint, when both have it.
// A solo primary cannot be deposed, for no other server is in the in-sync set; a
// joint one can, but not before its backup has left the epoch, and then nothing
// more commits in it. That is why at most one server commits at any time
// (invariant I4) although no clock is trusted.
//
// The rules are named in docs/protocol.md and cited where the code upholds them.
// A Replica is not safe for concurrent use; one goroutine owns it.
package replica

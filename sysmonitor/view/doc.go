// Package view holds the rules of the view service, V0 to V11 of
// docs/protocol.md, as a pure state machine: events go in, effects come out,
// and nothing in between is anything but a function of the events and their
// order. It has no goroutine, lock, clock, socket, file, log line or random
// number, and no result depends on the order of a map.
//
// # Events and effects
//
// A [Service] takes one event at a time: a ping ([Service.Ping]), the passing
// of time ([Service.Tick]), a hint that a server may be gone ([Service.Hint]) or is
// ([Service.Refused], [Service.Suspect]), and word that a record is durable
// ([Service.Durable]).
// What it wants done collects in an outbox until [Service.Take] empties it:
//
//	effects := service.Take()
//	if effects.Record != nil { keep it durably, then service.Durable(its number) }
//	for each of effects.Replies { send it }
//	if effects.News { look again at every Get that waits, with service.Get }
//
// Rule V10 is in that order of things: what a ping decides becomes a record
// first, and is named by replies and by Get only once that record is durable.
// At most one record is outstanding; while it is, the facts that events bring
// are noted, nothing more is decided, and replies wait for it. An owner that
// keeps nothing on disk answers Durable at once.
//
// # Two layers
//
// The detector (detector.go) is what one monitor sees for itself: the ping
// sequences of rule V2 and the countdowns behind V7 and V8. It turns pings and
// ticks into a few [Command]s. The [State] (state.go, rules.go) applies the
// commands and decides on views; it is deterministic and counts no time, so
// that several monitors could agree on the commands by a log and then hold
// equal states.
//
// # Lives
//
// A server is its address and incarnation. A lab server has no incarnation (it
// is zero) and says by pinging 0 that it lost its state. Such a restart cannot
// be seen in the server's name, so it takes the name out of the in-sync set
// (rule V6). An address that changes its incarnation leaves the set as it is
// and stops matching it; should the former incarnation be heard again, alive
// with all its state, it matches again. (The sequence of rule V2 tells a late
// ping from a return as long as a few former lives of the address are
// remembered, and while the present life is alive a former one is not heard.)
//
// None of the types is safe for concurrent use: one goroutine owns a Service.
package view

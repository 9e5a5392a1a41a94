// Package simulation is a deterministic world for Tandem's cores: the view
// service, the replicas, the stores and the clerks run on a virtual clock and a
// hostile network, and every event is followed by a look at all of them at once.
//
// # One seed
//
// A World is made from Options, and Draw makes Options from a seed: how many
// servers and clients, which limits, which faults and how often. From there on
// the seed decides everything. There is one goroutine, no clock, and nothing that
// depends on the order of a map, so the same seed gives the same run, event for
// event; Report.Hash says so in one number. A failure names the seed, and the one
// command that replays it.
//
// # Faults
//
// FaultNames lists the kinds (faults.go). Every fault is a Decision, named by its
// kind, its place and the number of its opportunity there, and drawn from the seed
// and that name alone (schedule.go, dice.go): leave one out and the others stay as
// they are. So a failure can be shrunk (Shrink) to the few faults that it needs,
// and those written to a file as a Schedule and replayed.
//
// A run has faults until its clients have started Options.Ops operations and
// enough has struck; then all is mended, and everything has to be answered.
//
// # The network
//
// The network is a multiset of messages from which delivery does not consume:
// whatever was sent may come once, twice, never, late, or as a ghost when its
// view is long gone. That holds for calls, too, but only the copy of a call that
// arrives first is answered: a connection brings a call at most once, and clerk
// relies on it when a session has expired. On some seeds messages are encoded and
// decoded on the way, on others it is checked that nobody changed them, so that
// aliasing shows.
//
// # What is checked
//
// After every event the invariants of docs/protocol.md (invariants.go), against
// an oracle that folds the one global log (oracle.go); at the end that the
// history of the clients is linearizable, key by key (model.go) and for its beginning
// as a whole with its scans (storemodel.go), and that once the faults had stopped
// everything was answered (P1, in run.go). The oracle tells the effect of a
// command from the rules' words, not with the store's code (reference.go).
//
// Time is counted in milliseconds of the virtual clock. Each node has clocks of its
// own, which faults set wrong (clocks.go); cores are ticked every few milliseconds
// of theirs (Options.TickMillis).
package simulation

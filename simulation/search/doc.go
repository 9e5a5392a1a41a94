// Package search is a model checker for Tandem's cores: it lets everything happen
// that can, in every order, and looks at every state that can come of it.
//
// # What is searched
//
// A State is the view service, the servers and what is under way between them,
// all of it the real cores (view, replica, store), cloned and stepped. The network
// is a set of messages from which delivery does not consume, so that each may come
// once, twice, late or never, in any order. Suspicion and timeouts are events like
// others, which may happen at any time. Bounds say how many servers, updates,
// reads, views, crashes and retries there are; everything else happens as often as
// it likes. Clients are reduced to what they send: an update or a read may reach
// any server that would take it, at any time.
//
// Clocks, leases, chunks of more than one piece, departures, expiry of sessions
// and batches are not in it; package simulation has them.
//
// # How
//
// Run goes breadth first, so that what it finds it finds by a shortest way; Walk
// goes at random, deep. Each state of a part of the system (of a server, say) is
// kept once, and so is what each event came to there, so that nearly all steps are
// looked up and not made: equal states behave alike, since the cores depend on
// nothing but what they are given. States that differ only in what can have no
// effect any more are one (reduce.go); so are those that differ in which of two
// clients, alike until then, began.
//
// Run ends with one of four: the space is exhausted, the goal is found, an
// invariant is broken, or a limit is reached. Only the first is a proof, and only
// within the Bounds; states are told apart by 128 bits (visited.go).
//
// # What is looked at
//
// In every state I1 to I8 and I12; at every commit and every answer I5, I9, I10,
// I11 and S5; that what must be ignored is (N1, F1, V2, V8), and that nobody who
// is solo stalls in a view of his own (A3); what the cores themselves assert; and on demand whether there is a way back
// to service once nothing goes wrong any more (P1), for as long as a member of the
// in-sync set lives.
package search

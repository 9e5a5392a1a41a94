// Package tidy holds the tests that keep the house in order. It is used by
// nothing, and its tests run with all others.
//
// Four things are checked on the source of the whole module.
//
// Purity (purity.go). A core is a pure state machine: equal events in equal
// order make equal states and equal effects. So a core imports a short list of
// packages, starts no goroutine, has no channel, reads no clock, draws no random
// number, prints nothing, changes no variable of its package, and lets no result
// hang on the order in which Go happens to walk a map. A walk over a map whose
// order cannot show carries a comment that says why, on its line or on the line
// above:
//
//	// order does not matter: the sum is the same
//	for _, n := range counts {
//		sum += n
//	}
//
// Direction (layers.go). Commands and the scenario stand above the shells, the shells
// above the cores, the cores above the vocabulary; nothing imports what is above
// it, and the simulation stands on cores alone. What a package imports from other modules is
// listed too.
//
// Citations (citations.go). Each rule and invariant that docs/protocol.md marks
// as built is named in a comment or string of the code and in one of the
// tests, and a name that is cited in a comment exists in the document.
//
// Programs (readme.go). The programs in README.md compile.
package tidy

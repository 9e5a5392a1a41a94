// Package diagram draws what happened among a few processes over time: a
// lifeline for each, with what it was as coloured bands, the messages as arrows
// between them, and what happened to one as marks. It knows neither the simulation
// nor the protocol's code, so whatever has processes, messages and an order of events
// can be drawn: a simulated run by virtual time, a path of the model checker by steps.
//
// WriteHTML makes one file that needs nothing else: the page, its style, its
// script and the data. It opens from a disk, without a network, and holds tens of
// thousands of messages, since the script draws only what is in view. Every text comes
// from a run, in which keys and values may be anything: none is ever taken as markup.
package diagram

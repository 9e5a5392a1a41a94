// Package paths is a network between processes that can be broken: whoever would
// dial a party dials a place between the two instead, one for each pair, which
// carries the bytes of TCP connections on, or holds them, in one direction or in
// both, or breaks the connections. It knows nothing of what the bytes mean, needs
// no privileges, and works on loopback.
//
// What differs from a network that loses packets: a connection over a path that is
// cut is accepted, by the place between, and then nothing moves on it; one to a
// party that is not there is accepted and reset, perhaps so soon that the dial
// fails. Bytes that are under way when a path is cut may still arrive; none that
// are sent after that do, before it is healed.
package paths

// Package drill measures a cluster of real processes while something happens to it: its
// primary is killed, frozen or leaves ([Failover]), a new backup is brought up to date, or
// one that was away returns ([Transfer]). The load, and the check of every answer, are
// those of package bench.
//
// Nothing is made to go well: a server that is killed is killed as kill -9 does, at any
// moment between two of its pings.
package drill

// Package replica holds a key/value server's replication rules as a pure state
// machine: who may commit, what is forwarded, acknowledged, transferred and
// read, and when.
package replica

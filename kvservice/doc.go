// Package kvservice holds Tandem's key/value servers and clients.
//
// A KVServer pings the view service (package sysmonitor), which tells it whether
// it is primary, backup or idle. The primary orders updates, forwards them to the
// backup before it answers, brings a new backup up to date, and refuses requests
// once it has been superseded. A KVClient finds the primary, repeats a request
// until one execution of it is known, and never lets it run twice.
//
// This package is a shell: it owns the goroutines, the sockets and the timers,
// and decides nothing. One goroutine at a time has the turn to step a server's core
// (package replica, over package store), or a client's (package clerk): it empties the
// inbox, steps the core for each event, and carries out the effects that the core asks
// for. What arrives while it works forms the next batch. A request that finds
// nobody at work is carried through by the goroutine that read it from the network; a
// goroutine that each server and client has does what is left over, and tells the time.
//
// The lab's forms (StartKVServer, MakeKVClient, Get, Put, PutHash) stand beside
// those a Go program expects (Start, GetContext, ...), which take a context
// and return errors.
//
// ReadStatus and ReadTable look into one given server, whatever its role, and ask
// nobody else: for people who watch a group, or save what is left of one.
//
// The operations of a KVClient are linearizable, and each runs at most once
// however often it had to be sent. They keep trying until their context ends.
// Their errors are *OpError: errors.Is finds the reason, the context's error if
// it ended first, and ErrOutcomeUnknown if the operation may have run.
//
// The lab's forms keep trying for ever and return no error. Where trying again
// cannot help they panic with the *OpError: the key or value is too large, the
// session was lost with the outcome unknown, or the client is closed.
package kvservice

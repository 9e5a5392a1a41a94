// Package sysmonitor is Tandem's view service: the server that decides who is
// primary and who is backup, and the client by which others ping and ask it.
//
// Every key/value server pings the MonitorServer once per PingInterval. From the
// pings alone it forms numbered views; docs/protocol.md tells by which rules (V0
// to V11), and package view holds them, pure and tested on their own. This
// package is the shell around that core: it owns the sockets, the timers and the
// one goroutine that steps the core, and decides nothing.
//
// The names and the semantics of the MIT 6.824 lab are kept: MakeClient, Ping,
// Get, Primary, and the RPCs MonitorServer.Ping and MonitorServer.Get work as
// there, for a plain net/rpc client, too.
package sysmonitor

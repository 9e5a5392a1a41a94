// Package sysmonitor is the view service over net/rpc: a server that chooses
// the primary and the backup from the pings of the key/value servers, and a
// client for it. The rules (V0 to V11 of docs/protocol.md) are those of package
// view, a pure core; what stands here are the goroutines, sockets and timers.
//
// The lab's surface is here name for name ([StartServer], [MakeClient],
// [Client.Ping], [Client.Get], [Client.Primary], [View], [PingInterval],
// [DeadPings], [MonitorServer.Kill]), and so are its RPCs: a plain net/rpc
// client that calls MonitorServer.Ping with {Me, Viewnum} or MonitorServer.Get
// with nothing is served as in the lab. Beside it stands what a Go programmer
// expects: [Start] with options and an error, [MonitorServer.Shutdown],
// [MonitorServer.Status], contexts in [Client.PingServer] and [Client.Wait].
//
// By default the server keeps its state in memory alone: one that is started again
// where old servers still ping has lost its memory; it says so and announces
// nothing (rule V0). With [WithData] its views are on disk before anybody hears of
// them, and a server that is started again goes on from there (rule V10).
package sysmonitor

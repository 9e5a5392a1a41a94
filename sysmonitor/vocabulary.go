package sysmonitor

import (
	"time"

	"github.com/tandemkv/tandem"
)

// PingInterval is the time between two pings of a server (rule V2), unless the
// view service announces another.
const PingInterval = 100 * time.Millisecond

// DeadPings is the number of ping intervals without a ping after which a server
// is suspected (rule V7).
const DeadPings = 5

// The lab's names for what goes over the wire.
type (
	// View is one numbered assignment of the roles.
	View = tandem.View
	// PingArgs are the arguments of MonitorServer.Ping.
	PingArgs = tandem.PingArgs
	// PingReply is the reply of MonitorServer.Ping.
	PingReply = tandem.PingReply
	// GetArgs are the arguments of MonitorServer.Get.
	GetArgs = tandem.ViewArgs
	// GetReply is the reply of MonitorServer.Get.
	GetReply = tandem.ViewReply
)

// Server is one life of one server: its address and incarnation.
type Server = tandem.Server

// Status is all that a view service knows, for people and for tools.
type Status struct {
	Addr string // where the view service listens

	View   View     // the announced view
	Active uint     // the last activated number (rule V3)
	InSync []Server // the members of the last active view that may still match it

	Servers []ServerStatus // in the order in which their present lives were first heard

	// Down says that the group cannot serve: its primary is gone and nobody may
	// follow it (rule V9), or this service announces nothing (rule V0), or it
	// has stopped.
	Down bool
	// LostMemory says that this service announces nothing (rule V0).
	LostMemory bool
	// Why says in a sentence what the group waits for; empty if for nothing.
	Why string

	// Data is the directory where the views are kept; empty: in memory alone.
	Data string
	// DiskTrouble says why a view that was decided on is not kept yet, nor
	// announced (rule V10); empty if the disk is well.
	DiskTrouble string

	// History holds the last changes of view, the oldest first.
	History []Change

	// What this service counts with.
	PingInterval time.Duration
	DeadPings    int

	Waiting int // Gets that wait for a newer view
}

// ServerStatus is what the view service knows about one server.
type ServerStatus struct {
	Server
	Number    uint          // the last that it pinged (rule V2)
	Silent    time.Duration // since its last ping, to about a quarter of a ping interval
	Heard     bool          // false: known from a record only
	Suspected bool          // rule V7
	Leaving   bool          // rule V11
	CoolDown  time.Duration // until it may be named again after a report (rule V8)
	InSync    bool
}

// Change is one entry of the history: a view made, or the view activated; or, as the
// first after a restart, the view that the service went on from.
type Change struct {
	View   View
	Active uint          // the last activated number after it
	Rule   string        // the rule that fired
	Reason string        // why, for people
	Ago    time.Duration // how long ago it was made, or this service restarted
}

// StatusArgs are the arguments of the RPC MonitorServer.Status.
type StatusArgs struct {
	Group uint32 // zero: the only group
}

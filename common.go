// Package tandem is the vocabulary that the parts of Tandem share: what stands
// in a request, a reply, a ping and a view, and what each error says about the
// operation it belongs to.
//
// Tandem is a replicated key/value store in the style of the MIT 6.824 lab: a
// view service (package sysmonitor) chooses a primary and a backup, key/value
// servers (package kvservice) forward every update to the backup before they
// answer, and clients retry until one execution of their request is known.
//
// The types here go over net/rpc in gob encoding, and requests and replies also in
// a compact one (AppendCompact) between programs that both know it. Every field
// that the lab does not have is meaningful as zero: a peer that never heard of it
// is a "lab client", and is served as the lab would serve it. Nothing in this
// package has behaviour that needs a lock; values are safe to share as long as
// nobody changes them.
package tandem

import (
	"hash/fnv"
	"time"
)

// Err is the outcome of an RPC as it travels in a reply. It implements error,
// so a code that arrives in a reply can be returned, wrapped and found again
// with errors.Is. The empty Err, which a lab server may leave behind, means OK.
type Err string

// The codes. The first three are the lab's.
const (
	// OK: the operation ran, and the reply holds its result.
	OK Err = "OK"
	// ErrNoKey: the operation ran, and the key was absent.
	ErrNoKey Err = "ErrNoKey"
	// ErrWrongServer: the server is not the primary, or stopped being it while
	// the request was under way (rule A7). The reply's Outcome tells the two
	// apart.
	ErrWrongServer Err = "ErrWrongServer"

	// ErrTooLarge: a key or a value, or the value that an Append would have
	// made, exceeds the limit. Nothing was changed.
	ErrTooLarge Err = "ErrTooLarge"
	// ErrBadRequest: the request cannot be understood (an unknown kind of
	// operation, say). Nothing was changed.
	ErrBadRequest Err = "ErrBadRequest"
	// ErrSessionExpired: the session is unknown, so this attempt was not
	// executed (rule S3). An earlier attempt at the same request may have been.
	ErrSessionExpired Err = "ErrSessionExpired"
	// ErrStaleRequest: the session has gone on to a higher number (rule S3).
	// This attempt was not executed; an earlier one may have been.
	ErrStaleRequest Err = "ErrStaleRequest"
	// ErrTooManySessions: no session could be opened, for the table is full.
	ErrTooManySessions Err = "ErrTooManySessions"
	// ErrBusy: as many requests wait as the server allows. Not executed.
	ErrBusy Err = "ErrBusy"
	// ErrScanLost: the snapshot that a Scan was reading from is no longer held.
	// Start the scan again.
	ErrScanLost Err = "ErrScanLost"
	// ErrWrongCluster: the message belongs to another cluster (rule V0) or to
	// another group of servers.
	ErrWrongCluster Err = "ErrWrongCluster"
	// ErrLostMemory: the view service heard of a view above its own, so it has
	// lost its memory and announces nothing (rule V0).
	ErrLostMemory Err = "ErrLostMemory"
)

// Error returns a sentence for people. The code itself is string(e).
func (e Err) Error() string {
	switch e {
	case OK, "":
		return "ok"
	case ErrNoKey:
		return "no such key"
	case ErrWrongServer:
		return "not the primary"
	case ErrTooLarge:
		return "key or value too large"
	case ErrBadRequest:
		return "malformed request"
	case ErrSessionExpired:
		return "session expired"
	case ErrStaleRequest:
		return "request superseded by a later one of its session"
	case ErrTooManySessions:
		return "too many sessions"
	case ErrBusy:
		return "too many requests are waiting"
	case ErrScanLost:
		return "the scan's snapshot is no longer held"
	case ErrWrongCluster:
		return "message of another cluster"
	case ErrLostMemory:
		return "the view service has lost its memory: it heard of a view above its own"
	}
	return string(e)
}

// Outcome says whether the operation of a request has run (rule S5). The zero
// value is the cautious one.
type Outcome uint8

const (
	// OutcomeUnknown: it may have run, or may yet run.
	OutcomeUnknown Outcome = iota
	// DidNotRun: this attempt did not run and never will.
	DidNotRun
	// DidRun: it ran, exactly once as far as its session reaches.
	DidRun
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case DidNotRun:
		return "did not run"
	case DidRun:
		return "ran"
	}
	return "unknown"
}

// Op is the kind of an update. A lab client leaves it zero, which means Put, or
// PutHash when PutArgs.DoHash is set.
type Op uint8

const (
	// OpPut sets the value.
	OpPut Op = iota
	// OpPutHash sets the value to strconv.Itoa(int(Hash(old+value))) and
	// returns the old one.
	OpPutHash
	// OpAppend sets the value to old+value.
	OpAppend
	// OpDelete removes the key; ErrNoKey if it was absent.
	OpDelete
	// OpCompareAndSwap sets the value if the present one equals Expected. An
	// absent key counts as "", as it does for Get and PutHash.
	OpCompareAndSwap
	// OpOpenSession opens a session (rule S4); PutReply.Session is its id.
	OpOpenSession
)

// String returns the name by which logs and errors call the operation.
func (o Op) String() string {
	switch o {
	case OpPut:
		return "Put"
	case OpPutHash:
		return "PutHash"
	case OpAppend:
		return "Append"
	case OpDelete:
		return "Delete"
	case OpCompareAndSwap:
		return "CompareAndSwap"
	case OpOpenSession:
		return "OpenSession"
	}
	return "unknown operation"
}

// Target says for whom a client's request is meant. The zero Target is a lab
// client's: any cluster, any view.
type Target struct {
	// Cluster is the id from the client's view; zero accepts any.
	Cluster uint64
	// Group is the group of servers that holds the key; zero is the only one.
	Group uint32
	// Viewnum is the view by which the client chose this server. A server that
	// holds an older one knows from it that there is news to ask for.
	Viewnum uint
}

// PutArgs are the arguments of KVServer.Put, which carries every update.
type PutArgs struct {
	Key    string
	Value  string
	DoHash bool // the lab's way to ask for PutHash

	Op       Op     // what to do; zero with DoHash set means OpPutHash
	Expected string // OpCompareAndSwap: what the value must be

	// Session and Number identify the request (rule S1). Session zero asks for
	// no duplicate filter (rule S6).
	Session uint64
	Number  uint64

	Target
}

// PutReply is the reply of KVServer.Put.
type PutReply struct {
	Err           Err
	PreviousValue string // OpPutHash: the value before

	Swapped bool    // OpCompareAndSwap: whether the value was set
	Session uint64  // OpOpenSession: the new session's id
	Outcome Outcome // whether the operation may have run
}

// GetArgs are the arguments of KVServer.Get.
type GetArgs struct {
	Key string

	Target
}

// GetReply is the reply of KVServer.Get.
type GetReply struct {
	Err   Err // OK, or ErrNoKey with an empty Value
	Value string
}

// ScanArgs are the arguments of KVServer.Scan, which reads the keys with a
// prefix in pages. All pages show the store as of one index.
type ScanArgs struct {
	Prefix string
	// Limit bounds the pairs of a page; zero leaves it to the server.
	Limit int
	// Scan names the snapshot to go on with, from the reply that held the page
	// before; zero starts a scan. A later page must be asked of the server
	// that gave the first.
	Scan uint64
	// After is the last key of the page before.
	After string

	Target
}

// Pair is a key and its value.
type Pair struct {
	Key, Value string
}

// ScanReply is the reply of KVServer.Scan.
type ScanReply struct {
	Err   Err
	Pairs []Pair // in the order of their keys
	Scan  uint64 // names the snapshot, for the next page
	Index uint64 // the log index that the scan shows
	More  bool   // whether there is a next page
}

// Server is one life of one server: the address at which it answers and the
// incarnation it drew when it started without its earlier state. The zero
// Server is nobody.
type Server struct {
	Addr        string
	Incarnation uint64
}

// View is one numbered assignment of the roles. The number is also the epoch of
// the messages that its members exchange.
type View struct {
	Viewnum uint
	Primary string
	Backup  string

	PrimaryIncarnation uint64
	BackupIncarnation  uint64
	Cluster            uint64 // drawn when the first view formed (rule V0)
	Group              uint32 // zero: the only group
}

// PrimaryServer returns the primary with its incarnation.
func (v View) PrimaryServer() Server { return Server{v.Primary, v.PrimaryIncarnation} }

// BackupServer returns the backup with its incarnation, nobody if there is none.
func (v View) BackupServer() Server { return Server{v.Backup, v.BackupIncarnation} }

// PingArgs are the arguments of MonitorServer.Ping (rule V2).
type PingArgs struct {
	Me      string
	Viewnum uint // 0: I hold no state; n: I have adopted n, and if n's primary, I acknowledge it

	Incarnation uint64
	Seq         uint64 // counts this incarnation's pings from 1; zero: a lab server, which does not count
	Cluster     uint64 // zero until a view is known
	Group       uint32
	Leaving     bool // rule V11

	// Unreachable is the number of the view whose backup the sender, its
	// primary, cannot reach (rule V8); zero: nothing to report.
	Unreachable uint
	// UnreachableIncarnation is that backup's.
	UnreachableIncarnation uint64
}

// PingReply is the reply of MonitorServer.Ping.
type PingReply struct {
	View View

	Active uint // the last number that was activated (rule V3)
	Err    Err  // ErrWrongCluster or ErrLostMemory: View is empty

	// The intervals that this view service counts with; servers follow them.
	PingInterval time.Duration
	DeadPings    int
}

// ViewArgs are the arguments of MonitorServer.Get.
type ViewArgs struct {
	// Wait asks to be answered only when there is a view above Viewnum, or
	// when this much time has passed; the server bounds it. Zero answers at
	// once, as in the lab.
	Wait    time.Duration
	Viewnum uint // the number the caller holds

	Cluster uint64
	Group   uint32
}

// ViewReply is the reply of MonitorServer.Get.
type ViewReply struct {
	View View

	Active uint
	Err    Err // ErrLostMemory or ErrWrongCluster: View is empty
}

// Observation is something that a core reports to an observer that may be
// absent: a rule that fired, and with what. Logs, metrics and the simulator's
// traces are made of it.
type Observation struct {
	Rule   string // the rule's name in docs/protocol.md
	Who    Server // whose core speaks; nobody for the view service and clients
	View   uint   // the view it holds
	Index  uint64 // the log index concerned, if any
	Detail string // what happened, for people
}

// InvariantError is what a core panics with when an invariant breaks. The shell
// that owns the core recovers it, stops that one server and says what was seen.
type InvariantError struct {
	Invariant string // the name in docs/protocol.md, or of the core's own assertion
	Detail    string
}

// Error says which invariant broke, and how.
func (e *InvariantError) Error() string {
	return "invariant " + e.Invariant + " broken: " + e.Detail
}

// Hash is the lab's hash: 32-bit FNV-1a.
func Hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

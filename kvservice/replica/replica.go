package replica

import (
	"fmt"
	"time"

	"github.com/tandemkv/tandem"
)

// Authority is what entitles a server to commit.
type Authority uint8

const (
	// None: this server may not commit, order or read.
	None Authority = iota
	// Solo: it commits what it has itself; no other server can be promoted.
	Solo
	// Joint: it commits what it and its backup have.
	Joint
)

// String returns the authority's name.
func (a Authority) String() string {
	switch a {
	case None:
		return "none"
	case Solo:
		return "solo"
	case Joint:
		return "joint"
	}
	return "unknown authority"
}

// Config is what a Replica is made with. Times are in ticks; whoever drives the
// Replica decides how long a tick is. Zero limits and times take the defaults.
type Config struct {
	Self  tandem.Server // this server; the incarnation must be new at every start
	Group uint32        // the group of servers it belongs to
	// Machine is the empty state machine. The Replica owns it from now on.
	Machine Machine

	PingTicks        int // between pings (rule V2); default 10
	HeartbeatTicks   int // between forwards to a backup when there is nothing to send; default 10
	ResendTicks      int // without progress before what is unanswered is sent again; default 25
	UnreachableTicks int // without progress before the backup is reported (rule V8); default 100
	ParkTicks        int // that a request waits for authority before it is refused; default 200

	MaxForwardBytes  int // of entries in one Forward, or one entry; default 1 MiB
	MaxInFlight      int // entries ordered and not yet committed (rule L5); default 8192
	MaxInFlightBytes int // their bytes (rule L5); default 64 MiB
	MaxTransferBytes int // entries kept for a transfer (rule T5); default 64 MiB
	MaxWaiting       int // requests that wait, reads and joined duplicates included; default 16384
	MaxWaitingBytes  int // their bytes; default 64 MiB
	// MaxAnswerBytes bounds the replies that were given and are not gone yet
	// (AnswersGone), in bytes; beyond it requests wait, and one reply may exceed
	// it. Default 0: no bound, and nobody need call AnswersGone.
	MaxAnswerBytes int
	ChunkBytes     int // of one chunk of a transfer; default 64 KiB
	ChunkWindow    int // chunks sent and not yet taken; default 16
	// TransferRestBytes is how much of what is ordered while a transfer runs may be
	// left for forwards, on which commits wait (rule A4); more goes with the
	// transfer, as far as the backup is fast enough. Default 64 KiB.
	TransferRestBytes int
	// MaxEntriesToRetain and MaxBytesToRetain bound the entries that stay in the
	// log when they are applied and acknowledged, for a server that returns (rule
	// T4). Defaults 1024 and MaxForwardBytes.
	MaxEntriesToRetain int
	MaxBytesToRetain   int
	// WholeTransfers makes every transfer send the whole state (no rule T4).
	WholeTransfers bool

	// Lease is for how long after it was sent an acknowledged message lets the
	// primary read without asking its backup (rule R3). It needs Elapsed to be
	// told, and backups that promise Grace enough. Zero: no leases.
	Lease time.Duration
	// Grace is for how long after it last accepted a message of a primary's this
	// server waits before it takes over: what it promises to primaries that read
	// by lease (rule R3). Zero: it does not wait and promises nothing.
	Grace time.Duration
	// ClockErrorPPM bounds by how much a second told by Elapsed may differ from
	// a true one, in millionths.
	ClockErrorPPM int
	// Restarted: this server comes back with the state of an earlier life, and
	// does not know when that last accepted a message: it waits for all of Grace
	// from its start (rule R3).
	Restarted bool

	// Observer, if not nil, is told of the rules that fire.
	Observer func(tandem.Observation)
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		value   *int
		initial int
	}{
		{&c.PingTicks, 10},
		{&c.HeartbeatTicks, 10},
		{&c.ResendTicks, 25},
		{&c.UnreachableTicks, 100},
		{&c.ParkTicks, 200},
		{&c.MaxForwardBytes, 1 << 20},
		{&c.MaxInFlight, 8192},
		{&c.MaxInFlightBytes, 64 << 20},
		{&c.MaxTransferBytes, 64 << 20},
		{&c.MaxWaiting, 16384},
		{&c.MaxWaitingBytes, 64 << 20},
		{&c.ChunkBytes, 64 << 10},
		{&c.ChunkWindow, 16},
		{&c.TransferRestBytes, 64 << 10},
		{&c.MaxEntriesToRetain, 1024},
	} {
		if *d.value == 0 {
			*d.value = d.initial
		}
	}
	if c.MaxBytesToRetain == 0 {
		c.MaxBytesToRetain = c.MaxForwardBytes
	}
}

// Replica is one server's replication state.
//
// Of its indexes, at every moment:
//
//	base <= applied <= commit <= last = base + len(entries),  durable <= last
type Replica struct {
	cfg Config

	// The view and what follows from it.
	view            tandem.View // adopted (rule F1)
	authority       Authority
	activated       bool // told that the adopted view, that very number, is active
	acknowledged    uint // the number that pings carry (rule V2)
	ackedWithBackup bool // acknowledged a view with a backup since last becoming solo (rule A3)
	soloBarrier     uint64
	held            bool // has been primary, or installed a transfer: may be of the in-sync set

	log     log
	commit  uint64
	applied uint64
	durable uint64
	// generation tells this log from one that an installed transfer replaced, so
	// that a late "durable" of the old one is not taken for the new one's.
	generation uint64
	machine    Machine

	clock    int64 // the latest time told, in milliseconds
	offset   int64 // from the clock to the log's time
	pings    uint64
	pingIn   int
	pingNow  bool
	leases   leases // rule R3
	leaving  bool   // asked to leave (rule V11)
	leftWith uint64 // the first ping that said so; 0: none has

	peer     peer     // as primary: what is known of the backup
	upstream upstream // as backup: what is known of the primary
	requests requests
	stats    Stats

	out   Effects
	spare spare
}

// Stats counts what happened since the Replica was made.
type Stats struct {
	Forwards      uint64 // Forward messages made
	Rewinds       uint64 // times that forwarding went back because of a Gap
	Resends       uint64 // times that it went back because an answer was missing
	Transfers     uint64 // transfers begun
	TransfersDone uint64 // transfers that the backup installed
	Installs      uint64 // transfers that this server installed
	ReadProbes    uint64 // Forwards made for reads alone
	Deltas        uint64 // transfers, of those begun, that sent the missing entries alone
	DeltaInstalls uint64 // installs, of those, that kept what was committed here
	LeasedReads   uint64 // reads answered by lease
}

// New returns a Replica without state or view. It panics if cfg.Check objects.
func New(cfg Config) *Replica {
	if err := cfg.Check(); err != nil {
		panic(err)
	}
	cfg.setDefaults()
	r := &Replica{cfg: cfg, machine: cfg.Machine, pingIn: 1}
	r.cfg.Machine = nil // an installed transfer replaces it, and it must not be kept alive
	r.requests.init()
	r.leases.accepted = cfg.Restarted
	return r
}

// Clock tells the time, in milliseconds since 1970. Time that falls is ignored.
func (r *Replica) Clock(now int64) { r.clock = max(r.clock, now) }

// Tick passes one tick. What a tick may bring about (a ping, a resend, a report)
// can also be brought about at will by the methods of those names.
func (r *Replica) Tick() {
	r.machine.Tick()
	if r.pingIn--; r.pingIn <= 0 {
		r.Ping()
	}
	r.tickPeer()
	r.tickRequests()
	r.housekeep()
	r.check()
}

// Ping makes the next effects hold a ping.
func (r *Replica) Ping() { r.pingNow = true }

// ping is rule V2: (address, incarnation, sequence, number).
func (r *Replica) ping() {
	r.pingNow = false
	r.pingIn = r.cfg.PingTicks
	r.pings++
	args := &tandem.PingArgs{
		Me:          r.cfg.Self.Addr,
		Viewnum:     r.acknowledged,
		Incarnation: r.cfg.Self.Incarnation,
		Seq:         r.pings,
		Cluster:     r.view.Cluster,
		Group:       r.cfg.Group,
		Leaving:     r.mayLeave(),
	}
	if r.peer.unreachable {
		args.Unreachable = r.view.Viewnum // rule V8: epoch and incarnation
		args.UnreachableIncarnation = r.view.BackupIncarnation
	}
	if args.Leaving && r.leftWith == 0 {
		r.leftWith = r.pings
	}
	r.out.Ping = args
}

// PingReplied tells what the view service answered to the ping with this Seq.
func (r *Replica) PingReplied(seq uint64, reply tandem.PingReply) {
	if reply.Err != "" && reply.Err != tandem.OK {
		return // rule V0: nothing was announced
	}
	r.ViewHeard(reply.View, reply.Active)
	if !r.leaving || r.leftWith == 0 || seq < r.leftWith {
		return
	}
	switch {
	case r.isSpare(reply):
		r.note("V11", 0, "left")
		r.refuseParked()
		r.out.Departed = true
	case !r.isMember():
		r.pingIn = 1 // its heir needs a round trip or two, not an interval
	}
}

// isSpare tells whether the group can do without this server (rule V11): the
// view no longer names it, and is active. Until then the in-sync set may hold
// this server, and rule V5 may come back to it, should its heir die. One that
// never held the data need not wait.
func (r *Replica) isSpare(reply tandem.PingReply) bool {
	if r.isMember() || reply.View.Viewnum != r.view.Viewnum {
		return false
	}
	return !r.held || reply.Active == reply.View.Viewnum
}

// Leave asks to leave the group (rule V11). The server goes on until it may be
// missed; Effects.Departed says when. Stay takes it back.
func (r *Replica) Leave() {
	r.leaving = true
	r.leaveIfDrained()
	r.Ping()
}

// Stay takes Leave back.
func (r *Replica) Stay() {
	r.leaving = false
	r.leftWith = 0
	r.unpark()
	r.Ping()
}

// draining: a leaving primary with a backup in sync takes no more requests
// (rule V11). Without one it goes on serving, and waits.
func (r *Replica) draining() bool {
	return r.leaving && r.authority == Joint && r.ackedWithBackup && r.activated
}

// mayLeave: what a ping says of leaving. A primary says so once nothing is in
// flight any more (rule V11).
func (r *Replica) mayLeave() bool {
	if !r.leaving {
		return false
	}
	if !r.isPrimary() {
		return true
	}
	return r.draining() && r.commit == r.log.last() && r.applied == r.commit && len(r.requests.reads) == 0
}

// leaveIfDrained refuses what waits at a draining primary, and pings at once
// when the last request in flight has been answered.
func (r *Replica) leaveIfDrained() {
	if !r.draining() {
		return
	}
	r.refuseParked()
	if r.leftWith == 0 && r.mayLeave() {
		r.Ping()
	}
}

// Status is a Replica seen from outside.
type Status struct {
	Self      tandem.Server
	View      tandem.View
	Role      string // primary, backup or idle
	Authority Authority
	Activated bool // knows that View is active
	Leaving   bool

	Last, Commit, Applied uint64
	Durable               uint64 // the last index known to be durable here
	Waiting               int    // requests that wait for authority, room or a confirmation
	// Held: it has been primary, or installed a transfer, so that what it has
	// applied says something, even if that is nothing.
	Held bool

	// Of a primary with a backup.
	BackupInSync      bool   // the backup is in sync: a view that names it is acknowledged
	BackupIndex       uint64 // the last index that the backup is known to have
	BackupLag         uint64 // entries that it is not known to have, beyond those of a running transfer
	BackupLagBytes    int    // their bytes
	BackupUnreachable bool
	TransferRunning   bool
	// LeaseUntil is until when, as Elapsed tells the time, reads are answered by
	// lease; zero if they are not (rule R3).
	LeaseUntil          time.Duration
	TransferChunksTaken uint64
	// Of a backup.
	Installed bool // has installed this epoch's transfer

	Stats Stats
}

// Status returns the present state in brief.
func (r *Replica) Status() Status {
	lag, lagBytes := r.lag()
	return Status{
		Self:                r.cfg.Self,
		View:                r.view,
		Role:                r.role(),
		Authority:           r.authority,
		Activated:           r.activated,
		Leaving:             r.leaving,
		Last:                r.log.last(),
		Commit:              r.commit,
		Applied:             r.applied,
		Durable:             r.durable,
		Waiting:             len(r.requests.parked) + len(r.requests.reads),
		Held:                r.held,
		BackupInSync:        r.Standing().BackupInSync,
		BackupIndex:         r.peer.match,
		BackupLag:           lag,
		BackupLagBytes:      lagBytes,
		BackupUnreachable:   r.peer.unreachable,
		TransferRunning:     r.peer.transfer != nil,
		TransferChunksTaken: r.peer.taken(),
		LeaseUntil:          r.leaseUntil(),
		Installed:           r.upstream.installed,
		Stats:               r.stats,
	}
}

// Standing is what of a Replica's state changes seldom, and is news when it does.
type Standing struct {
	// Of a primary: its backup is in sync, and may be promoted; it is reported
	// unreachable (rule V8).
	BackupInSync, BackupUnreachable bool
	// Of a backup: it has installed this epoch's transfer.
	Installed bool
}

// Standing returns the present one. It costs less than Status.
func (r *Replica) Standing() Standing {
	return Standing{
		BackupInSync:      r.authority == Joint && r.ackedWithBackup,
		BackupUnreachable: r.peer.unreachable,
		Installed:         r.upstream.installed,
	}
}

// View returns the adopted view; its number is zero before the first.
func (r *Replica) View() tandem.View { return r.view }

// Machine returns the state machine, to be read only.
func (r *Replica) Machine() Machine { return r.machine }

// Entry returns the log entry at an index, if it is still held.
func (r *Replica) Entry(index uint64) (Entry, bool) {
	if index <= r.log.base || index > r.log.last() {
		return Entry{}, false
	}
	return r.log.at(index), true
}

func (r *Replica) note(rule string, index uint64, detail string) {
	if r.cfg.Observer != nil {
		r.cfg.Observer(tandem.Observation{Rule: rule, Who: r.cfg.Self, View: r.view.Viewnum, Index: index, Detail: detail})
	}
}

func (r *Replica) broken(invariant, format string, args ...any) {
	panic(&tandem.InvariantError{
		Invariant: invariant,
		Detail: fmt.Sprintf(format, args...) + fmt.Sprintf("; at %s/%x, view %+v, authority %s, base %d, applied %d, commit %d, durable %d, last %d, backup has %d",
			r.cfg.Self.Addr, r.cfg.Self.Incarnation, r.view, r.authority, r.log.base, r.applied, r.commit, r.durable, r.log.last(), r.peer.match),
	})
}

// check is what of the invariants can be seen from inside one server.
func (r *Replica) check() {
	if r.applied > r.commit || r.commit > r.log.last() || r.log.base > r.applied {
		r.broken("I6", "applied <= commit <= last does not hold")
	}
	if r.durable > r.log.last() {
		r.broken("I6", "more is durable than there is")
	}
	if r.acknowledged > r.view.Viewnum {
		r.broken("I1", "acknowledged %d, which was never adopted", r.acknowledged)
	}
	if r.authority != None && !r.isPrimary() {
		r.broken("I4", "authority without being the primary")
	}
	if n := len(r.requests.reads); n > 0 && !r.isPrimary() {
		r.broken("A7", "%d reads wait at a server that is not the primary any more", n)
	}
	if n := len(r.requests.reads); n > 0 && r.authority != None && r.requests.reads[n-1].seq > r.peer.sent+1 {
		r.broken("R2", "a read waits for the answer to message %d, and the last was %d", r.requests.reads[n-1].seq, r.peer.sent)
	}
	if r.authority != Joint {
		return
	}
	if r.view.Backup == "" {
		r.broken("I4", "joint without a backup")
	}
	if r.peer.match > r.log.last() {
		r.broken("I7", "the backup is said to have more than the primary ordered")
	}
	if r.acknowledged == r.view.Viewnum && r.commit > r.peer.match {
		r.broken("I8", "the view is acknowledged and the backup lacks a committed entry")
	}
}

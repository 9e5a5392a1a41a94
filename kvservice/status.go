package kvservice

import (
	"os"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/store"
)

// Status is what a server knows of itself. It is a picture of one moment, and
// possibly of an old belief: a server that is cut off does not know that it has
// been superseded.
type Status struct {
	Server    tandem.Server
	View      tandem.View // adopted last; number zero before the first
	Active    bool        // whether it knows that View is active
	Role      string      // primary, backup or idle
	Authority string      // to commit: none, solo or joint
	Leaving   bool        // asked to leave (Shutdown)
	// LeaveWaitsFor says what stands in the way of leaving; empty if not Leaving.
	LeaveWaitsFor string
	// MonitorTrouble is why the view service did not answer the last ping, empty
	// if it did, or if there was none yet.
	MonitorTrouble string
	// MonitorSilent is how long ago the view service last answered a ping, or
	// the server started if it has not answered any. A refusal is no answer.
	MonitorSilent time.Duration
	PingsSent     uint64 // since the server started
	PingsAnswered uint64 // of those
	// PeerSilent is, of a primary with a backup and of a backup, how long ago it
	// last heard from the other member in this view, or adopted the view if it has
	// not heard. It is zero for others.
	PeerSilent time.Duration

	// HoldsState: the server has been primary, or has taken in a transfer, since
	// it started. One that has not knows nothing of what clients stored.
	HoldsState bool

	Index   uint64 // of the last log entry
	Commit  uint64 // up to here entries are committed
	Applied uint64 // up to here entries are applied
	Waiting int    // requests that wait for authority, room or a confirmation

	// Of a primary with a backup.
	BackupInSync      bool   // the backup has everything, and may be promoted
	BackupIndex       uint64 // the last index that it is known to have; 0 until a transfer is installed
	BackupLag         uint64 // entries that it is not known to have, beyond what a running transfer brings
	BackupLagBytes    uint64 // their bytes
	BackupUnreachable bool   // it is reported to the view service (rule V8)
	TransferRunning   bool   // it is being brought up to date
	TransferChunks    uint64 // taken so far, while TransferRunning
	Leased            bool   // reads are answered without asking it (WithLeases)

	// Of a backup: whether it has taken in this view's transfer.
	Installed bool

	Keys       uint64
	Bytes      uint64 // of keys and values
	Sessions   uint64
	ReplyBytes uint64 // of the replies stored with sessions
	Scans      uint64 // snapshots held for scans

	// Since the server started.
	Forwards  uint64 // messages that carried entries, the commit index or a probe to a backup
	Rewinds   uint64 // times that forwarding went back because the backup saw a gap
	Resends   uint64 // times that something was sent again for want of an answer
	Transfers uint64 // transfers begun
	Deltas    uint64 // of those, that sent only what the backup lacked
	Installs  uint64 // transfers installed here
	// DeltaInstalls counts those of Installs that brought only what was lacking.
	DeltaInstalls uint64
	ReadProbes    uint64 // messages to a backup for the sake of reads alone
	LeasedReads   uint64 // reads answered without asking the backup

	Uptime time.Duration // since the server started

	// Of the process that the server runs in, which it may share with others.
	PID    int
	Memory uint64 // bytes that are resident
	// MemoryReserved: this system does not tell what is resident, and Memory is
	// what the Go runtime has from it.
	MemoryReserved bool
}

// Status returns what the server knows of itself; zero but for Server once it
// has stopped.
func (s *KVServer) Status() Status {
	if st, ok := s.status(nil); ok {
		return st
	}
	return Status{Server: s.self}
}

// status asks the core, and adds what is the process's.
func (s *KVServer) status(done <-chan struct{}) (Status, bool) {
	answer := make(chan Status, 1)
	if !s.post(func(l *loop) { answer <- l.status() }) {
		return Status{}, false
	}
	select {
	case st := <-answer:
		st.PID = os.Getpid()
		st.Memory, st.MemoryReserved = memory()
		return st, true
	case <-done:
	case <-s.ctx.Done():
	}
	return Status{}, false
}

func (l *loop) status() Status {
	c := l.core.Status()
	st := Status{
		Server: c.Self, View: c.View, Active: c.Activated, Role: c.Role, Authority: c.Authority.String(), Leaving: c.Leaving,
		HoldsState: c.Held,
		Index:      c.Last, Commit: c.Commit, Applied: c.Applied, Waiting: c.Waiting,
		BackupInSync: c.BackupInSync, BackupIndex: c.BackupIndex, BackupUnreachable: c.BackupUnreachable,
		BackupLag: c.BackupLag, BackupLagBytes: uint64(c.BackupLagBytes),
		TransferRunning: c.TransferRunning, TransferChunks: c.TransferChunksTaken,
		Installed: c.Installed,
		Forwards:  c.Stats.Forwards, Rewinds: c.Stats.Rewinds, Resends: c.Stats.Resends,
		Transfers: c.Stats.Transfers, Deltas: c.Stats.Deltas, Installs: c.Stats.Installs, DeltaInstalls: c.Stats.DeltaInstalls,
		ReadProbes: c.Stats.ReadProbes, LeasedReads: c.Stats.LeasedReads, Leased: c.LeaseUntil > time.Since(l.started),
		PeerSilent: l.peer.silent(),
		Uptime:     time.Since(l.started),
	}
	if st.Leaving {
		st.LeaveWaitsFor = l.leaveWaitsFor()
	}
	l.server.hearing.tell(&st)
	if m, ok := l.core.Machine().(*store.Store); ok {
		d := m.Stats()
		st.Keys, st.Bytes, st.Sessions, st.ReplyBytes, st.Scans = d.Keys, d.Bytes, d.Sessions, d.ReplyBytes, d.Cursors
	}
	return st
}

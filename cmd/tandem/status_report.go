package main

import (
	"fmt"
	"strings"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// statusReport is the answer of status, as it stands in JSON. Durations are in
// milliseconds, sizes in bytes; identities are in hexadecimal.
type statusReport struct {
	State    string `json:"state"`         // serving, waiting, down or unknown
	Why      string `json:"why,omitempty"` // the group does not serve
	WaitsFor []life `json:"waits_for"`     // servers whose return would bring a group up that is down

	Monitor monitorReport  `json:"monitor"`
	Cluster string         `json:"cluster,omitempty"`
	View    *viewReport    `json:"view"`    // null: there is none, or it is not known
	InSync  []life         `json:"in_sync"` // the servers that are known to hold all the data
	Servers []serverReport `json:"servers"` // the primary first, then the backup
	Changes []changeReport `json:"changes"` // of the view, the latest first
	Notes   []string       `json:"notes"`   // what somebody should know, a sentence each
}

// life is one life of one server.
type life struct {
	Addr        string `json:"addr"`
	Incarnation string `json:"incarnation"`
}

// monitorReport is what the view service says of itself.
type monitorReport struct {
	Asked        string `json:"asked"`          // the addresses that were tried
	Addr         string `json:"addr,omitempty"` // where the one that answered listens
	Error        string `json:"error,omitempty"`
	PingMillis   int64  `json:"ping_interval_ms,omitempty"`
	DeadPings    int    `json:"dead_pings,omitempty"`
	Data         string `json:"data,omitempty"` // the directory where views are kept; absent: in memory alone
	DiskTrouble  string `json:"disk_trouble,omitempty"`
	LostMemory   bool   `json:"lost_memory"`
	WaitingForIt int    `json:"waiting"` // clients and servers that wait for the next view
}

// viewReport is a view.
type viewReport struct {
	Number  uint  `json:"number"`
	Active  bool  `json:"active"`
	Primary *life `json:"primary"`
	Backup  *life `json:"backup"`
}

// changeReport is a change of view.
type changeReport struct {
	viewReport
	Rule   string `json:"rule"` // of docs/protocol.md
	Reason string `json:"reason"`
	Ago    int64  `json:"ago_ms"`
}

// serverReport is one server: what the view service knows of it, and what it tells of
// itself.
type serverReport struct {
	life
	Role    string         `json:"role"`
	InSync  bool           `json:"in_sync"` // it holds all the data, and may be primary
	Monitor *knownReport   `json:"monitor"` // null: the view service did not answer
	Error   string         `json:"error,omitempty"`
	Told    *toldReport    `json:"server"`           // null: the server did not answer
	Backup  *backupReport  `json:"backup,omitempty"` // of a primary that has one
	Totals  *totalsReport  `json:"totals,omitempty"` // since it started
	Process *processReport `json:"process,omitempty"`
}

// knownReport is what the view service knows of a server.
type knownReport struct {
	Heard     bool  `json:"heard"`        // false: known from the record alone
	HeardAgo  int64 `json:"heard_ago_ms"` // its last ping
	Pinged    uint  `json:"pinged_view"`  // the number that it pinged last
	Suspected bool  `json:"suspected"`
	Leaving   bool  `json:"leaving"`
	NotBefore int64 `json:"may_be_named_in_ms"` // after it was reported unreachable (rule V8)
}

// toldReport is what a server tells of itself.
type toldReport struct {
	View           uint   `json:"view"` // adopted last
	ViewActive     bool   `json:"view_active"`
	Role           string `json:"role"`      // in that view
	Authority      string `json:"authority"` // to commit: none, solo or joint
	Leaving        bool   `json:"leaving"`
	LeaveWaitsFor  string `json:"leave_waits_for,omitempty"`
	MonitorAgo     int64  `json:"monitor_heard_ago_ms"`
	MonitorTrouble string `json:"monitor_trouble,omitempty"`
	PeerAgo        *int64 `json:"peer_heard_ago_ms"` // null: there is no other member
	HoldsState     bool   `json:"holds_state"`

	Index      uint64 `json:"index"`
	Commit     uint64 `json:"commit"`
	Applied    uint64 `json:"applied"`
	Waiting    int    `json:"waiting_requests"`
	Keys       uint64 `json:"keys"`
	Bytes      uint64 `json:"bytes"`
	Sessions   uint64 `json:"sessions"`
	ReplyBytes uint64 `json:"reply_bytes"`
	Scans      uint64 `json:"scans"`
}

// backupReport is what a primary knows of its backup.
type backupReport struct {
	InSync         bool   `json:"in_sync"`
	Index          uint64 `json:"index"`
	LagEntries     uint64 `json:"lag_entries"`
	LagBytes       uint64 `json:"lag_bytes"`
	Unreachable    bool   `json:"unreachable"`
	Transfer       bool   `json:"transfer_running"`
	TransferChunks uint64 `json:"transfer_chunks"`
	Leased         bool   `json:"leased"`
}

// totalsReport counts what a server has done.
type totalsReport struct {
	PingsSent     uint64 `json:"pings_sent"`
	PingsAnswered uint64 `json:"pings_answered"`
	Forwards      uint64 `json:"forwards"`
	Rewinds       uint64 `json:"rewinds"`
	Resends       uint64 `json:"resends"`
	Transfers     uint64 `json:"transfers"`
	Deltas        uint64 `json:"deltas"`
	Installs      uint64 `json:"installs"`
	DeltaInstalls uint64 `json:"delta_installs"`
	ReadProbes    uint64 `json:"read_probes"`
	LeasedReads   uint64 `json:"leased_reads"`
}

// processReport is the process that a server runs in.
type processReport struct {
	PID            int    `json:"pid"`
	Uptime         int64  `json:"uptime_ms"` // of the server
	Memory         uint64 `json:"memory_bytes"`
	MemoryReserved bool   `json:"memory_is_reserved"` // the Go runtime's, where the system does not tell what is resident
}

// report puts a survey into the form of the answer.
func (v *survey) report() *statusReport {
	r := &statusReport{Monitor: monitorReport{Asked: v.asked}, WaitsFor: lives(v.awaited()),
		InSync: []life{}, Servers: []serverReport{}, Changes: []changeReport{}}
	r.State, r.Why = v.state()
	if v.monitorErr != nil {
		r.Monitor.Error = v.monitorErr.Error()
	}
	if m := v.monitor; m != nil {
		r.Monitor = monitorReport{Asked: v.asked, Addr: m.Addr, PingMillis: m.PingInterval.Milliseconds(), DeadPings: m.DeadPings,
			Data: m.Data, DiskTrouble: m.DiskTrouble, LostMemory: m.LostMemory, WaitingForIt: m.Waiting}
		r.InSync = lives(m.InSync)
		if m.View.Viewnum > 0 {
			r.Cluster = fmt.Sprintf("%x", m.View.Cluster)
			view := newViewReport(m.View, m.Active)
			r.View = &view
		}
		for i := range m.History {
			c := &m.History[len(m.History)-1-i]
			r.Changes = append(r.Changes, changeReport{newViewReport(c.View, c.Active), c.Rule, c.Reason, c.Ago.Milliseconds()})
		}
	}
	for i := range v.servers {
		r.Servers = append(r.Servers, v.reportServer(&v.servers[i]))
	}
	r.Notes = r.notes()
	return r
}

func newViewReport(v kv.View, active uint) viewReport {
	r := viewReport{Number: v.Viewnum, Active: v.Viewnum > 0 && v.Viewnum == active}
	if v.Primary != "" {
		r.Primary = newLife(v.PrimaryServer())
	}
	if v.Backup != "" {
		r.Backup = newLife(v.BackupServer())
	}
	return r
}

func newLife(s kv.Server) *life { return &life{s.Addr, fmt.Sprintf("%x", s.Incarnation)} }

// String returns it as reasons and logs name a server.
func (l life) String() string { return l.Addr + "/" + l.Incarnation }

func lives(servers []kv.Server) []life {
	list := []life{}
	for _, s := range servers {
		list = append(list, *newLife(s))
	}
	return list
}

func (v *survey) reportServer(s *surveyed) serverReport {
	r := serverReport{life: life{Addr: s.addr}, Role: v.role(s)}
	if k := s.known; k != nil {
		r.life, r.InSync = *newLife(k.Server), k.InSync
		r.Monitor = &knownReport{Heard: k.Heard, HeardAgo: k.Silent.Milliseconds(), Pinged: k.Number, Suspected: k.Suspected,
			Leaving: k.Leaving, NotBefore: k.CoolDown.Milliseconds()}
	}
	if s.told == nil {
		r.Error = reasonOf(s.err)
		return r
	}
	st := s.told
	r.life = *newLife(st.Server)
	r.Told = newToldReport(st)
	if st.Role == rolePrimary && st.View.Backup != "" {
		r.Backup = &backupReport{InSync: st.BackupInSync, Index: st.BackupIndex, LagEntries: st.BackupLag, LagBytes: st.BackupLagBytes,
			Unreachable: st.BackupUnreachable, Transfer: st.TransferRunning, TransferChunks: st.TransferChunks, Leased: st.Leased}
	}
	r.Totals = &totalsReport{PingsSent: st.PingsSent, PingsAnswered: st.PingsAnswered, Forwards: st.Forwards, Rewinds: st.Rewinds,
		Resends: st.Resends, Transfers: st.Transfers, Deltas: st.Deltas, Installs: st.Installs, DeltaInstalls: st.DeltaInstalls,
		ReadProbes: st.ReadProbes, LeasedReads: st.LeasedReads}
	r.Process = &processReport{PID: st.PID, Uptime: st.Uptime.Milliseconds(), Memory: st.Memory, MemoryReserved: st.MemoryReserved}
	return r
}

func newToldReport(st *kvservice.Status) *toldReport {
	r := &toldReport{View: st.View.Viewnum, ViewActive: st.Active, Role: st.Role, Authority: st.Authority,
		Leaving: st.Leaving, LeaveWaitsFor: st.LeaveWaitsFor,
		MonitorAgo: st.MonitorSilent.Milliseconds(), MonitorTrouble: st.MonitorTrouble, HoldsState: st.HoldsState,
		Index: st.Index, Commit: st.Commit, Applied: st.Applied, Waiting: st.Waiting, Keys: st.Keys, Bytes: st.Bytes,
		Sessions: st.Sessions, ReplyBytes: st.ReplyBytes, Scans: st.Scans}
	if st.View.Backup != "" && st.Role != roleIdle {
		ago := st.PeerSilent.Milliseconds()
		r.PeerAgo = &ago
	}
	return r
}

// notes returns what somebody should know, a sentence each.
func (r *statusReport) notes() []string {
	list := []string{}
	tell := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if m := &r.Monitor; m.DiskTrouble != "" {
		tell("the view service cannot keep a view, and announces no other until it can: %s", m.DiskTrouble)
	}
	if r.State == serving && len(r.InSync) < 2 {
		tell("no backup is in sync: the primary holds the only copy of the data")
	}
	for i := range r.Servers {
		list = append(list, r.Servers[i].notes()...)
	}
	return list
}

// left reports whether a server said that it was leaving, is out of the view and
// answers no more: nobody has to look after it. The view service forgets it in time.
func (s *serverReport) left() bool {
	return s.Told == nil && s.Role == roleIdle && s.Monitor != nil && s.Monitor.Leaving
}

func (s *serverReport) notes() []string {
	list := []string{}
	if s.left() {
		return list
	}
	tell := func(format string, args ...any) { list = append(list, s.Addr+" "+fmt.Sprintf(format, args...)) }
	if k := s.Monitor; k != nil {
		switch {
		case !k.Heard:
			tell("has not been heard by the view service since that restarted")
		case k.Suspected:
			tell("is suspected: the view service last heard it %s ago", millis(k.HeardAgo))
		}
		if k.NotBefore > 0 {
			tell("was unreachable for its primary; it may be backup again in %s (V8)", millis(k.NotBefore))
		}
	}
	t := s.Told
	if t == nil {
		tell("does not answer: %s", s.Error)
		return list
	}
	if t.MonitorTrouble != "" {
		tell("had no answer from the view service for %s: %s", millis(t.MonitorAgo), t.MonitorTrouble)
	}
	if t.Leaving {
		tell("is leaving%s", strings.TrimSuffix(", and waits: "+t.LeaveWaitsFor, ", and waits: "))
	}
	if b := s.Backup; b != nil {
		switch {
		case b.Transfer:
			tell("brings its backup up to date: %s chunks taken so far", thousands(b.TransferChunks))
		case b.Unreachable:
			tell("cannot reach its backup, and has reported that (V8)")
		}
	}
	return list
}

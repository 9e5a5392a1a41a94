package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandemkv/tandem"
)

// Change is one entry of the history: a view made, or the view activated; or, as the
// first of a Service that was restored, what it was restored to.
type Change struct {
	View   tandem.View
	Active uint   // the last activated number after it
	Rule   string // the rule that fired
	Reason string // why, for people
}

// ServerStatus is what is known about one server.
type ServerStatus struct {
	tandem.Server
	Number    uint // the last that it pinged
	Silent    int  // ticks since it was heard; stops counting when it would be forgotten
	Heard     bool // false: named by the record this service was restored from, and not heard since
	Suspected bool
	Leaving   bool
	CoolDown  int // ticks until it may be named again after a report (rule V8); 0: now
	InSync    bool
}

// Status is all that the service knows, for people and for tools.
type Status struct {
	View   tandem.View // the announced view
	Active uint        // the last activated number announced
	InSync []tandem.Server

	Servers []ServerStatus // in the order of their present lives

	// Down says that the group cannot serve: its primary is gone and none can
	// be named (rule V9), or this service announces nothing (rule V0).
	Down bool
	// LostMemory says that this service announces nothing (rule V0).
	LostMemory bool
	// Why says in a sentence what the group waits for; empty if for nothing.
	Why string

	// TicksPerPing is how many ticks make a ping interval.
	TicksPerPing int
	// History holds the last changes that were announced, the oldest first.
	History []Change
}

// Status returns what the service knows. The result shares nothing with it.
func (s *Service) Status() Status {
	st := Status{
		View: s.told.view, Active: s.told.active,
		InSync:       append([]tandem.Server(nil), s.durable.InSync...),
		LostMemory:   s.lost != "",
		TicksPerPing: s.cfg.TicksPerPing,
		History:      s.announcedHistory(),
	}
	st.Down, st.Why = s.Down()
	for _, k := range s.state.servers {
		ss := ServerStatus{
			Server: k.Server, Number: k.number, Heard: k.presence != awaited,
			Suspected: k.presence == suspected, Leaving: k.leaving, InSync: slices.Contains(st.InSync, k.Server),
		}
		if w := s.detector.find(k.Addr); w != nil {
			ss.Silent = w.silent
			ss.CoolDown = w.cooling
		}
		if k.cooling && (ss.CoolDown == 0 || ss.Suspected) {
			ss.CoolDown = s.detector.coolDownTicks()
		}
		st.Servers = append(st.Servers, ss)
	}
	return st
}

// announcedHistory returns the history as far as it was announced. What is not durable
// yet nobody hears of, by whichever way he asks (rule V10): were this service killed now,
// another view could come to have that number.
func (s *Service) announcedHistory() []Change {
	for i, c := range s.history {
		if c.View.Viewnum > s.told.view.Viewnum || c.Active > s.told.active {
			return append([]Change(nil), s.history[:i]...) // and what follows came later still
		}
	}
	return append([]Change(nil), s.history...)
}

// LostMemory reports whether the service announces nothing (rule V0).
func (s *Service) LostMemory() bool { return s.lost != "" }

// Down reports whether the group cannot serve (rule V9, or V0), and says in a
// sentence what it waits for, empty if for nothing.
func (s *Service) Down() (down bool, why string) {
	st := &s.state
	p := st.view.PrimaryServer()
	switch {
	case s.lost != "":
		return true, "this view service has lost its memory and announces nothing: " + s.lost
	case s.pending != nil:
		return false, fmt.Sprintf("view %d waits to be durable", s.pending.View.Viewnum)
	case s.listens():
		return false, "there is no view yet, and before the first it is listened for servers of a cluster that may have been forgotten"
	case st.view.Viewnum == 0:
		return false, "no server has pinged yet; the first will be the primary"
	case st.active == 0 && st.isSuspected(p):
		return true, fmt.Sprintf("primary %s %s, and no server is alive to follow it; any server will do, for nothing has been stored", name(p), st.why(p))
	case st.active > 0 && (st.isSuspected(p) || !st.isInSync(p)):
		return true, s.awaits()
	case !st.isLive(p):
		return false, fmt.Sprintf("primary %s has not been heard since this service restarted", name(p))
	case st.active < st.view.Viewnum:
		return false, fmt.Sprintf("primary %s has not acknowledged view %d yet", name(p), st.view.Viewnum)
	}
	return false, ""
}

// awaits says whose return would bring the group up again.
func (s *Service) awaits() string {
	st := &s.state
	var whom, others []string
	for _, m := range st.inSync {
		if st.isLive(m) {
			continue
		}
		whom = append(whom, name(m))
		if i := st.find(m.Addr); i >= 0 && st.servers[i].Server != m {
			others = append(others, fmt.Sprintf("; %s at that address does not hold the data", name(st.servers[i].Server)))
		}
	}
	if len(whom) == 0 {
		return "the group is down for good: every server that held all the data has restarted without it"
	}
	return fmt.Sprintf("the group is down: no live server holds all the data; it waits for the return of %s%s",
		strings.Join(whom, " or "), strings.Join(others, ""))
}

// viewText writes a view as the rules do: (number,primary,backup).
func viewText(v tandem.View) string {
	b := "none"
	if v.Backup != "" {
		b = name(v.BackupServer())
	}
	return fmt.Sprintf("(%d,%s,%s)", v.Viewnum, name(v.PrimaryServer()), b)
}

// serversText writes a set of servers.
func serversText(list []tandem.Server) string {
	var names []string
	for _, s := range list {
		names = append(names, name(s))
	}
	return "{" + strings.Join(names, " ") + "}"
}

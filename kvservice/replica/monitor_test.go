package replica_test

import (
	"slices"

	"github.com/tandemkv/tandem"
)

// monitor is a small model of the view service: rules V1 to V6, V8, V9 and V11
// without time. Whom to suspect is the test's choice.
type monitor struct {
	view   tandem.View
	active uint
	inSync []tandem.Server // the members of the last active view
	known  []*pinger       // in the order of their first pings
}

// pinger is what is known of an address: its last life.
type pinger struct {
	tandem.Server
	seq       uint64
	suspected bool
	leaving   bool
}

func (m *monitor) find(addr string) *pinger {
	for _, p := range m.known {
		if p.Addr == addr {
			return p
		}
	}
	return nil
}

// ping takes a ping and answers it; late ones are not answered (rule V2).
func (m *monitor) ping(args tandem.PingArgs) (tandem.PingReply, bool) {
	who := tandem.Server{Addr: args.Me, Incarnation: args.Incarnation}
	p := m.find(args.Me)
	if p == nil {
		p = &pinger{Server: who}
		m.known = append(m.known, p)
	}
	if who.Incarnation < p.Incarnation {
		return tandem.PingReply{}, false // late: lives are numbered here
	}
	if p.Server != who { // another life (rule V6)
		*p = pinger{Server: who}
	}
	if args.Seq <= p.seq {
		return tandem.PingReply{}, false
	}
	p.seq, p.suspected, p.leaving = args.Seq, false, args.Leaving
	if who == m.view.PrimaryServer() && args.Viewnum == m.view.Viewnum && m.active != m.view.Viewnum {
		m.active = m.view.Viewnum // rule V3
		m.inSync = []tandem.Server{m.view.PrimaryServer()}
		if m.view.Backup != "" {
			m.inSync = append(m.inSync, m.view.BackupServer())
		}
	}
	if who == m.view.PrimaryServer() && args.Unreachable == m.view.Viewnum && m.view.Viewnum != 0 {
		m.suspect(tandem.Server{Addr: m.view.Backup, Incarnation: args.UnreachableIncarnation}) // rule V8
	}
	m.decide()
	return tandem.PingReply{View: m.view, Active: m.active}, true
}

func (m *monitor) suspect(who tandem.Server) {
	if p := m.find(who.Addr); p != nil && p.Server == who {
		p.suspected = true
	}
	m.decide()
}

// gone tells whether a member is to be replaced.
func (m *monitor) gone(who tandem.Server) bool {
	p := m.find(who.Addr)
	return p == nil || p.Server != who || p.suspected || p.leaving
}

// intact tells whether the server is still the life that the in-sync set holds.
func (m *monitor) intact(who tandem.Server) bool {
	p := m.find(who.Addr)
	return p != nil && p.Server == who && slices.Contains(m.inSync, who)
}

func (m *monitor) decide() {
	v := m.view
	primary, backup := v.PrimaryServer(), v.BackupServer()
	switch {
	case v.Viewnum == 0:
		m.next(m.live(nil), tandem.Server{})
	case m.active == 0: // rule V1
		if m.gone(primary) {
			m.next(m.live(nil), tandem.Server{})
		}
	case v.Backup != "" && m.gone(backup) && m.intact(primary): // rules V4, V5
		m.next(primary, tandem.Server{})
	case m.active != v.Viewnum: // rule V5
		if p := m.find(primary.Addr); m.gone(primary) && !(p.Server == primary && p.leaving && !p.suspected) {
			m.next(m.live(m.inSync), tandem.Server{})
		}
	case v.Backup != "" && m.gone(primary): // rule V4
		if m.intact(backup) {
			m.next(backup, tandem.Server{})
		}
	case v.Backup == "" && !m.gone(primary): // rule V4
		for _, p := range m.known {
			if p.Addr != v.Primary && !m.gone(p.Server) {
				m.next(primary, p.Server)
				return
			}
		}
	}
}

// live returns the first live server, of those allowed if that is not nil.
func (m *monitor) live(allowed []tandem.Server) tandem.Server {
	for _, p := range m.known {
		if !m.gone(p.Server) && (allowed == nil || slices.Contains(allowed, p.Server)) {
			return p.Server
		}
	}
	return tandem.Server{}
}

// next makes a view, unless its primary would be nobody (rule V9).
func (m *monitor) next(primary, backup tandem.Server) {
	if primary.Addr == "" {
		return
	}
	m.view = tandem.View{
		Viewnum: m.view.Viewnum + 1,
		Primary: primary.Addr, PrimaryIncarnation: primary.Incarnation,
		Backup: backup.Addr, BackupIncarnation: backup.Incarnation,
		Cluster: 7,
	}
}

// survivors counts the members of the in-sync set that are left; without any, the
// group is down (rule V9).
func (m *monitor) survivors() int {
	n := 0
	for _, s := range m.inSync {
		if m.intact(s) {
			n++
		}
	}
	return n
}

func (m *monitor) down() bool { return m.active != 0 && m.survivors() == 0 }

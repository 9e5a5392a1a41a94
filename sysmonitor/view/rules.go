package view

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

// change is something that the rules did: a view made, or the view activated.
type change struct {
	rule string
	why  string
	view tandem.View
	made bool // a view was made; otherwise the view was activated
}

// decide applies the rules to the facts and returns the view it made, if any.
// One is enough: the members of a new view are live, and from a view that is
// not active nothing but their suspicion leads on (rule V5).
func (s *State) decide() []change {
	next, rule, why := s.next()
	if next.Viewnum == 0 {
		return nil
	}
	s.check(next)
	s.view = next
	s.reported, s.backupLost = false, false
	return []change{{rule, why, next, true}}
}

// next returns the view that the rules want now, with the rule and the reason,
// or a view without a number: the present one stands.
func (s *State) next() (next tandem.View, rule, why string) {
	switch {
	case s.active == 0:
		return s.nextUnstored()
	case s.active == s.view.Viewnum:
		return s.nextActive()
	default:
		return s.nextInactive()
	}
}

// nextUnstored is V1: until a view has been active for the first time nothing
// can have been stored (A2), and any live server will do. A leaving one will
// not (rule V11). A primary that restarted under its own name lost nothing and
// stays; a view that names it again would not differ (rule V10).
func (s *State) nextUnstored() (tandem.View, string, string) {
	p := s.view.PrimaryServer()
	if s.view.Viewnum > 0 && !s.isSuspected(p) {
		return stands()
	}
	for _, k := range s.servers {
		if k.presence != alive || k.leaving {
			continue
		}
		if s.view.Viewnum == 0 {
			return s.with(k.Server, tandem.Server{}), "V1", fmt.Sprintf("%s is the first server to ping", name(k.Server))
		}
		return s.with(k.Server, tandem.Server{}), "V1", fmt.Sprintf("primary %s %s before any view was active", name(p), s.why(p))
	}
	return stands()
}

// nextActive is V4: one change at a time. Every view it makes has a live member
// of the in-sync set as its primary (rule V9).
func (s *State) nextActive() (tandem.View, string, string) {
	p, b := s.view.PrimaryServer(), s.view.BackupServer()
	if b.Addr == "" {
		return s.nextWithIdle(p)
	}
	primaryGone := s.isSuspected(p) || !s.isInSync(p)
	backupFit := s.isLive(b) && s.isInSync(b)
	if primaryGone {
		if !backupFit { // V9
			return stands()
		}
		return s.with(b, tandem.Server{}), "V4", fmt.Sprintf("primary %s %s", name(p), s.why(p))
	}
	if drop, rule, why := s.backupDropped(b); drop {
		if !s.isLive(p) { // V9: awaited after a restart of the service
			return stands()
		}
		return s.with(p, tandem.Server{}), rule, why
	}
	// V11, asked last: a backup that leaves too, or is unreachable, is no heir.
	if k := s.known(p); k != nil && k.presence == alive && k.leaving && backupFit {
		return s.with(b, tandem.Server{}), "V11", fmt.Sprintf("primary %s is leaving", name(p))
	}
	return stands()
}

// nextWithIdle is V4's last case: an active view without a backup takes the
// idle server that has been pinging for longest.
func (s *State) nextWithIdle(p tandem.Server) (tandem.View, string, string) {
	if !s.isLive(p) || !s.isInSync(p) { // V9
		return stands()
	}
	for _, k := range s.servers {
		// V11: not one that leaves; V8: not one reported a short while ago.
		if k.presence == alive && !k.leaving && !k.cooling && k.Addr != p.Addr {
			return s.with(p, k.Server), "V4", fmt.Sprintf("idle server %s is alive", name(k.Server))
		}
	}
	return stands()
}

// nextInactive is V5: from a view that is not active nothing is done but to
// drop its backup, or to go back to a live member of the in-sync set.
func (s *State) nextInactive() (tandem.View, string, string) {
	p, b := s.view.PrimaryServer(), s.view.BackupServer()
	if s.isSuspected(p) || !s.isInSync(p) {
		if m := s.heir(p); m.Addr != "" {
			return s.with(m, tandem.Server{}), "V5", fmt.Sprintf("primary %s %s before it acknowledged view %d", name(p), s.why(p), s.view.Viewnum)
		}
		return stands() // V9
	}
	if b.Addr == "" || !s.isLive(p) {
		return stands()
	}
	if drop, rule, why := s.backupDropped(b); drop {
		if rule == "V4" {
			rule = "V5"
		}
		return s.with(p, tandem.Server{}), rule, why
	}
	return stands()
}

// backupDropped reports whether the backup must go, by which rule, and why.
func (s *State) backupDropped(b tandem.Server) (drop bool, rule, why string) {
	k := s.known(b)
	switch {
	case k != nil && k.presence == alive && k.leaving:
		return true, "V11", fmt.Sprintf("backup %s is leaving", name(b))
	case s.reported:
		return true, "V8", fmt.Sprintf("backup %s was reported unreachable", name(b))
	case s.isSuspected(b) || s.backupLost:
		return true, "V4", fmt.Sprintf("backup %s %s", name(b), s.why(b))
	}
	return false, "", ""
}

// heir returns the live member of the in-sync set other than p, or nobody. (The
// set has two members at most, and p is one or was one, so there is no choice.
// One that is leaving will do: it is this or nothing.)
func (s *State) heir(p tandem.Server) tandem.Server {
	for _, m := range s.inSync {
		if m != p && s.isLive(m) {
			return m
		}
	}
	return tandem.Server{}
}

// why says what is wrong with a member of the view.
func (s *State) why(who tandem.Server) string {
	switch i := s.find(who.Addr); {
	case i < 0:
		return "is unknown"
	case s.servers[i].Server != who:
		return fmt.Sprintf("restarted as %s", name(s.servers[i].Server))
	case s.servers[i].presence == suspected:
		return "is suspected"
	}
	return "restarted without its state"
}

// stands is the answer that the present view stands.
func stands() (tandem.View, string, string) { return tandem.View{}, "", "" }

// with returns the next view, with these members.
func (s *State) with(p, b tandem.Server) tandem.View {
	return tandem.View{
		Viewnum: s.view.Viewnum + 1,
		Primary: p.Addr, PrimaryIncarnation: p.Incarnation,
		Backup: b.Addr, BackupIncarnation: b.Incarnation,
		Cluster: s.cluster, Group: s.group,
	}
}

// check panics with an InvariantError unless next may follow the present view.
// It is deliberately told from the rules' words and not from the code above.
func (s *State) check(next tandem.View) {
	now := s.view
	assert := func(ok bool, invariant string) {
		if !ok {
			panic(&tandem.InvariantError{Invariant: invariant, Detail: fmt.Sprintf(
				"view %s would follow %s, last active %d, in sync %s", viewText(next), viewText(now), s.active, serversText(s.inSync))})
		}
	}
	p, b := next.PrimaryServer(), next.BackupServer()
	assert(next.Viewnum == now.Viewnum+1 && s.active <= now.Viewnum, "I1 EpochMonotone")
	assert(next.Primary != "", "V9: no view has an empty primary")
	assert(next.Primary != next.Backup, "V4: primary and backup differ")
	assert(s.active == 0 || s.isInSync(p), "I2 ViewChain")
	assert(p != now.PrimaryServer() || b != now.BackupServer(), "V10: consecutive views differ")
	assert(b.Addr == "" || (s.active == now.Viewnum && p == now.PrimaryServer() && now.Backup == ""),
		"V4: a backup is named only by an active view's primary that has none")
	assert(s.isLive(p) && (b.Addr == "" || s.isLive(b)), "V9: the members of a new view are live")
}

package view

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

// presence is what is known about whether a server is there.
type presence uint8

const (
	// awaited: named by the record that the service was restored from, and not
	// heard or suspected since.
	awaited presence = iota
	alive
	suspected
)

// server is what a State knows about an address: its present life.
type server struct {
	tandem.Server
	number   uint // last number pinged in this life
	leaving  bool // rule V11
	presence presence
	cooling  bool // rule V8: reported, and not to be named yet
}

// State applies commands and decides on views. Equal commands in equal order
// make equal States. It counts no time.
//
// Its invariants, checked whenever a view is made:
//
//	active <= view.Viewnum, and both only rise, the latter by one at a time
//	view.Viewnum > 0  =>  view.Primary != "" and view.Primary != view.Backup
//	active == view.Viewnum > 0  =>  inSync is a subset of the view's members
//	active > 0 and a view is made  =>  its primary is in inSync
type State struct {
	max     int    // servers remembered
	cluster uint64 // of the first view
	group   uint32
	// abandoned holds the clusters that were given up here (rule V0). It never
	// changes, and clones share it.
	abandoned []uint64

	view   tandem.View
	active uint // the last number that was activated (rule V3)
	// inSync holds the members of the last active view, the primary first,
	// less those that restarted under the same name (rule V6).
	inSync []tandem.Server

	// reported says that the primary reported the view's backup (rule V8), and
	// backupLost that the backup restarted under the same name (rule V6).
	// Either way it must go.
	reported, backupLost bool

	// servers is in the order in which the present lives were first heard,
	// which is the order in which idle ones are chosen (rule V10).
	servers []server
}

// find returns the index of the address in the table, or -1.
func (s *State) find(addr string) int {
	for i := range s.servers {
		if s.servers[i].Addr == addr {
			return i
		}
	}
	return -1
}

// known returns what is known of exactly that server, nil if its address is
// unknown or lives another life now.
func (s *State) known(who tandem.Server) *server {
	if i := s.find(who.Addr); i >= 0 && s.servers[i].Server == who {
		return &s.servers[i]
	}
	return nil
}

// isLive reports whether exactly that server has been heard and is not
// suspected.
func (s *State) isLive(who tandem.Server) bool {
	k := s.known(who)
	return k != nil && k.presence == alive
}

// isSuspected reports whether that server is suspected, by V7, or because its
// address lives another life (rule V6).
func (s *State) isSuspected(who tandem.Server) bool {
	k := s.known(who)
	return k == nil || k.presence == suspected
}

// isAbandoned reports whether that cluster was given up here (rule V0).
func (s *State) isAbandoned(cluster uint64) bool {
	for _, id := range s.abandoned {
		if id == cluster {
			return true
		}
	}
	return false
}

// isInSync reports whether the server is in the in-sync set.
func (s *State) isInSync(who tandem.Server) bool {
	for _, m := range s.inSync {
		if m == who {
			return true
		}
	}
	return false
}

// needed reports whether the address must stay in the table: the view or the
// in-sync set names it.
func (s *State) needed(addr string) bool {
	if addr == s.view.Primary || addr == s.view.Backup {
		return true
	}
	for _, m := range s.inSync {
		if m.Addr == addr {
			return true
		}
	}
	return false
}

// full reports whether there is no place in the table for a new address.
func (s *State) full() bool { return len(s.servers) >= s.max }

// apply notes the fact that a command states, and returns the change if that
// fact activated the view. It makes no view: decide does.
func (s *State) apply(c Command) (activated []change) {
	switch c.Kind {
	case Heard:
		s.hear(c)
	case Suspected:
		if k := s.known(c.Server); k != nil {
			k.presence = suspected
		}
	case Acknowledged:
		// V3: only the primary's, and only of exactly the current number. One
		// that restarted under its name no longer speaks for the view.
		if s.acknowledges(c.Server, c.Number) {
			return []change{s.activate()}
		}
	case Reported:
		// V8: the report counts for the view it names and for that life of the
		// backup, and only its primary can make it.
		if s.view.Backup != "" && c.Number == s.view.Viewnum &&
			c.By == s.view.PrimaryServer() && c.Server == s.view.BackupServer() {
			s.reported = true
			if k := s.known(c.Server); k != nil {
				k.cooling = true
			}
		}
	case CooledDown:
		if k := s.known(c.Server); k != nil {
			k.cooling = false
		}
	case Forgotten:
		if i := s.find(c.Server.Addr); i >= 0 && s.servers[i].Server == c.Server &&
			s.servers[i].presence == suspected && !s.needed(c.Server.Addr) {
			s.servers = append(s.servers[:i:i], s.servers[i+1:]...)
		}
	}
	return nil
}

// acknowledges reports whether a ping of that number by that server activates
// the view (rule V3).
func (s *State) acknowledges(who tandem.Server, number uint) bool {
	return s.active < s.view.Viewnum && number == s.view.Viewnum && who == s.view.PrimaryServer() &&
		s.known(who) != nil && (s.active == 0 || s.isInSync(who))
}

// activate carries out V3: the view becomes active, and only now do its members
// become the in-sync set. A backup that restarted under its name since it was
// named is no member any more.
func (s *State) activate() change {
	s.active = s.view.Viewnum
	s.inSync = []tandem.Server{s.view.PrimaryServer()}
	if b := s.view.BackupServer(); b.Addr != "" && !s.backupLost {
		s.inSync = append(s.inSync, b)
	}
	return change{rule: "V3", why: fmt.Sprintf("%s acknowledged view %d", name(s.view.PrimaryServer()), s.active), view: s.view}
}

// hear notes a ping: a newcomer, a new life of a known address, or news of a
// known server.
func (s *State) hear(c Command) {
	life := server{Server: c.Server, number: c.Number, leaving: c.Leaving, presence: alive}
	i := s.find(c.Server.Addr)
	if i < 0 {
		if !s.full() {
			s.servers = append(s.servers, life)
		}
		return
	}
	k := &s.servers[i]
	sameName := k.Incarnation == c.Server.Incarnation
	if sameName && !(c.Number == 0 && k.number > 0) {
		k.number, k.leaving, k.presence = c.Number, c.Leaving, alive
		return
	}
	// V6: a restart. Where the name does not show it (the same incarnation, or
	// a lab server's none, which any later one would share), the name must
	// leave the in-sync set; elsewhere the new incarnation does not match it.
	if sameName || k.Incarnation == 0 {
		s.expel(k.Server)
	}
	s.servers = append(append(s.servers[:i:i], s.servers[i+1:]...), life)
}

// expel takes a name whose state is gone out of every place that counts on it.
func (s *State) expel(who tandem.Server) {
	kept := make([]tandem.Server, 0, len(s.inSync))
	for _, m := range s.inSync {
		if m != who {
			kept = append(kept, m)
		}
	}
	s.inSync = kept
	if s.view.Backup != "" && who == s.view.BackupServer() {
		s.backupLost = true
	}
}

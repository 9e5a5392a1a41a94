package kvservice

import (
	"fmt"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// What a server logs of its role: a line for each view, with what it changes for
// the server and why, as far as that can be known here (the view service logs why
// it made it), and one when the pair comes to be in sync. A backup that falls
// silent is worth a warning.

// news is what was last logged. It belongs to whoever has the turn.
type news struct {
	view     tandem.View
	since    time.Time // when the view was adopted
	deltas   uint64    // installed until then (rule T4)
	standing replica.Standing
}

// noticeNews logs what has changed since the last batch, and gives up what was on
// its way to a peer of an older view.
func (l *loop) noticeNews() {
	if v := l.core.View(); v.Viewnum != l.news.view.Viewnum {
		l.logView(v)
		l.news = news{view: v, since: time.Now(), deltas: l.core.Status().Stats.DeltaInstalls}
		l.peer = peerOf(v, l.server.self)
		l.resetLinks()
	}
	if s := l.core.Standing(); s != l.news.standing {
		before := l.news.standing
		l.news.standing = s
		l.logStanding(before, s)
	}
}

func (l *loop) logView(v tandem.View) {
	self := l.server.self
	l.server.log.Info("view", "number", v.Viewnum, "primary", v.Primary, "backup", v.Backup, "role", roleIn(v, self),
		"why", whatChanges(l.news.view, v, self, len(l.leaving) > 0))
}

func (l *loop) logStanding(before, s replica.Standing) {
	v, log := l.news.view, l.server.log
	switch {
	case s.BackupInSync && !before.BackupInSync:
		log.Info("in sync", append(l.inSync(), "backup", v.Backup, "why", "the backup has all that is committed, and may take over")...)
	case s.Installed && !before.Installed:
		why := "took in the whole state"
		if l.core.Status().Stats.DeltaInstalls > l.news.deltas {
			why = "took in what it lacked"
		}
		log.Info("in sync", append(l.inSync(), "primary", v.Primary, "why", why)...)
	}
	switch {
	case s.BackupUnreachable && !before.BackupUnreachable:
		log.Warn("the backup does not answer: updates wait until it does, or the view service drops it", "rule", "V8",
			"view", v.Viewnum, "backup", v.Backup, "silent", l.peer.silent().Round(time.Millisecond))
	case !s.BackupUnreachable && before.BackupUnreachable:
		log.Info("the backup answers again", "view", v.Viewnum, "backup", v.Backup)
	}
}

// inSync says what the members of a pair hold, and how long that took.
func (l *loop) inSync() []any {
	st := l.status()
	return []any{"view", st.View.Viewnum, "keys", st.Keys, "bytes", st.Bytes, "took", time.Since(l.news.since).Round(time.Millisecond)}
}

const (
	asPrimary = "primary"
	asBackup  = "backup"
	asIdle    = "idle"
)

// roleIn returns a server's role in a view.
func roleIn(v tandem.View, self tandem.Server) string {
	switch {
	case v.Viewnum == 0:
		return asIdle
	case v.PrimaryServer() == self:
		return asPrimary
	case v.BackupServer() == self:
		return asBackup
	}
	return asIdle
}

// whatChanges says what a view changes for a server that held another before, in
// a few words.
func whatChanges(before, v tandem.View, self tandem.Server, leaving bool) string {
	was := roleIn(before, self)
	switch roleIn(v, self) {
	case asPrimary:
		if was == asPrimary {
			return changeOfBackup(before, v)
		}
		return becamePrimary(before, v, was)
	case asBackup:
		switch was {
		case asPrimary:
			return fmt.Sprintf("superseded: now backup of %s", v.Primary)
		case asBackup:
			return fmt.Sprintf("still backup, now of %s", v.Primary)
		}
		return fmt.Sprintf("became backup: %s brings it up to date", v.Primary)
	}
	switch {
	case was == asPrimary && leaving:
		return fmt.Sprintf("handed over to %s", v.Primary)
	case was == asPrimary:
		return fmt.Sprintf("superseded by %s", v.Primary)
	case was == asBackup && leaving:
		return "left the role of backup"
	case was == asBackup:
		return "dropped as backup: it was silent for too long, or reported by the primary"
	case v.Primary == self.Addr || v.Backup == self.Addr:
		return "names what ran at this address before: this server stands by until that is replaced"
	case before.Viewnum == 0:
		return "stands by: the group has its members"
	}
	return changeOfOthers(before, v)
}

func becamePrimary(before, v tandem.View, was string) string {
	switch {
	case was == asBackup:
		return fmt.Sprintf("became primary: it was the backup of %s in view %d", before.Primary, before.Viewnum)
	case v.Viewnum == 1:
		return "became primary: it is the first server of the cluster"
	case before.Viewnum == 0:
		return "became primary"
	}
	return fmt.Sprintf("became primary: %s is gone, the primary of view %d", before.Primary, before.Viewnum)
}

// changeOfBackup says what a view changes for a primary that stays primary.
func changeOfBackup(before, v tandem.View) string {
	switch {
	case before.BackupServer() == v.BackupServer():
		return "goes on as primary"
	case v.Backup == "":
		return fmt.Sprintf("goes on without backup: %s was silent for too long, or is leaving, or has started anew", before.Backup)
	case before.Backup == "":
		return fmt.Sprintf("got a backup, to be brought up to date: %s", v.Backup)
	}
	return fmt.Sprintf("got another backup, to be brought up to date: %s", v.Backup)
}

// changeOfOthers says what a view changes for a server that is idle in both.
func changeOfOthers(before, v tandem.View) string {
	switch {
	case before.PrimaryServer() != v.PrimaryServer():
		return fmt.Sprintf("%s took over from %s", v.Primary, before.Primary)
	case before.BackupServer() == v.BackupServer():
		return "the same members"
	case v.Backup == "":
		return fmt.Sprintf("%s is backup no more", before.Backup)
	}
	return fmt.Sprintf("%s became backup", v.Backup)
}

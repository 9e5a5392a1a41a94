package simulation

import (
	"slices"

	"github.com/tandemkv/tandem"
)

// causes is what the view service was told, in its present life and counted by its
// own ticks, as far as it is a reason to change the view. Every view has one (rules
// V4 to V8 and V11): a wrong suspicion costs no data, but a service that changes
// views for nothing serves nobody.
type causes struct {
	w        *World
	ticks    int
	lives    []heardLife
	reported uint // the view whose backup its primary has reported (rule V8)
}

// livesKept is how many lives of a server the view service remembers at least, so
// that a late ping of a former one is known for what it is.
const livesKept = 4

// heardLife is what is known of one life of a server.
type heardLife struct {
	tandem.Server
	heard     bool
	seq       uint64 // of the newest ping
	at        int    // the tick of it
	leaving   bool   // it said so
	suspected bool   // by word of somebody, since
	hinted    int    // the tick until which a hint since gives it; 0: none
	cooling   int    // the tick until which it is not named again (rule V8)
	// displaced: another life was taken for the present one at its address.
	displaced bool
}

// of returns what is known of a life, which is added if it is new.
func (c *causes) of(who tandem.Server) *heardLife {
	for i := range c.lives {
		if c.lives[i].Server == who {
			return &c.lives[i]
		}
	}
	c.lives = append(c.lives, heardLife{Server: who})
	return &c.lives[len(c.lives)-1]
}

// heard is told of a ping before the view service is.
func (c *causes) heard(p *tandem.PingArgs) {
	who := tandem.Server{Addr: p.Me, Incarnation: p.Incarnation}
	c.forget(who.Addr)
	now := c.w.oracle.view
	for _, m := range [...]tandem.Server{now.PrimaryServer(), now.BackupServer()} {
		c.of(m) // it may not have been heard in this life of the view service
	}
	backup := tandem.Server{Addr: now.Backup, Incarnation: p.UnreachableIncarnation}
	reports := p.Unreachable == now.Viewnum && now.Backup != "" && who == now.PrimaryServer() && backup == now.BackupServer()
	l := c.of(who)
	known := l.heard && c.count(who.Addr) <= livesKept
	if known && p.Seq <= l.seq {
		return // rule V2
	}
	for i := range c.lives {
		if o := &c.lives[i]; o.Addr == who.Addr && o.Server != who && (!known || c.isSilent(o)) {
			o.displaced = true // rule V6
		}
	}
	if l.heard && p.Seq <= l.seq {
		return
	}
	l.heard, l.seq, l.at, l.leaving, l.suspected, l.hinted = true, p.Seq, c.ticks, p.Leaving, false, 0
	if reports && c.reported != now.Viewnum {
		c.reported = now.Viewnum
		c.of(backup).cooling = c.ticks + c.w.opt.View.CoolDownPings*c.w.opt.View.TicksPerPing
	}
}

// count counts the lives that were heard at an address.
func (c *causes) count(addr string) int {
	n := 0
	for i := range c.lives {
		if c.lives[i].Addr == addr && c.lives[i].heard {
			n++
		}
	}
	return n
}

// forget drops what was known of an address if the view service has done so.
func (c *causes) forget(addr string) {
	for _, s := range c.w.monitor.core.Status().Servers {
		if s.Addr == addr {
			return
		}
	}
	c.lives = slices.DeleteFunc(c.lives, func(l heardLife) bool { return l.Addr == addr })
}

// suspect is told that somebody told the view service to suspect a server, and
// hint that somebody gave it a hint (rule V7).
func (c *causes) suspect(who tandem.Server) { c.of(who).suspected = true }

func (c *causes) hint(who tandem.Server) {
	l, until := c.of(who), c.ticks+c.w.opt.View.HintPings*c.w.opt.View.TicksPerPing
	if l.hinted == 0 || until < l.hinted {
		l.hinted = until
	}
}

// refused is told that a dial was refused, after a connection had closed when the
// last ping heard was that one: it is a reason unless the server has pinged since.
func (c *causes) refused(who tandem.Server, seq uint64) {
	if l := c.of(who); l.seq <= seq {
		l.suspected = true
	}
}

// isSilent tells whether a life may be suspected.
func (c *causes) isSilent(l *heardLife) bool {
	return l.suspected || (l.hinted > 0 && c.ticks >= l.hinted) ||
		c.ticks >= l.at+c.w.opt.View.DeadPings*c.w.opt.View.TicksPerPing
}

// isConfused tells whether late pings may have made the view service take one life
// of a server for another: then it ignores some that are counted here.
func (c *causes) isConfused(addr string) bool {
	return slices.ContainsFunc(c.lives, func(l heardLife) bool { return l.Addr == addr && l.displaced })
}

// toDrop tells whether there is a reason to make a view without a member.
func (c *causes) toDrop(who tandem.Server) bool {
	l := c.of(who)
	return c.w.find(who) == nil || l.displaced || l.leaving || c.isSilent(l)
}

// look checks that the view that follows the present one has a cause.
func (c *causes) look(next tandem.View) {
	w, now := c.w, c.w.oracle.view
	if w.opt.View.DeadPings == 0 || w.opt.View.TicksPerPing == 0 {
		return // it goes by its defaults
	}
	for _, m := range [...]tandem.Server{now.PrimaryServer(), now.BackupServer()} {
		if m.Addr == "" || m == next.PrimaryServer() || m == next.BackupServer() || c.toDrop(m) {
			continue
		}
		if m != now.BackupServer() || c.reported != now.Viewnum {
			w.fail("V7", "view %s follows %s without %s, which lives, pings and does not leave", viewText(next), viewText(now), serverText(m))
		}
	}
	if b := next.BackupServer(); b.Addr != "" && !c.isConfused(b.Addr) {
		l := c.of(b)
		if !l.heard || l.leaving || c.isSilent(l) {
			w.fail("V4", "view %s has a backup that is silent or leaves", viewText(next))
		}
		if c.ticks < l.cooling {
			w.fail("V8", "view %s names the backup that was reported %d ticks too early", viewText(next), l.cooling-c.ticks)
		}
	}
}

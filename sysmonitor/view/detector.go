package view

import "github.com/tandemkv/tandem"

// detector is what one monitor sees for itself: whose ping is news, and how
// long each server has been silent. All its counters count down, or stop
// growing; none is ever compared with a clock.
type detector struct {
	cfg     Config
	watches []watch // in the order in which the addresses were first seen
}

// watch is what the detector holds about one address.
type watch struct {
	addr string
	// lives are the last few incarnations heard at the address with the last
	// sequence number of each, the present one first.
	lives []life

	left    int // ticks until the server is suspected (rule V7)
	cooling int // ticks until a reported server may be named again (rule V8); 0: not counting
	forget  int // ticks until a suspected server is forgotten

	silent int // ticks since the last ping, as far as ForgetPings; for people only
}

type life struct {
	incarnation, seq uint64
}

func (d *detector) deadTicks() int     { return d.cfg.DeadPings * d.cfg.TicksPerPing }
func (d *detector) hintTicks() int     { return d.cfg.HintPings * d.cfg.TicksPerPing }
func (d *detector) coolDownTicks() int { return d.cfg.CoolDownPings * d.cfg.TicksPerPing }
func (d *detector) forgetTicks() int   { return d.cfg.ForgetPings * d.cfg.TicksPerPing }

// find returns the watch of the address, nil if there is none.
func (d *detector) find(addr string) *watch {
	for i := range d.watches {
		if d.watches[i].addr == addr {
			return &d.watches[i]
		}
	}
	return nil
}

// add starts to watch the address.
func (d *detector) add(who tandem.Server) *watch {
	d.watches = append(d.watches, watch{
		addr:   who.Addr,
		lives:  []life{{incarnation: who.Incarnation}},
		left:   d.deadTicks(),
		forget: d.forgetTicks(),
	})
	return &d.watches[len(d.watches)-1]
}

// drop stops watching the address.
func (d *detector) drop(addr string) {
	for i := range d.watches {
		if d.watches[i].addr == addr {
			d.watches = append(d.watches[:i:i], d.watches[i+1:]...)
			return
		}
	}
}

// fresh reports whether a ping is news (rule V2), and notes that it was heard:
// not one that a later ping of its incarnation has overtaken, nor one of a
// former life while the present one is alive. Lab servers do not count their
// pings, and theirs always are.
func (d *detector) fresh(who tandem.Server, seq uint64, presentAlive bool) bool {
	w := d.find(who.Addr)
	if w == nil {
		w = d.add(who)
	}
	at := -1
	for i := range w.lives {
		if w.lives[i].incarnation == who.Incarnation {
			at = i
		}
	}
	if who.Incarnation == 0 {
		// Without an incarnation there is nothing that a sequence could count
		// in, nor a former life that could be told from a new one.
		seq = 0
	} else {
		if at >= 0 && seq != 0 && seq <= w.lives[at].seq {
			return false
		}
		if at > 0 && presentAlive {
			return false
		}
	}
	switch {
	case at == 0:
	case at > 0:
		l := w.lives[at]
		copy(w.lives[1:], w.lives[:at])
		w.lives[0] = l
	default:
		w.lives = append([]life{{incarnation: who.Incarnation}}, w.lives...)
		if len(w.lives) > livesMax {
			w.lives = w.lives[:livesMax]
		}
	}
	if at != 0 || !presentAlive {
		w.cooling = 0 // V8: it has to ping all the time, and the life that was reported
	}
	if seq != 0 {
		w.lives[0].seq = seq
	}
	w.left, w.forget, w.silent = d.deadTicks(), d.forgetTicks(), 0
	return true
}

// hear turns a ping that is news into the commands that tell s what it does not
// know yet.
func (d *detector) hear(s *State, args tandem.PingArgs) []Command {
	who := tandem.Server{Addr: args.Me, Incarnation: args.Incarnation}
	var due []Command
	k := s.known(who)
	if k == nil || k.presence != alive || k.number != args.Viewnum || k.leaving != args.Leaving {
		due = append(due, Command{Kind: Heard, Server: who, Number: args.Viewnum, Leaving: args.Leaving})
	}
	// Whether this acknowledges the view is for s to say, once the Heard before
	// it is applied.
	if args.Viewnum == s.view.Viewnum && s.active < s.view.Viewnum {
		due = append(due, Command{Kind: Acknowledged, Server: who, Number: args.Viewnum})
	}
	if args.Unreachable != 0 {
		backup := tandem.Server{Addr: s.view.Backup, Incarnation: args.UnreachableIncarnation}
		due = append(due, Command{Kind: Reported, Server: backup, By: who, Number: args.Unreachable})
	}
	return due
}

// tick counts one tick and returns what falls due, in the order of the table.
func (d *detector) tick(s *State) []Command {
	var due []Command
	for i := range s.servers {
		k := &s.servers[i]
		w := d.find(k.Addr)
		if w == nil { // applied from elsewhere; count from now
			w = d.add(k.Server)
		}
		w.silent = min(w.silent+1, d.forgetTicks())
		if k.presence == suspected {
			if w.forget--; w.forget <= 0 {
				w.forget = 0
				if !s.needed(k.Addr) {
					due = append(due, Command{Kind: Forgotten, Server: k.Server})
				}
			}
			continue
		}
		if w.left--; w.left <= 0 {
			w.left = 0
			due = append(due, Command{Kind: Suspected, Server: k.Server})
			continue
		}
		switch {
		case !k.cooling:
			w.cooling = 0
		case w.cooling == 0:
			w.cooling = d.coolDownTicks()
		default:
			if w.cooling--; w.cooling == 0 {
				due = append(due, Command{Kind: CooledDown, Server: k.Server})
			}
		}
	}
	return due
}

// outlived notes that the server is known to have lived when it sent its ping with that
// sequence number, and not to live now: that ping is news no more (rule V2).
func (d *detector) outlived(who tandem.Server, seq uint64) {
	if w := d.find(who.Addr); w != nil && w.lives[0].incarnation == who.Incarnation {
		w.lives[0].seq = max(w.lives[0].seq, seq)
	}
}

// hint shortens the time that a known server has for its next ping (rule V7).
func (d *detector) hint(who tandem.Server) {
	if w := d.find(who.Addr); w != nil {
		w.left = min(w.left, d.hintTicks())
	}
}

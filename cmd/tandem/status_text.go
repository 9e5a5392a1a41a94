package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// statusText puts a statusReport into words.
type statusText struct {
	strings.Builder
	*statusReport
	paint   palette
	width   int // in characters, for what can be broken into lines
	changes int // how many are told at most
}

// plainWidth is for how many characters lines are made where no terminal says how
// many it has.
const plainWidth = 80

// write tells it all.
func (t *statusText) write() string {
	t.verdict()
	t.remarks()
	t.group()
	if len(t.Servers) > 0 {
		t.identities()
		t.data()
		t.hearing()
	}
	t.history()
	return t.String()
}

// verdict tells first what matters most.
func (t *statusText) verdict() {
	switch t.State {
	case serving:
		t.line(t.paint.good, "the group serves")
	case down:
		t.line(t.paint.bad, "THE GROUP IS DOWN")
	case waiting:
		t.line(t.paint.odd, "the group does not serve yet")
	default:
		t.line(t.paint.odd, "nobody can tell whether the group serves")
	}
	if t.Why != "" {
		t.wrap("  ", "  ", t.Why)
	}
	if t.State == down {
		t.wrap("  ", "  ", `Nothing is given up by itself: whoever starts over loses data. What to do is told in docs/operating.md, "When the group is down".`)
	}
}

// group tells of the view and of the view service.
func (t *statusText) group() {
	t.WriteString("\n")
	if v := t.View; v != nil {
		active := "not active yet"
		if v.Active {
			active = "active"
		}
		t.fact("view", fmt.Sprintf("%d, %s", v.Number, active))
		t.fact("primary", t.member(v.Primary))
		t.fact("backup", t.member(v.Backup))
		t.fact("in sync", cmp.Or(listed(t.InSync, func(l life) string { return t.member(&l) }), noServer))
		t.fact("cluster", t.Cluster)
	}
	m := &t.Monitor
	if m.Addr == "" {
		t.fact("monitor", m.Asked+" does not answer")
		return
	}
	t.fact("monitor", fmt.Sprintf("%s; pings every %s, suspects who misses %d", m.Addr, millis(m.PingMillis), m.DeadPings))
	t.fact("views in", cmp.Or(m.Data, "memory alone: they end with the monitor"))
}

// fact tells something that has a name.
func (t *statusText) fact(name, what string) {
	t.wrap(fmt.Sprintf("%-10s", name), strings.Repeat(" ", 10), what)
}

// noServer stands where there is no server.
const noServer = "none"

// member names a life by its address, if that life is still there.
func (t *statusText) member(l *life) string {
	if l == nil {
		return noServer
	}
	for i := range t.Servers {
		if t.Servers[i].life == *l {
			return l.Addr
		}
	}
	return l.String() + " (which is gone)"
}

func addrOf(l *life) string {
	if l == nil {
		return noServer
	}
	return l.Addr
}

// listed writes a list with commas.
func listed[T any](list []T, name func(T) string) string {
	var names []string
	for _, e := range list {
		names = append(names, name(e))
	}
	return strings.Join(names, ", ")
}

// absent stands in a table for what there is not.
const absent = "-"

// identities tells who is who.
func (t *statusText) identities() {
	t.table("SERVER\tINCARNATION\tROLE\tSYNC\tCOMMITS\tVIEW\tUP\tPID", func(s *serverReport) []string {
		row := []string{s.Addr, s.Incarnation, s.Role, yesNo(s.InSync)}
		switch {
		case s.left():
			return append(row, "left")
		case s.Told == nil:
			return append(row, "silent")
		}
		return append(row, s.Told.Authority, fmt.Sprint(s.Told.View), millis(s.Process.Uptime), fmt.Sprint(s.Process.PID))
	})
}

// data tells what the servers hold.
func (t *statusText) data() {
	t.table("SERVER\tINDEX\tLAG\tKEYS\tBYTES\tSESSIONS\tWAITING\tMEMORY", func(s *serverReport) []string {
		st := s.Told
		if st == nil {
			return []string{s.Addr}
		}
		index := absent
		if st.HoldsState {
			index = thousands(st.Index)
		}
		return []string{s.Addr, index, t.lag(s), thousands(st.Keys), byteCount(st.Bytes), thousands(st.Sessions),
			fmt.Sprint(st.Waiting), byteCount(s.Process.Memory)}
	})
}

// lag returns how far a server is behind its primary, as that knows it.
func (t *statusText) lag(s *serverReport) string {
	if s.Role != roleBackup {
		return absent
	}
	for i := range t.Servers {
		if b := t.Servers[i].Backup; b != nil && t.Servers[i].Role == rolePrimary {
			if b.Transfer {
				return "transfer"
			}
			return thousands(b.LagEntries)
		}
	}
	return absent
}

// hearing tells who was heard by whom, and how long ago.
func (t *statusText) hearing() {
	t.table("SERVER\tHEARD BY MONITOR\tHEARD MONITOR\tHEARD PEER\tPINGS\tUNANSWERED", func(s *serverReport) []string {
		by := absent
		if k := s.Monitor; k != nil && k.Heard {
			by = millis(k.HeardAgo) + " ago"
		}
		if s.Told == nil {
			return []string{s.Addr, by}
		}
		peer := absent
		if s.Told.PeerAgo != nil {
			peer = millis(*s.Told.PeerAgo) + " ago"
		}
		return []string{s.Addr, by, millis(s.Told.MonitorAgo) + " ago", peer,
			thousands(s.Totals.PingsSent), thousands(s.Totals.PingsSent - s.Totals.PingsAnswered)}
	})
}

// table writes a line for each server.
func (t *statusText) table(header string, row func(*serverReport) []string) {
	t.WriteString("\n")
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for i := range t.Servers {
		cells := strings.Join(row(&t.Servers[i]), "\t")
		// A row that ends early would part the columns above it from those below.
		missing := strings.Count(header, "\t") - strings.Count(cells, "\t")
		fmt.Fprintln(w, cells+strings.Repeat("\t", missing))
	}
	w.Flush()
	for line := range strings.Lines(b.String()) {
		t.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// remarks tells the notes.
func (t *statusText) remarks() {
	for _, n := range t.Notes {
		t.paintedWrap(t.paint.odd, "! ", "  ", n)
	}
}

// history tells the last changes of view.
func (t *statusText) history() {
	shown := t.Changes[:min(len(t.Changes), t.changes)]
	if len(shown) == 0 {
		return
	}
	t.WriteString("\nlast changes of view, the latest first\n")
	for i := range shown {
		c := &shown[i]
		what := fmt.Sprintf("view %d is active", c.Number)
		if c.Rule != ruleActivated {
			what = fmt.Sprintf("view %d: primary %s, backup %s", c.Number, addrOf(c.Primary), addrOf(c.Backup))
		}
		const indent = "               " // as wide as what stands before
		t.wrap(fmt.Sprintf("%10s ago ", millis(c.Ago)), indent, what)
		t.wrap(fmt.Sprintf("%14s ", c.Rule), indent, c.Reason)
	}
}

// ruleActivated is the rule by which a view becomes active, and none is made.
const ruleActivated = "V3"

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// line writes a line in a colour.
func (t *statusText) line(c colour, text string) { t.WriteString(c.of(text) + "\n") }

// wrap writes a text that begins with one indent and goes on with another, in lines
// that fit where they can.
func (t *statusText) wrap(first, next, text string) { t.paintedWrap("", first, next, text) }

func (t *statusText) paintedWrap(c colour, first, next, text string) {
	line, begun := first, false
	for word := range strings.FieldsSeq(text) {
		if begun && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > t.width {
			t.line(c, line)
			line, begun = next, false
		}
		if begun {
			line += " "
		}
		line, begun = line+word, true
	}
	t.line(c, line)
}

// palette has what tells a good state from a bad one; empty where there are no
// colours.
type palette struct{ good, odd, bad colour }

// colour is what a terminal is told to change to it; empty for none.
type colour string

// of returns a text in the colour.
func (c colour) of(text string) string {
	if c == "" {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

// paletteFor returns the colours for an output: none if it is no terminal, or if the
// environment says that none are wanted (no-color.org).
func paletteFor(w io.Writer, noColor string) palette {
	if noColor != "" || !isTerminal(w) {
		return palette{}
	}
	return palette{good: "\x1b[32m", odd: "\x1b[33m", bad: "\x1b[1;31m"}
}

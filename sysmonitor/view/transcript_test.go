package view

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tandemkv/tandem"
)

// TestTranscripts replays the exchanges in testdata/transcripts. Each file is about the
// rules that it names; go test -rewrite writes the answers anew, to be reviewed
// as a diff. A "run" block holds a script, one event a line:
//
//	ping NAME NUMBER [seq=N] [leaving] [cluster=N] [group=N] [unreachable=N/INC]
//	tick N            hint NAME        suspect NAME       durable
//	refused NAME SEQ
//	get [WAIT] [NUMBER] [cluster=N]    view     status    history
//	restore           (a new service from the last durable record)
//	start-over N      (a new service that begins cluster N where this one was given up)
//
// A NAME is an address, or address/incarnation; a server with an incarnation
// counts its pings unless seq is given. Numbers are decimal, incarnations and
// clusters hexadecimal.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		var w *scribe
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				w = newScribe(t, d)
				return ""
			case "run":
				return w.run(d.Input)
			}
			t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
			return ""
		})
	})
}

// scribe runs a transcript.
type scribe struct {
	t       *testing.T
	cfg     Config
	service *Service
	late    bool // records become durable only when the script says so
	record  *Record
	kept    *Record // the last durable one
	seq     map[tandem.Server]uint64
	request uint64
	names   map[uint64]string
	out     strings.Builder
}

func newScribe(t *testing.T, d *datadriven.TestData) *scribe {
	w := &scribe{t: t, seq: map[tandem.Server]uint64{}, names: map[uint64]string{}}
	w.cfg = Config{Cluster: 0xc1, Observer: func(o tandem.Observation) {
		fmt.Fprintf(&w.out, "  %s %s\n", o.Rule, o.Detail)
	}}
	ints := map[string]*int{
		"dead": &w.cfg.DeadPings, "ticks": &w.cfg.TicksPerPing, "hint": &w.cfg.HintPings,
		"cool": &w.cfg.CoolDownPings, "forget": &w.cfg.ForgetPings, "listen": &w.cfg.ListenPings, "servers": &w.cfg.ServersMax,
	}
	for _, a := range d.CmdArgs {
		switch p := ints[a.Key]; {
		case a.Key == "late":
			w.late = true
		case p != nil:
			*p = int(w.number(a.Vals[0], 10))
		default:
			t.Fatalf("%s: unknown setting %q", d.Pos, a.Key)
		}
	}
	w.service = New(w.cfg)
	return w
}

func (w *scribe) number(s string, base int) uint64 {
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		w.t.Fatalf("not a number: %q", s)
	}
	return n
}

func (w *scribe) server(s string) tandem.Server {
	addr, inc, ok := strings.Cut(s, "/")
	if !ok {
		return tandem.Server{Addr: addr}
	}
	return tandem.Server{Addr: addr, Incarnation: w.number(inc, 16)}
}

func (w *scribe) run(script string) string {
	w.out.Reset()
	for _, line := range strings.Split(script, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		fmt.Fprintf(&w.out, "> %s\n", line)
		w.event(f[0], f[1:])
		w.carryOut()
	}
	return w.out.String()
}

func (w *scribe) event(cmd string, args []string) {
	switch cmd {
	case "ping":
		w.ping(args)
	case "tick":
		for n := w.number(args[0], 10); n > 0; n-- {
			w.service.Tick()
			w.carryOut()
		}
	case "hint":
		w.service.Hint(w.server(args[0]))
	case "refused":
		w.service.Refused(w.server(args[0]), w.number(args[1], 10))
	case "suspect":
		w.service.Suspect(w.server(args[0]))
	case "durable":
		w.durable()
	case "get":
		w.get(args)
	case "view":
		v, active := w.service.View()
		fmt.Fprintf(&w.out, "  %s active %d\n", viewText(v), active)
	case "status":
		w.status()
	case "history":
		for _, c := range w.service.Status().History {
			fmt.Fprintf(&w.out, "  %s active %d by %s: %s\n", viewText(c.View), c.Active, c.Rule, c.Reason)
		}
	case "restore":
		w.restore()
	case "start-over":
		r := w.kept.StartOver()
		w.kept, w.cfg.Cluster = &r, w.number(args[0], 16)
		w.restore()
	default:
		w.t.Fatalf("unknown event %q", cmd)
	}
}

func (w *scribe) restore() {
	b, _ := w.kept.MarshalBinary()
	var r Record
	if err := r.UnmarshalBinary(b); err != nil {
		w.t.Fatal(err)
	}
	s, err := Restore(w.cfg, r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.service, w.record = s, nil
}

func (w *scribe) ping(args []string) {
	who := w.server(args[0])
	p := tandem.PingArgs{Me: who.Addr, Incarnation: who.Incarnation, Viewnum: uint(w.number(args[1], 10))}
	if who.Incarnation != 0 {
		w.seq[who]++
		p.Seq = w.seq[who]
	}
	for _, o := range args[2:] {
		key, val, _ := strings.Cut(o, "=")
		switch key {
		case "seq":
			p.Seq = w.number(val, 10)
		case "leaving":
			p.Leaving = true
		case "cluster":
			p.Cluster = w.number(val, 16)
		case "group":
			p.Group = uint32(w.number(val, 10))
		case "unreachable":
			n, inc, _ := strings.Cut(val, "/")
			p.Unreachable = uint(w.number(n, 10))
			if inc != "" {
				p.UnreachableIncarnation = w.number(inc, 16)
			}
		default:
			w.t.Fatalf("unknown option %q", o)
		}
	}
	w.request++
	w.names[w.request] = args[0]
	w.service.Ping(w.request, p)
}

func (w *scribe) get(args []string) {
	var a tandem.ViewArgs
	for _, o := range args {
		if key, val, ok := strings.Cut(o, "="); ok && key == "cluster" {
			a.Cluster = w.number(val, 16)
		} else if o == "wait" {
			a.Wait = 1
		} else {
			a.Viewnum = uint(w.number(o, 10))
		}
	}
	r, ready := w.service.Get(a)
	if !ready {
		w.out.WriteString("  waits\n")
		return
	}
	fmt.Fprintf(&w.out, "  %s active %d %s\n", viewText(r.View), r.Active, string(r.Err))
}

func (w *scribe) status() {
	st := w.service.Status()
	state := "up"
	if st.Down {
		state = "down"
	}
	fmt.Fprintf(&w.out, "  %s active %d in sync %s, %s\n", viewText(st.View), st.Active, serversText(st.InSync), state)
	if st.Why != "" {
		fmt.Fprintf(&w.out, "  %s\n", st.Why)
	}
	for _, s := range st.Servers {
		fmt.Fprintf(&w.out, "  %s pinged %d, silent %d", name(s.Server), s.Number, s.Silent)
		flags := []struct {
			on   bool
			text string
		}{
			{!s.Heard, "awaited"}, {s.Suspected, "suspected"}, {s.Leaving, "leaving"},
			{s.CoolDown > 0, fmt.Sprintf("cooling down %d", s.CoolDown)}, {s.InSync, "in sync"},
		}
		for _, f := range flags {
			if f.on {
				fmt.Fprintf(&w.out, ", %s", f.text)
			}
		}
		w.out.WriteString("\n")
	}
}

func (w *scribe) durable() {
	if w.record == nil {
		w.out.WriteString("  nothing to keep\n")
		return
	}
	r := *w.record
	w.kept, w.record = &r, nil
	w.service.Durable(r.Number)
}

// carryOut takes the effects until there are none.
func (w *scribe) carryOut() {
	for {
		e := w.service.Take()
		for _, r := range e.Replies {
			fmt.Fprintf(&w.out, "  to %s: ", w.names[r.Request])
			if r.Ping.Err != tandem.OK {
				fmt.Fprintf(&w.out, "%s\n", string(r.Ping.Err))
				continue
			}
			fmt.Fprintf(&w.out, "%s active %d\n", viewText(r.Ping.View), r.Ping.Active)
		}
		if e.Record == nil {
			return
		}
		w.record = e.Record
		if w.late {
			fmt.Fprintf(&w.out, "  keep %s active %d in sync %s\n", viewText(e.Record.View), e.Record.Active, serversText(e.Record.InSync))
			return
		}
		w.durable()
	}
}

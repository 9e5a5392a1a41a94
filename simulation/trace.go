package simulation

import (
	"fmt"
	"strings"

	"github.com/tandemkv/tandem"
)

// traceLength is how many of the last happenings a failure shows.
const traceLength = 250

// trace remembers the last happenings, as they are; they become text only when
// somebody wants to read them.
type trace struct {
	ring [traceLength]happening
	n    uint64
	all  *Recording // of everything, if somebody asked for it
}

type happening struct {
	event uint64
	at    int64
	node  int
	kind  eventKind
	env   *envelope
	said  string
	rule  string
	view  uint
}

func (t *trace) add(h happening) {
	t.ring[t.n%traceLength] = h
	t.n++
}

func (t *trace) event(w *World, e *event) {
	t.all.event(e)
	if e.kind == evTick || e.kind == evChaos || e.kind == evDrain {
		return // what comes of them is seen in what they send
	}
	t.add(happening{event: w.events, at: w.now, node: e.node, kind: e.kind, env: e.env})
}

func (t *trace) observation(w *World, node int, o tandem.Observation) {
	h := happening{event: w.events, at: w.now, node: node, rule: o.Rule, view: o.View, said: o.Detail}
	t.add(h)
	t.all.add(moment{happening: h, what: observed})
}

func (t *trace) say(w *World, node int, text string) {
	h := happening{event: w.events, at: w.now, node: node, said: text}
	t.add(h)
	t.all.add(moment{happening: h, what: said})
}

// text tells the last happenings, one a line.
func (t *trace) text(w *World) string {
	var b strings.Builder
	first := uint64(0)
	if t.n > traceLength {
		first = t.n - traceLength
	}
	for i := first; i < t.n; i++ {
		h := &t.ring[i%traceLength]
		fmt.Fprintf(&b, "%7d ms  event %-7d %-8s ", h.at, h.event, w.nodes[h.node].name)
		switch {
		case h.rule != "":
			fmt.Fprintf(&b, "    %s in view %d: %s\n", h.rule, h.view, h.said)
		case h.said != "":
			fmt.Fprintf(&b, "%s\n", h.said)
		case h.env != nil:
			fmt.Fprintf(&b, "<- %-8s %s (message %d, sent at %d ms)\n", w.nodes[h.env.from].name, &h.env.body, h.env.id, h.env.sent)
		default:
			fmt.Fprintf(&b, "%s\n", h.kind)
		}
	}
	return b.String()
}

// Failure is what a run came to that broke an invariant.
type Failure struct {
	Seed      uint64
	Invariant string // its name in docs/protocol.md, or one of the world's own
	Detail    string
	Event     uint64 // after which it broke
	Millis    int64  // of virtual time
	Servers   string // the state of each
	Trace     string // the last happenings
	History   []Operation
	Schedule  Schedule // of the faults that struck before
	Started   int      // operations that clients had started
	Replay    string   // the command that runs it again
}

// Error tells the failure in a line.
func (f *Failure) Error() string {
	return fmt.Sprintf("seed %d, event %d, %d ms: %s broken: %s", f.Seed, f.Event, f.Millis, f.Invariant, f.Detail)
}

// Story tells all about it, with the command that replays it.
func (f *Failure) Story() string {
	return fmt.Sprintf("%s\n%s\nreplay: %s\n\n%s", f.Trace, f.Servers, f.Replay, f.Error())
}

// fail stops the run.
func (w *World) fail(invariant, format string, args ...any) {
	panic(w.failure(invariant, fmt.Sprintf(format, args...)))
}

func (w *World) failure(invariant, detail string) *Failure {
	f := &Failure{Seed: w.opt.Seed, Invariant: invariant, Detail: detail, Event: w.events, Millis: w.now,
		Trace: w.trace.text(w), History: w.history, Schedule: w.scheduled(), Started: w.started, Replay: w.opt.Replay()}
	f.Servers = w.states()
	return f
}

// states tells where the view service and each server stand.
func (w *World) states() string {
	var b strings.Builder
	fmt.Fprintf(&b, "view service: %s, active %d; committed %d; in sync", viewText(w.oracle.view), w.oracle.active, w.oracle.last())
	for _, s := range w.oracle.inSync {
		fmt.Fprintf(&b, " %s", serverText(s))
	}
	b.WriteByte('\n')
	for _, s := range w.servers {
		st := &s.status
		fmt.Fprintf(&b, "%s: up %t, view %s, %s, authority %s, last %d, has %d, commit %d, applied %d\n", serverText(s.self), s.up(),
			viewText(st.View), st.Role, st.Authority, st.Last, s.has(), st.Commit, st.Applied)
	}
	return b.String()
}

// Try runs something and returns the failure that it came to, nil if to none.
func (w *World) Try(do func()) (failure *Failure) {
	defer func() {
		switch broken := recover().(type) {
		case nil:
		case *Failure:
			failure = broken
		case *tandem.InvariantError:
			failure = w.failure(broken.Invariant, "found by a core: "+broken.Detail)
		default:
			// The stack that is printed is the one of the first panic, too.
			panic(fmt.Sprintf("seed %d, event %d: %v", w.opt.Seed, w.events, broken))
		}
	}()
	do()
	return nil
}

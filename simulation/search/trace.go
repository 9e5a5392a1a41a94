package search

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandemkv/tandem"
)

// noMoreFaults stands in a list of events where the search for a deadlock lets
// everything go well: from there on no bound holds.
const noMoreFaults = "no more faults"

// ErrReplay is wrapped by the errors of Replay.
var ErrReplay = errors.New("search: cannot be replayed")

// Trace is a way through the states, event by event.
type Trace struct {
	Bounds Bounds
	Start  *State
	Steps  []Step
	// Invariant is what the last step broke, empty if nothing.
	Invariant, Detail string
}

// Step is one event, and what came of it.
type Step struct {
	Event  string
	Rules  []tandem.Observation // that fired, in order; those of the view service name nobody
	Before *State
	State  *State // after it; nil if a core noticed that something broke

	event event
}

// Replay goes the way of these events again, one after the other, with the real
// cores, and tells all about it. The events are those of a Result's Trace or of a
// transcript; one that cannot happen where it stands is an error, and so is one
// after the last that can.
// Further invariants are looked at as in a Config.
func Replay(b Bounds, events []string, further ...Invariant) (*Trace, error) {
	cfg := Config{Bounds: b, Invariants: further}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	x := newExplorer(cfg, true)
	s := x.start()
	t := &Trace{Bounds: b, Start: s}
	for i, text := range events {
		if t.Invariant != "" {
			return nil, fmt.Errorf("%w: event %d, %q, comes after one that broke %s", ErrReplay, i+1, text, t.Invariant)
		}
		if text == noMoreFaults {
			c := *s
			c.unbound = true
			s = &c
			t.Steps = append(t.Steps, Step{Event: text, Before: s, State: s})
			continue
		}
		e, ok := s.named(text)
		if !ok {
			return nil, fmt.Errorf("%w: event %d, %q, cannot happen there", ErrReplay, i+1, text)
		}
		s = t.take(s, e, text)
	}
	if t.Invariant == "" && s.unbound {
		if _, v := s.deadlock(&healthy{}); v != nil {
			t.Invariant, t.Detail = v.invariant, v.detail
		}
	}
	return t, nil
}

// named returns the event with this text, if it can happen.
func (s *State) named(text string) (e event, ok bool) {
	s.each(func(f event) {
		if !ok && s.x.text(f) == text {
			e, ok = f, true
		}
	})
	return e, ok
}

func (t *Trace) take(s *State, e event, text string) *State {
	next, v := s.after(e)
	step := Step{Event: text, Before: s, State: next, event: e}
	for _, n := range s.rules(e) {
		if n.place >= 0 {
			n.Who = s.servers[n.place].self
		}
		step.Rules = append(step.Rules, n.Observation)
	}
	switch {
	case next == nil && v == nil:
		step.State = s // nothing changed
	case v == nil:
		v = next.check()
	}
	t.Steps = append(t.Steps, step)
	if v != nil {
		t.Invariant, t.Detail = v.invariant, v.detail
	}
	if step.State == nil {
		return s
	}
	return step.State
}

// Events returns the events of a trace, for Replay.
func (t *Trace) Events() []string {
	events := make([]string, len(t.Steps))
	for i := range t.Steps {
		events[i] = t.Steps[i].Event
	}
	return events
}

// sent returns the messages that a step sent for the first time.
func (p *Step) sent() []*message {
	if p.State == nil || p.State.sent == p.Before.sent {
		return nil
	}
	var news []*message
	for _, m := range p.State.sent.members {
		if !slices.Contains(p.Before.sent.members, m) {
			news = append(news, m)
		}
	}
	return news
}

// changed tells the lines of the state that a step changed.
func (p *Step) changed() []string {
	if p.State == nil {
		return nil
	}
	var lines []string
	before := p.Before.lines()
	for i, line := range p.State.lines() {
		if line != before[i] {
			lines = append(lines, line)
		}
	}
	return lines
}

// lines tells the state: the view service, then each server.
func (s *State) lines() []string {
	lines := []string{fmt.Sprintf("view service: %s, active %d, in sync%s; committed %d",
		viewText(s.service.view), s.service.active, s.inSyncText(), s.oracle.fold.index)}
	for i := range s.x.cfg.Servers {
		n := s.servers[i]
		st := &n.status
		line := fmt.Sprintf("%s: %s in view %s, authority %s, acknowledged %d, last %d, commit %d",
			name(n.self), st.Role, viewText(st.View), st.Authority, n.ping.Viewnum, st.Last, st.Commit)
		if st.Durable != st.Last {
			line += fmt.Sprintf(", durable %d", st.Durable)
		}
		if st.Installed {
			line += ", has installed"
		}
		if st.Role == "primary" && st.View.Backup != "" {
			line += fmt.Sprintf(", backup has %d", st.BackupIndex)
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *State) inSyncText() string {
	if len(s.service.inSync) == 0 {
		return " nobody"
	}
	var b strings.Builder
	for _, m := range s.service.inSync {
		b.WriteString(" " + name(m))
	}
	return b.String()
}

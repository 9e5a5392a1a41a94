package search

import (
	"fmt"
	"strings"

	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/simulation/diagram"
)

// The kinds of messages in a diagram.
const (
	kindForward = iota
	kindTransfer
	kindClient
	kindView
	kindPing
)

// The first nodes of a diagram; after them come the servers.
const (
	clientNode = iota
	monitorNode
	firstServer
)

// Diagram draws a trace by steps. A message is drawn from the step that sent it
// to each step that delivered it; what was never delivered is left out.
func (t *Trace) Diagram() *diagram.Diagram {
	p := &drawing{t: t, sent: make(map[string]float64), d: &diagram.Diagram{
		Title:   "Tandem, a path of the search",
		Verdict: "Every invariant held.",
		Unit:    "steps",
		Facts:   []diagram.Fact{{Name: "bounds", Value: t.Bounds.String()}},
		Nodes:   []diagram.Node{{Name: "clients", Group: "client"}, {Name: "monitor", Group: "view service"}},
		Kinds: []diagram.Kind{
			kindForward:  {Name: "forwards, acknowledgements"},
			kindTransfer: {Name: "transfer"},
			kindClient:   {Name: "client calls"},
			kindView:     {Name: "views told"},
			kindPing:     {Name: "pings"},
		},
	}}
	if t.Invariant != "" {
		p.d.Verdict = fmt.Sprintf("%s broken at step %d: %s", t.Invariant, len(t.Steps), t.Detail)
	}
	for i := range t.Bounds.Servers {
		p.d.Nodes = append(p.d.Nodes, diagram.Node{Name: string(rune('a' + i)), Group: "server"})
	}
	p.bands = make([]int, len(p.d.Nodes))
	for i := range p.bands {
		p.bands[i] = -1
	}
	p.bandsAt(0, nil, t.Start)
	for i := range t.Steps {
		p.step(float64(i+1), &t.Steps[i])
	}
	p.end(float64(len(t.Steps)))
	return p.d
}

// drawing is a diagram in the making.
type drawing struct {
	t     *Trace
	d     *diagram.Diagram
	sent  map[string]float64 // when a message, a view or a ping was there first
	bands []int              // by node, the span that goes on; -1: none
}

func (p *drawing) step(at float64, s *Step) {
	if s.Event == noMoreFaults {
		p.mark(-1, at, diagram.Fault, noMoreFaults, "from here on everything is delivered")
		return
	}
	p.arrow(at, s)
	for _, r := range s.Rules {
		node := monitorNode
		if r.Who.Addr != "" {
			node = firstServer + int(r.Who.Addr[0]-'a')
		}
		p.mark(node, at, diagram.Rule, r.Rule, r.Detail)
	}
	if s.State == nil {
		return
	}
	for _, m := range s.sent() {
		p.sent[m.String()] = at
	}
	p.bandsAt(at, s.Before, s.State)
}

func (p *drawing) mark(node int, at float64, sign diagram.Sign, label, detail string) {
	p.d.Marks = append(p.d.Marks, diagram.Mark{Node: node, At: at, Sign: sign, Label: label, Detail: detail})
}

// arrow draws what the event of a step was.
func (p *drawing) arrow(at float64, s *Step) {
	x, e := s.Before.x, s.event
	server := firstServer + int(e.place)
	m := diagram.Message{From: clientNode, To: server, Delivered: at, Kind: kindClient, Detail: s.Event}
	switch e.kind {
	case hearsPing, hearsLatePing:
		ping := x.pings.at(e.arg)
		m.From, m.To, m.Kind, m.Label = server, monitorNode, kindPing, fmt.Sprintf("ping %d", ping.Viewnum)
		m.Stale = e.kind == hearsLatePing
	case learns:
		a := x.announced.at(e.arg)
		m.From, m.Kind, m.Label = monitorNode, kindView, fmt.Sprintf("view %d", a.view.Viewnum)
		m.Stale = a.view.Viewnum < s.Before.servers[e.place].status.View.Viewnum
	case delivers:
		msg := x.messages.at(e.arg)
		m.From, m.Label, m.Kind = firstServer+int(msg.From.Addr[0]-'a'), msg.Kind.String(), kindTransfer
		if msg.Kind == replica.Forward || msg.Kind == replica.Acknowledge || msg.Kind == replica.Gap {
			m.Kind = kindForward
		}
		m.Stale = msg.View.Viewnum < s.Before.servers[e.place].status.View.Viewnum
	case submits:
		m.Label = fmt.Sprintf("update %d", e.arg+1)
	case asks:
		m.Label = fmt.Sprintf("read %d", e.arg+1)
	case suspects:
		p.mark(monitorNode, at, diagram.Fault, "suspects "+string(rune('a'+e.place)), s.Event)
		return
	case coolsDown:
		p.mark(monitorNode, at, diagram.Note, string(rune('a'+e.place))+" is well again", s.Event)
		return
	case crashes:
		p.mark(server, at, diagram.Crash, "crash", s.Event)
		return
	default:
		p.mark(server, at, diagram.Note, strings.TrimPrefix(s.Event, string(rune('a'+e.place))+" "), s.Event)
		return
	}
	p.send(&m, s)
}

// send draws a message from where it was there first.
func (p *drawing) send(m *diagram.Message, s *Step) {
	key := s.Event
	if s.event.kind == delivers {
		key = s.Before.x.messages.at(s.event.arg).String()
	}
	first, ok := p.sent[key]
	if !ok {
		first = m.Delivered - 0.7
		p.sent[key] = first
	}
	m.Sent = first
	for _, o := range p.d.Messages {
		m.Again = m.Again || o.Detail == m.Detail
	}
	p.d.Messages = append(p.d.Messages, *m)
}

// bandsAt draws what everybody is from a step on, where that has changed.
func (p *drawing) bandsAt(at float64, was, is *State) {
	lines := is.lines()
	v := is.service.view
	if was == nil || was.service.told != is.service.told {
		look := diagram.ViewInactive
		if is.service.active == v.Viewnum {
			look = diagram.ViewActive
		}
		p.band(monitorNode, at, look, viewText(v), lines[0])
		if was != nil && was.service.view != v {
			p.mark(monitorNode, at, diagram.NewView, fmt.Sprintf("view %d", v.Viewnum), viewText(v))
		}
	}
	for i := range is.x.cfg.Servers {
		n := is.servers[i]
		if was == nil || was.servers[i] != n {
			p.band(firstServer+i, at, lookOf(&n.status), bandText(&n.status), lines[i+1])
		}
	}
}

func lookOf(st *replica.Status) diagram.Look {
	switch {
	case st.Role == "primary" && st.Authority != replica.None:
		return diagram.Primary
	case st.Role == "primary":
		return diagram.PrimaryBare
	case st.Role == "backup" && st.Installed:
		return diagram.Backup
	case st.Role == "backup":
		return diagram.BackupBare
	}
	return diagram.Idle
}

func bandText(st *replica.Status) string {
	text := fmt.Sprintf("%s %d", st.Role, st.View.Viewnum)
	if st.Authority != replica.None {
		text += " " + st.Authority.String()
	}
	return text
}

func (p *drawing) band(node int, at float64, look diagram.Look, label, detail string) {
	if b := p.bands[node]; b >= 0 {
		p.d.Spans[b].To = at
	}
	p.bands[node] = len(p.d.Spans)
	p.d.Spans = append(p.d.Spans, diagram.Span{Node: node, From: at, To: at, Look: look, Label: label, Detail: detail})
}

// end ends what goes on, a step after the last event.
func (p *drawing) end(last float64) {
	for _, b := range p.bands {
		if b >= 0 {
			p.d.Spans[b].To = last + 1
		}
	}
	if p.t.Invariant == "" {
		return
	}
	p.mark(-1, last, diagram.Broken, p.t.Invariant, p.t.Detail)
	if n := len(p.d.Messages); n > 0 && p.d.Messages[n-1].Delivered == last {
		p.d.Messages[n-1].Breaking = true
	}
}

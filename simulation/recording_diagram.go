package simulation

import (
	"fmt"
	"strconv"
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

// Diagram draws the recording. The caller may add facts.
func (r *Recording) Diagram() *diagram.Diagram {
	p := &drawing{r: r, sentAt: make(map[*envelope]int), settled: make(map[*envelope]bool), d: &diagram.Diagram{Unit: "ms", Kinds: []diagram.Kind{
		kindForward:  {Name: "forwards, acknowledgements"},
		kindTransfer: {Name: "transfer"},
		kindClient:   {Name: "client calls"},
		kindView:     {Name: "view: asked and told", Hidden: true},
		kindPing:     {Name: "pings", Hidden: true},
	}}}
	p.title()
	p.nodes()
	p.places()
	for i := range r.moments {
		p.moment(i)
	}
	p.close()
	return p.d
}

// drawing is a diagram in the making.
type drawing struct {
	r      *Recording
	d      *diagram.Diagram
	place  []float64 // of each moment on the axis
	end    float64
	sentAt map[*envelope]int // the moment at which it was sent
	// settled: a copy arrived or was lost; the others are under way at the end.
	settled map[*envelope]bool
	open    []lifeline
	last    int // the message that arrived last, -1: none
}

// lifeline is what began at a node and has not ended: indices of spans, -1: none.
type lifeline struct {
	state, frozen, cut int
	operation          int // by place in the history, the last begun
	condition          condition
	known              bool
}

func (p *drawing) title() {
	f := p.r.failure
	w := p.r.w
	p.d.Title = fmt.Sprintf("Tandem, seed %d", w.opt.Seed)
	p.d.Verdict = "Every invariant held, and every request was answered."
	p.d.Facts = []diagram.Fact{
		{Name: "virtual time", Value: fmt.Sprintf("%d ms", w.now)},
		{Name: "events", Value: strconv.FormatUint(w.events, 10)},
		{Name: "messages", Value: strconv.FormatUint(w.net.sent, 10)},
		{Name: "operations", Value: strconv.Itoa(len(w.history))},
		{Name: "committed", Value: strconv.FormatUint(w.oracle.last(), 10)},
	}
	if f != nil {
		p.d.Verdict = fmt.Sprintf("%s broken at %d ms: %s", f.Name(), f.Millis, f.Detail)
	}
}

func (p *drawing) nodes() {
	w := p.r.w
	for i := range w.nodes {
		group := "client"
		switch {
		case i == monitorNode:
			group = "view service"
		case i < w.firstClient():
			group = "server"
		}
		p.d.Nodes = append(p.d.Nodes, diagram.Node{Name: w.nodes[i].name, Group: group})
		p.open = append(p.open, lifeline{state: -1, frozen: -1, cut: -1, operation: -1})
	}
	p.last = -1
}

// places puts the moments on the axis: those of one millisecond one after the
// other within it, so that their order shows.
func (p *drawing) places() {
	all := p.r.moments
	p.place = make([]float64, len(all))
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].at == all[i].at {
			j++
		}
		for k := i; k < j; k++ {
			p.place[k] = float64(all[k].at) + float64((k-i)*1000/(j-i))/1000
		}
		i = j
	}
	if n := len(all); n > 0 {
		p.end = max(p.place[n-1], float64(p.r.w.now))
	}
}

func (p *drawing) mark(i int, sign diagram.Sign, label, detail string) {
	p.d.Marks = append(p.d.Marks, diagram.Mark{Node: p.r.moments[i].node, At: p.place[i], Sign: sign, Label: label, Detail: detail})
}

func (p *drawing) moment(i int) {
	m := &p.r.moments[i]
	switch m.what {
	case observed:
		p.mark(i, diagram.Rule, m.rule, m.said)
	case said:
		if !p.shownOtherwise(m.said) {
			p.mark(i, diagram.Fault, strings.TrimPrefix(m.said, "fault: "), "")
		}
	case sent:
		p.sentAt[m.env] = i
	case arrived, lost:
		p.message(i)
	case became:
		p.become(i)
	case committed:
		e := &p.r.w.oracle.log[m.place]
		p.mark(i, diagram.Note, "commit "+strconv.FormatUint(e.Index, 10), fmt.Sprintf("entry %d, of epoch %d, is committed", e.Index, e.Epoch))
	case began:
		p.open[m.node].operation = len(p.d.Spans)
		p.operation(i)
	case ended:
		p.d.Spans[p.open[m.node].operation].To = p.place[i]
	}
}

// shownOtherwise: a crash, a restart and a freeze change what a node is, too.
func (p *drawing) shownOtherwise(said string) bool {
	return said == "crashed" || said == "frozen" || strings.HasPrefix(said, "started")
}

// message draws a copy of a message that has arrived or was lost.
func (p *drawing) message(i int) {
	m := &p.r.moments[i]
	d := diagram.Message{From: m.env.from, To: m.env.to, Sent: float64(m.env.sent), Delivered: p.place[i], Again: m.again, Stale: m.stale}
	if at, ok := p.sentAt[m.env]; ok {
		d.Sent = p.place[at]
	}
	if m.what == lost {
		d.Fate = diagram.Lost
	} else {
		p.last = len(p.d.Messages)
	}
	p.describe(&d, m.env)
	p.d.Messages = append(p.d.Messages, d)
	p.settled[m.env] = true
}

func (p *drawing) describe(d *diagram.Message, env *envelope) {
	d.Kind, d.Label = env.body.drawn()
	d.Detail = fmt.Sprintf("%s\nmessage %d", &env.body, env.id)
}

// become draws what a node has come to be.
func (p *drawing) become(i int) {
	m := &p.r.moments[i]
	l := &p.open[m.node]
	was, now := l.condition, m.now
	if l.known {
		p.life(i, &was, &now)
	}
	l.condition, l.known = now, true
	label, look := p.r.band(m.node, &now)
	p.renew(i, &l.state, look, label, p.r.conditionText(m.node, &now), label != "")
	p.renew(i, &l.frozen, diagram.Frozen, "frozen", "it does nothing, and wakes with its beliefs", now.frozen)
	cut := p.r.cutText(&now)
	p.renew(i, &l.cut, diagram.Cut, cut, cut, cut != "")
}

// life marks what began and ended between two conditions of a node.
func (p *drawing) life(i int, was, now *condition) {
	lost, back := "its memory is lost", "as somebody new, without memory"
	if p.r.moments[i].node == monitorNode { // which has a disk
		lost, back = "what its disk has not confirmed is lost", "with what its disk holds"
	}
	switch {
	case was.up && !now.up:
		p.mark(i, diagram.Crash, "crash", lost)
	case was.up && was.life != now.life:
		p.mark(i, diagram.Crash, "crash", lost+"; its next life begins at once")
	case !was.up && now.up:
		p.mark(i, diagram.Start, "start", back)
	}
	if now.up && now.view.Viewnum > was.view.Viewnum {
		p.mark(i, diagram.NewView, "view "+strconv.FormatUint(uint64(now.view.Viewnum), 10), viewText(now.view))
	}
}

// renew ends a span and begins the next, unless that says the same.
func (p *drawing) renew(i int, span *int, look diagram.Look, label, detail string, holds bool) {
	at := p.place[i]
	if *span >= 0 {
		s := &p.d.Spans[*span]
		if holds && s.Look == look && s.Label == label {
			return
		}
		s.To = at
		*span = -1
	}
	if holds {
		*span = len(p.d.Spans)
		p.d.Spans = append(p.d.Spans, diagram.Span{Node: p.r.moments[i].node, From: at, To: -1, Look: look, Label: label, Detail: detail})
	}
}

func (p *drawing) operation(i int) {
	m := &p.r.moments[i]
	op := &p.r.w.history[m.place]
	look := [...]diagram.Look{Running: diagram.OperationRunning, Done: diagram.OperationDone, Failed: diagram.OperationFailed, Unknown: diagram.OperationUnknown}[op.Verdict]
	p.d.Spans = append(p.d.Spans, diagram.Span{Node: m.node, From: p.place[i], To: p.end, Look: look,
		Label: op.String(), Detail: "operation " + strconv.Itoa(m.place) + ", " + op.Verdict.String()})
}

// close ends what has not ended, and draws the failure.
func (p *drawing) close() {
	for i := range p.d.Spans {
		if s := &p.d.Spans[i]; s.To < s.From {
			s.To = p.end
		}
	}
	for i := range p.r.moments {
		m := &p.r.moments[i]
		if m.what == sent && !p.settled[m.env] {
			d := diagram.Message{From: m.env.from, To: m.env.to, Sent: p.place[i], Delivered: p.end, Fate: diagram.UnderWay}
			p.describe(&d, m.env)
			p.d.Messages = append(p.d.Messages, d)
		}
	}
	f := p.r.failure
	if f == nil {
		return
	}
	broken := diagram.Mark{Node: -1, At: p.end, Sign: diagram.Broken, Label: f.Name() + " broken", Detail: f.Detail}
	if words := Predicate(f.Invariant); words != "" {
		broken.Detail += "\n\nWhat should be true: " + words
	}
	if p.r.stepping { // it broke in the middle of an event
		broken.Node = p.r.node
		p.breaking(f)
	}
	p.d.Marks = append(p.d.Marks, broken)
}

// breaking finds the message whose delivery was the last event.
func (p *drawing) breaking(f *Failure) {
	for i := len(p.r.moments) - 1; i >= 0 && p.r.moments[i].event == f.Event; i-- {
		if p.r.moments[i].what == arrived && p.last >= 0 {
			p.d.Messages[p.last].Breaking = true
			return
		}
	}
}

// band returns what stands in a node's band, "" for no band.
func (r *Recording) band(node int, c *condition) (string, diagram.Look) {
	number := strconv.FormatUint(uint64(c.view.Viewnum), 10)
	switch {
	case !c.up:
		return "down", diagram.Down
	case node == monitorNode && c.view.Viewnum == 0:
		return "no view", diagram.ViewInactive
	case node == monitorNode && c.view.Viewnum == c.active:
		return "view " + viewBrief(c) + " active", diagram.ViewActive
	case node == monitorNode:
		return "view " + viewBrief(c), diagram.ViewInactive
	case node >= r.w.firstClient():
		return "", 0
	case c.view.Viewnum == 0:
		return "new", diagram.Idle
	case c.role == "primary" && c.authority == replica.None:
		return "primary of " + number + ", no authority", diagram.PrimaryBare
	case c.role == "primary" && c.authority == replica.Joint && !c.synced:
		return "primary of " + number + ", joint, not acknowledged", diagram.Primary
	case c.role == "primary":
		return "primary of " + number + ", " + c.authority.String(), diagram.Primary
	case c.role == "backup" && c.synced:
		return "backup of " + number, diagram.Backup
	case c.role == "backup":
		return "backup of " + number + ", no state", diagram.BackupBare
	}
	return "idle, view " + number, diagram.Idle
}

// viewBrief is a view as (number, primary, backup), without incarnations.
func viewBrief(c *condition) string {
	backup := c.view.Backup
	if backup == "" {
		backup = "none"
	}
	return fmt.Sprintf("(%d,%s,%s)", c.view.Viewnum, c.view.Primary, backup)
}

// drawn returns the kind of a message in a diagram, and what stands at its arrow.
func (b *body) drawn() (kind int, label string) {
	switch b.Kind {
	case peerMessage:
		return drawnPeer(b.Peer)
	case ping:
		return kindPing, fmt.Sprintf("ping %d", b.Ping.Viewnum)
	case pingReply:
		return kindPing, fmt.Sprintf("view %d, active %d", b.PingReply.View.Viewnum, b.PingReply.Active)
	case viewArgs:
		return kindView, fmt.Sprintf("above %d?", b.View.Viewnum)
	case viewReply:
		return kindView, fmt.Sprintf("view %d, active %d", b.ViewReply.View.Viewnum, b.ViewReply.Active)
	case putArgs:
		return kindClient, fmt.Sprintf("%s %s", b.Put.Op, b.Put.Key)
	case putReply:
		return kindClient, string(b.PutReply.Err)
	case getArgs:
		return kindClient, "Get " + b.Get.Key
	case getReply:
		if b.GetReply.Err == "OK" {
			return kindClient, strconv.Quote(b.GetReply.Value)
		}
		return kindClient, string(b.GetReply.Err)
	case scanArgs:
		return kindClient, "Scan " + b.Scan.Prefix
	case scanReply:
		return kindClient, fmt.Sprintf("%d pairs %s", len(b.ScanReply.Pairs), b.ScanReply.Err)
	}
	return kindClient, b.Kind.String()
}

func drawnPeer(m *replica.Message) (kind int, label string) {
	switch m.Kind {
	case replica.Forward:
		switch n := len(m.Entries); n {
		case 0:
			return kindForward, fmt.Sprintf("Forward, commit %d", m.Commit)
		case 1:
			return kindForward, fmt.Sprintf("Forward %d", m.Entries[0].Index)
		default:
			return kindForward, fmt.Sprintf("Forward %d-%d", m.Entries[0].Index, m.Entries[n-1].Index)
		}
	case replica.Acknowledge, replica.Gap:
		return kindForward, fmt.Sprintf("%s %d", m.Kind, m.Index)
	case replica.Chunk:
		return kindTransfer, fmt.Sprintf("Chunk %d", m.ChunkNumber)
	case replica.ChunkTaken:
		return kindTransfer, fmt.Sprintf("%d chunks taken", m.ChunkNumber)
	}
	return kindTransfer, fmt.Sprintf("%s %d", m.Kind, m.Index)
}

package simulation

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// WriteLog writes the recording as text: one line for each thing that happened,
// by virtual time, in the order in which it happened.
func (r *Recording) WriteLog(to io.Writer) error {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "%8s  %8s  %-9s %s\n", "ms", "event", "node", "what")
	for i := range r.moments {
		m := &r.moments[i]
		fmt.Fprintf(b, "%8d  %8d  %-9s %s\n", m.at, m.event, r.name(m.node), oneLine(r.text(m)))
	}
	if f := r.failure; f != nil {
		fmt.Fprintf(b, "%8d  %8d  %-9s %s broken: %s\n", f.Millis, f.Event, "", f.Invariant, oneLine(f.Detail))
	}
	if _, err := to.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the log of a run: %w", err)
	}
	return nil
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

// name returns a node's name, "-" for no node in particular.
func (r *Recording) name(node int) string {
	if node < 0 {
		return "-"
	}
	return r.w.nodes[node].name
}

// text tells a moment. Messages stand at the margin, what else there is further in.
func (r *Recording) text(m *moment) string {
	switch m.what {
	case observed:
		return fmt.Sprintf("      %s in view %d: %s", m.rule, m.view, m.said)
	case said:
		return "  **  " + m.said
	case sent:
		return fmt.Sprintf("-> %-8s %s (message %d)", r.name(m.env.to), &m.env.body, m.env.id)
	case arrived:
		remark := ""
		if m.again {
			remark += ", again"
		}
		if m.stale {
			remark += ", of an older view"
		}
		return fmt.Sprintf("<- %-8s %s (message %d, sent at %d ms%s)", r.name(m.env.from), &m.env.body, m.env.id, m.env.sent, remark)
	case lost:
		return fmt.Sprintf("x- %-8s %s (message %d, sent at %d ms, lost)", r.name(m.env.from), &m.env.body, m.env.id, m.env.sent)
	case stirred:
		return "      " + m.kind.String()
	case became:
		return "  ==  " + r.conditionText(m.node, &m.now)
	case committed:
		e := &r.w.oracle.log[m.place]
		return fmt.Sprintf("  ++  entry %d, of epoch %d, is committed", e.Index, e.Epoch)
	case began, ended:
		op := &r.w.history[m.place]
		if m.what == began {
			return fmt.Sprintf("  >>  operation %d: %s", m.place, describeInput(op.Input))
		}
		return fmt.Sprintf("  <<  operation %d: %s", m.place, op.String())
	}
	return ""
}

// conditionText tells what a node is.
func (r *Recording) conditionText(node int, c *condition) string {
	text := "down"
	if c.up {
		text = r.stateText(node, c)
	}
	if c.frozen {
		text += ", frozen"
	}
	if cut := r.cutText(c); cut != "" {
		text += ", " + cut
	}
	return text
}

// stateText tells what a node that is up is for the protocol.
func (r *Recording) stateText(node int, c *condition) string {
	switch {
	case node == monitorNode:
		return fmt.Sprintf("view %s, active %d", viewText(c.view), c.active)
	case node >= r.w.firstClient():
		return "up"
	case c.view.Viewnum == 0:
		return "new"
	}
	text := fmt.Sprintf("%s in view %s", c.role, viewText(c.view))
	switch {
	case c.role == "primary":
		text += ", authority " + c.authority.String()
		if c.authority == replica.Joint && !c.synced {
			text += ", not acknowledged"
		}
	case c.role == "backup" && !c.synced:
		text += ", without the state"
	}
	return text
}

// cutText tells from whom a node is cut off, "" if from nobody.
func (r *Recording) cutText(c *condition) string {
	var parts []string
	if both := c.mute & c.deaf; both != 0 {
		parts = append(parts, "cut off from "+r.w.names(both))
	}
	if mute := c.mute &^ c.deaf; mute != 0 {
		parts = append(parts, "cannot reach "+r.w.names(mute))
	}
	if deaf := c.deaf &^ c.mute; deaf != 0 {
		parts = append(parts, "cannot hear "+r.w.names(deaf))
	}
	return strings.Join(parts, ", ")
}

// describeInput tells an operation without what came of it.
func describeInput(in Input) string {
	text, _ := strings.CutSuffix(describe(in, Output{Unknown: true}), ": unknown")
	return text
}

// String tells the operation and what became of it.
func (o *Operation) String() string {
	if o.Verdict == Done {
		return describe(o.Input, o.Output)
	}
	text := describeInput(o.Input) + ": " + o.Verdict.String()
	if o.Err != "" {
		text += ", " + o.Err
	}
	return text
}

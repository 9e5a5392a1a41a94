package diagram

import "fmt"

// Diagram is all that is drawn. Fill in the fields and call WriteHTML. Times are
// in Unit, from any origin; what happens at one moment may be spread over
// fractions of it, so that its order shows.
type Diagram struct {
	Title string
	// Verdict says in a line what the run came to.
	Verdict string
	// Facts stand under the title, in this order.
	Facts []Fact
	// Unit names what time is counted in, as in "ms" or "steps".
	Unit string

	Nodes    []Node // from the top
	Kinds    []Kind // of messages, in the order of the filters
	Spans    []Span
	Messages []Message
	Marks    []Mark
}

// Fact is something worth knowing about a run.
type Fact struct{ Name, Value string }

// Node is a process, and has a lifeline.
type Node struct {
	Name string
	// Group says what the process is, as in "server". Nodes of a group stand
	// together.
	Group string
}

// Kind is a kind of message, which the reader may hide and show.
type Kind struct {
	Name   string
	Hidden bool // until the reader asks for it
}

// Span is what a node was, or what held for it, from one time to another.
type Span struct {
	Node     int // its place in Diagram.Nodes
	From, To float64
	Look     Look
	Label    string // short: it stands in the band if there is room
	Detail   string // shown on demand
}

// Look says what a span means, and so how it is drawn.
type Look uint8

// The looks of what a server may be, of what a view may be, of what may be wrong
// with a node, and of an operation of a client. Down, Frozen and Cut are drawn
// over what else the node was.
const (
	Primary      Look = iota // with the authority to commit
	PrimaryBare              // without
	Backup                   // that has the state
	BackupBare               // that has yet to get it
	Idle                     // no role
	ViewActive               // a view that is in use
	ViewInactive             // one that nobody has acknowledged
	Down
	Frozen
	Cut
	OperationDone
	OperationFailed  // it did not run and never will
	OperationUnknown // it may have run
	OperationRunning // at the end of the diagram
	numLooks
)

// Message is an arrow. A message that was delivered twice is two of them.
type Message struct {
	From, To        int // their places in Diagram.Nodes
	Sent, Delivered float64
	Kind            int    // its place in Diagram.Kinds
	Label           string // short: it stands at the arrow if there is room
	Detail          string // shown on demand
	Fate            Fate
	// Again: another copy had been delivered before.
	Again bool
	// Stale: it was sent in an older view than the receiver's.
	Stale bool
	// Breaking: what it brought about is what broke the invariant.
	Breaking bool
}

// Fate is what became of a message.
type Fate uint8

// The fates. Of a message that was lost, Delivered is when; of one that was on
// its way when the diagram ended, it is that end.
const (
	Arrived Fate = iota
	Lost
	UnderWay
	numFates
)

// Mark is something that happened to a node at a moment.
type Mark struct {
	Node   int // its place in Diagram.Nodes; -1: to all of them
	At     float64
	Sign   Sign
	Label  string // short
	Detail string // shown on demand
}

// Sign says what a mark means, and so how it is drawn.
type Sign uint8

// The signs.
const (
	Crash   Sign = iota
	Start        // or a restart
	NewView      // made, activated or adopted
	Rule         // that fired
	Fault        // of the network, a disk or a clock
	Note         // anything else worth telling
	Broken       // an invariant: a red line through the whole diagram
	numSigns
)

// check tells what in the diagram cannot be drawn.
func (d *Diagram) check() error {
	node := func(i int) bool { return i >= 0 && i < len(d.Nodes) }
	for i := range d.Spans {
		if s := &d.Spans[i]; !node(s.Node) || s.To < s.From || s.Look >= numLooks {
			return fmt.Errorf("span %d (%q) cannot be drawn: node %d of %d, from %v to %v, look %d", i, s.Label, s.Node, len(d.Nodes), s.From, s.To, s.Look)
		}
	}
	for i := range d.Messages {
		m := &d.Messages[i]
		if !node(m.From) || !node(m.To) || m.Delivered < m.Sent || m.Kind < 0 || m.Kind >= len(d.Kinds) || m.Fate >= numFates {
			return fmt.Errorf("message %d (%q) cannot be drawn: node %d to %d of %d, sent at %v, there at %v, kind %d of %d, fate %d",
				i, m.Label, m.From, m.To, len(d.Nodes), m.Sent, m.Delivered, m.Kind, len(d.Kinds), m.Fate)
		}
	}
	for i := range d.Marks {
		if m := &d.Marks[i]; (!node(m.Node) && m.Node != -1) || m.Sign >= numSigns {
			return fmt.Errorf("mark %d (%q) cannot be drawn: node %d of %d, sign %d", i, m.Label, m.Node, len(d.Nodes), m.Sign)
		}
	}
	return nil
}

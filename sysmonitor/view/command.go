package view

import (
	"fmt"

	"github.com/tandemkv/tandem"
)

// CommandKind is the kind of a Command.
type CommandKind uint8

const (
	// Heard: Server is alive; its last ping said Number and Leaving. A ping
	// that says nothing new makes no command.
	Heard CommandKind = iota + 1
	// Suspected: Server has not been heard for too long, or a hint says that
	// it is gone (rule V7).
	Suspected
	// Acknowledged: Server, a primary, has acknowledged view Number (rule V3).
	Acknowledged
	// Reported: By, the primary of view Number, cannot reach Server, its
	// backup (rule V8).
	Reported
	// CooledDown: Server, once reported, has pinged for long enough to be
	// named again (rule V8).
	CooledDown
	// Forgotten: Server has been suspected for so long that its place in the
	// table is free.
	Forgotten
)

// String returns the kind's name.
func (k CommandKind) String() string {
	switch k {
	case Heard:
		return "Heard"
	case Suspected:
		return "Suspected"
	case Acknowledged:
		return "Acknowledged"
	case Reported:
		return "Reported"
	case CooledDown:
		return "CooledDown"
	case Forgotten:
		return "Forgotten"
	}
	return "unknown command"
}

// Command is one fact that a monitor saw and that a State can apply. A State
// checks for itself whether a command still means anything, so one that comes
// twice or late does no harm; only the Heards of one server must keep the order
// of its pings, for a 0 after a higher number is a restart (rule V6).
type Command struct {
	Kind    CommandKind
	Server  tandem.Server
	By      tandem.Server // Reported: who reports
	Number  uint          // Heard: the number pinged; Acknowledged, Reported: the view concerned
	Leaving bool          // Heard: rule V11
}

// String returns the command for traces.
func (c Command) String() string {
	switch c.Kind {
	case Heard:
		leaving := ""
		if c.Leaving {
			leaving = " leaving"
		}
		return fmt.Sprintf("Heard %s %d%s", name(c.Server), c.Number, leaving)
	case Acknowledged:
		return fmt.Sprintf("Acknowledged %s %d", name(c.Server), c.Number)
	case Reported:
		return fmt.Sprintf("Reported %s by %s in %d", name(c.Server), name(c.By), c.Number)
	}
	return fmt.Sprintf("%s %s", c.Kind, name(c.Server))
}

// name writes a server as people read it: the address, and the incarnation
// where there is one.
func name(s tandem.Server) string {
	switch {
	case s.Addr == "":
		return "nobody"
	case s.Incarnation == 0:
		return s.Addr
	}
	return fmt.Sprintf("%s/%x", s.Addr, s.Incarnation)
}

package cluster

import (
	"fmt"
	"time"
)

// Kind says what an event is about.
type Kind string

// The kinds of events.
const (
	Started    Kind = "started"    // a process serves
	Ended      Kind = "ended"      // a process has ended
	Restarting Kind = "restarting" // a process is to be started again
	Failed     Kind = "failed"     // a process could not be started again; it will be tried once more
	Leaving    Kind = "leaving"    // a process is asked to leave, or to end
	ViewMade   Kind = "view"       // the view service has made a view
	ViewActive Kind = "active"     // the primary has acknowledged the view
	GroupDown  Kind = "down"       // the group cannot serve
	GroupUp    Kind = "up"         // it can again
	Note       Kind = "note"       // something else that one should know
)

// Event is something that happened in a cluster. What does not belong to its
// kind is zero.
type Event struct {
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`
	Name string    `json:"name,omitempty"` // of the process it is about, or of the primary
	PID  int       `json:"pid,omitempty"`  // of that process, on the host where it runs
	Host string    `json:"host,omitempty"` // where it runs, if that is another than this one
	Addr string    `json:"addr,omitempty"` // by which that process is reached

	// Of a view.
	View    uint   `json:"view,omitempty"`
	Primary string `json:"primary,omitempty"` // the names
	Backup  string `json:"backup,omitempty"`
	Rule    string `json:"rule,omitempty"` // of the protocol, that fired

	Text string `json:"text"` // all of it, for people
}

// String returns the event as a line for people, in local time.
func (e Event) String() string {
	return e.Time.Local().Format("15:04:05.000") + "  " + e.Text
}

// life is one process that a member was, or is.
type life struct {
	name  string
	pid   int    // on the host where it runs
	host  string // empty: this one
	ended bool
}

// title returns how people call it: by name and process id.
func (l life) title() string {
	if l.host != "" {
		return fmt.Sprintf("%s (pid %d on %s)", l.name, l.pid, l.host)
	}
	return fmt.Sprintf("%s (pid %d)", l.name, l.pid)
}

// event returns an event about it.
func (l life) event(kind Kind, text string) Event {
	return Event{Kind: kind, Name: l.name, PID: l.pid, Host: l.host, Text: text}
}

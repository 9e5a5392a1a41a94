package search

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// The most that a search can be asked for. States have a fixed size, and beyond
// these numbers none would end.
const (
	ServersMax = 4
	OpsMax     = 4
	ReadsMax   = 2
	ViewsMax   = 12
)

// ErrConfig is wrapped by the errors about a Config.
var ErrConfig = errors.New("search: impossible configuration")

// Bounds say what may happen in a search, and how often. What they do not bound
// happens as often as it likes, in every order.
type Bounds struct {
	Servers int `json:"servers"` // 2 to ServersMax; they are called a, b, c, d
	Ops     int `json:"ops"`     // updates, each by a client of its own; 0 to OpsMax
	Reads   int `json:"reads"`   // 0 to ReadsMax
	// Views is the highest view number, 1 to ViewsMax. What would make a higher one
	// does not happen: the last view, for one, is not acknowledged while an idle
	// server is alive, since that names it at once.
	Views   uint `json:"views"`
	Crashes int  `json:"crashes"` // times that a server loses its memory; it comes back under its address
	Retries int  `json:"retries"` // times that a client sends an update again, for each update
	Resends int  `json:"resends"` // times that a primary sends again, or sends a heartbeat, all together

	// Deltas lets a server that returns get what is missing alone (rule T4).
	Deltas bool `json:"deltas"`
	// AllSuspicions lets the view service suspect any server at any time.
	// Otherwise it does when a new view comes of it at once. Others can be put
	// off until one does, with the pings that would come in between, but for one
	// thing: while a life is suspected, a ping of its address's former life is
	// heard (rule V2).
	AllSuspicions bool `json:"all_suspicions"`
	// LatePings lets pings arrive that their sender has overtaken (rule V2).
	// Otherwise a server's ping says what it would say now.
	LatePings bool `json:"late_pings"`
	// Reports lets primaries report their backups unreachable (rule V8).
	Reports bool `json:"reports"`
	// LateDisks makes disks confirm when they like; otherwise they do at once.
	LateDisks bool `json:"late_disks"`
	// Fresh begins when nothing has happened, with clients that have no sessions.
	// Otherwise the start is view 1, active, with the sessions open.
	Fresh bool `json:"fresh"`
	// KeepDead makes messages that can have no effect any more (reduce.go) part
	// of a state, and lets them have one. Otherwise they are delivered all the
	// same, and must have none, but states that differ in them alone are one.
	KeepDead bool `json:"keep_dead"`
}

// Config says what is searched, for what, and where to stop.
type Config struct {
	Bounds

	// Deadlocks looks in every state for a way back to service once faults stop.
	Deadlocks bool

	// Goal, if not nil, ends a stage of the search. Stages come before it: the
	// state that reaches the goal of one is the start of the next.
	Stages []Goal
	Goal   *Goal
	// Invariants are looked at in every state, beside those of docs/protocol.md.
	Invariants []Invariant
	// Prune, if not nil, tells of states from which the search does not go on.
	Prune func(*State) bool

	// Where to stop; zero is no bound.
	Depth  int           // events in a row
	States int           // different ones found
	Time   time.Duration // of running
	Memory uint64        // bytes of heap

	Workers int // states looked at side by side; default: the number of processors

	// Progress, if not nil, is told now and then how far the search has come.
	Progress func(Progress)
}

// Check returns what is wrong with a Config, wrapping ErrConfig; nil if nothing.
func (c *Config) Check() error {
	for _, b := range []struct {
		what         string
		n, low, high int
	}{
		{"servers", c.Servers, 2, ServersMax},
		{"updates", c.Ops, 0, OpsMax},
		{"reads", c.Reads, 0, ReadsMax},
		{"views", int(c.Views), 1, ViewsMax},
		{"crashes", c.Crashes, 0, 15},
		{"retries", c.Retries, 0, 15},
		{"resends", c.Resends, 0, 15},
		{"depth", c.Depth, 0, 1 << 20},
		{"states", c.States, 0, 1 << 31},
		{"workers", c.Workers, 0, 1024},
	} {
		if b.n < b.low || b.n > b.high {
			return fmt.Errorf("%w: %d %s, must be %d to %d", ErrConfig, b.n, b.what, b.low, b.high)
		}
	}
	if c.Fresh && c.Retries > 0 {
		return fmt.Errorf("%w: retries need sessions, and a fresh start has none (rule S6)", ErrConfig)
	}
	return nil
}

// String tells the bounds, so that no result stands without them.
func (c Bounds) String() string {
	var counts []string
	for _, k := range []struct {
		n    int
		what string
	}{
		{c.Servers, "server"}, {c.Ops, "update"}, {c.Reads, "read"}, {int(c.Views), "view"},
		{c.Crashes, "crash"}, {c.Retries, "retry"}, {c.Resends, "resend"},
	} {
		switch {
		case k.n == 1:
			counts = append(counts, "1 "+k.what)
		case strings.HasSuffix(k.what, "h"):
			counts = append(counts, fmt.Sprintf("%d %ses", k.n, k.what))
		case strings.HasSuffix(k.what, "y"):
			counts = append(counts, fmt.Sprintf("%d %sies", k.n, strings.TrimSuffix(k.what, "y")))
		default:
			counts = append(counts, fmt.Sprintf("%d %ss", k.n, k.what))
		}
	}
	s := strings.Join(counts, ", ")
	for _, o := range []struct {
		on   bool
		text string
	}{
		{c.Deltas, "transfers of what is missing"},
		{!c.Deltas, "whole transfers"},
		{c.AllSuspicions, "suspicions without consequence too"},
		{c.LatePings, "late pings"},
		{c.Reports, "reports of backups"},
		{c.LateDisks, "late disks"},
		{c.Fresh, "from nothing"},
		{!c.Fresh, "from view 1 active"},
		{c.KeepDead, "dead messages kept"},
	} {
		if o.on {
			s += ", " + o.text
		}
	}
	return s
}

// limit returns which limit has been reached, but for the depth; empty: none.
func (c *Config) limit(p Progress) string {
	switch {
	case c.Time > 0 && p.Elapsed >= c.Time:
		return "time"
	case c.Memory > 0 && p.Memory >= c.Memory:
		return "memory"
	case c.States > 0 && p.Found >= c.States:
		return "states"
	}
	return ""
}

// watch looks at the limits and tells the progress, until done is closed or the
// context is done.
func (c *Config) watch(ctx context.Context, done <-chan struct{}, progress func() Progress, halt func(limit string)) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			halt("interrupted")
			return
		case <-tick.C:
		}
		p := progress()
		if limit := c.limit(p); limit != "" {
			halt(limit)
		}
		if c.Progress != nil {
			c.Progress(p)
		}
	}
}

func (c *Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.GOMAXPROCS(0)
}

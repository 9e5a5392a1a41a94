package search

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// Goal is a state that is looked for.
type Goal struct {
	Name  string
	Holds func(*State) bool
}

// goalKinds are the goals that ParseGoal knows.
var goalKinds = []struct {
	name, help string
	// most is the largest number that it can ask for; nil: it names a server.
	most  func(b Bounds) int
	holds func(s *State, n int) bool
}{
	{"view", "the view service has announced view N", func(b Bounds) int { return int(b.Views) }, func(s *State, n int) bool { v, _ := s.View(); return int(v.Viewnum) >= n }},
	{"active", "view N, or a later one, is active", func(b Bounds) int { return int(b.Views) }, func(s *State, n int) bool { _, active := s.View(); return int(active) >= n }},
	{"committed", "N updates are committed", func(b Bounds) int { return b.Ops }, func(s *State, n int) bool { return s.Committed() >= n }},
	{"answered", "N updates are answered", func(b Bounds) int { return b.Ops }, func(s *State, n int) bool { return s.Answered() >= n }},
	{"crashes", "N servers have lost their memory", func(b Bounds) int { return b.Crashes }, func(s *State, n int) bool { return s.Crashes() >= n }},
	{"insync", "the in-sync set has N members", func(Bounds) int { return 2 }, func(s *State, n int) bool { return len(s.InSync()) >= n }},
	{"solo", "server S may commit alone", nil, func(s *State, n int) bool { return s.Server(n).Authority == replica.Solo }},
	{"joint", "server S commits with its backup, in a view that it has acknowledged", nil, func(s *State, n int) bool { return s.Server(n).BackupInSync }},
	{"installed", "server S has installed its epoch's transfer", nil, func(s *State, n int) bool { return s.Server(n).Installed }},
}

// GoalHelp tells the goals that ParseGoal knows, one a line.
func GoalHelp() string {
	var b strings.Builder
	for _, k := range goalKinds {
		arg := "S"
		if k.most != nil {
			arg = "N"
		}
		fmt.Fprintf(&b, "  %-13s %s\n", k.name+"="+arg, k.help)
	}
	return b.String()
}

// ParseGoal reads a goal such as "joint=a" or "view=3,solo=b", whose parts must
// all hold in one state. Errors wrap ErrConfig.
func ParseGoal(text string, b Bounds) (*Goal, error) {
	goal := &Goal{Name: text}
	var parts []func(*State) bool
	for _, part := range strings.Split(text, ",") {
		hold, err := parsePart(strings.TrimSpace(part), b)
		if err != nil {
			return nil, err
		}
		parts = append(parts, hold)
	}
	goal.Holds = func(s *State) bool {
		for _, hold := range parts {
			if !hold(s) {
				return false
			}
		}
		return true
	}
	return goal, nil
}

func parsePart(text string, b Bounds) (func(*State) bool, error) {
	word, arg, _ := strings.Cut(text, "=")
	for _, k := range goalKinds {
		if k.name != word {
			continue
		}
		if k.most == nil {
			n := int(first(arg)) - 'a'
			if len(arg) != 1 || n < 0 || n >= b.Servers {
				return nil, fmt.Errorf("%w: goal %q wants one of the servers, a to %c, after %q", ErrConfig, text, 'a'+b.Servers-1, word+"=")
			}
			return func(s *State) bool { return k.holds(s, n) }, nil
		}
		n, err := strconv.Atoi(arg)
		if most := k.most(b); err != nil || n < 0 || n > most {
			return nil, fmt.Errorf("%w: goal %q wants a number after %q, within the bounds at most %d", ErrConfig, text, word+"=", most)
		}
		return func(s *State) bool { return k.holds(s, n) }, nil
	}
	return nil, fmt.Errorf("%w: goal %q is unknown; there are:\n%s", ErrConfig, text, GoalHelp())
}

// first returns the first byte of a text, zero if it has none.
func first(text string) byte {
	if text == "" {
		return 0
	}
	return text[0]
}

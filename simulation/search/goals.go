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
	number     bool // its argument is a number, and else a server
	holds      func(s *State, n int) bool
}{
	{"view", "the view service has announced view N", true, func(s *State, n int) bool { v, _ := s.View(); return int(v.Viewnum) >= n }},
	{"active", "view N, or a later one, is active", true, func(s *State, n int) bool { _, active := s.View(); return int(active) >= n }},
	{"committed", "N updates are committed", true, func(s *State, n int) bool { return s.Committed() >= n }},
	{"answered", "N updates are answered", true, func(s *State, n int) bool { return s.Answered() >= n }},
	{"crashes", "N servers have lost their memory", true, func(s *State, n int) bool { return s.Crashes() >= n }},
	{"insync", "the in-sync set has N members", true, func(s *State, n int) bool { return len(s.InSync()) >= n }},
	{"solo", "server S may commit alone", false, func(s *State, n int) bool { return s.Server(n).Authority == replica.Solo }},
	{"joint", "server S commits with its backup, in a view that it has acknowledged", false, func(s *State, n int) bool { return s.Server(n).BackupInSync }},
	{"installed", "server S has installed its epoch's transfer", false, func(s *State, n int) bool { return s.Server(n).Installed }},
}

// GoalHelp tells the goals that ParseGoal knows, one a line.
func GoalHelp() string {
	var b strings.Builder
	for _, k := range goalKinds {
		arg := "S"
		if k.number {
			arg = "N"
		}
		fmt.Fprintf(&b, "  %-13s %s\n", k.name+"="+arg, k.help)
	}
	return b.String()
}

// ParseGoal reads a goal such as "joint=a" or "view=3,solo=b", whose parts must
// all hold in one state. Errors wrap ErrConfig.
func ParseGoal(text string) (*Goal, error) {
	goal := &Goal{Name: text}
	var parts []func(*State) bool
	for _, part := range strings.Split(text, ",") {
		hold, err := parsePart(strings.TrimSpace(part))
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

func parsePart(text string) (func(*State) bool, error) {
	word, arg, _ := strings.Cut(text, "=")
	for _, k := range goalKinds {
		if k.name != word {
			continue
		}
		if k.number {
			n, err := strconv.Atoi(arg)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("%w: goal %q wants a number after %q", ErrConfig, text, word+"=")
			}
			return func(s *State) bool { return k.holds(s, n) }, nil
		}
		if len(arg) != 1 || arg[0] < 'a' || arg[0] >= 'a'+ServersMax {
			return nil, fmt.Errorf("%w: goal %q wants a server, a to %c, after %q", ErrConfig, text, 'a'+ServersMax-1, word+"=")
		}
		n := int(arg[0] - 'a')
		return func(s *State) bool { return n < s.Servers() && k.holds(s, n) }, nil
	}
	return nil, fmt.Errorf("%w: goal %q is unknown; there are:\n%s", ErrConfig, text, GoalHelp())
}

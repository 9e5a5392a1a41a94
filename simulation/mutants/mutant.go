// Package mutants is a list of deliberately broken variants of the cores, and
// the harness that shows that the checks notice each of them.
//
// A check that never fails proves nothing: it may be looking the other way. So
// every rule is broken here, one at a time, in a way that real implementations
// have been broken, and `tandem simulate` (or another command of the same
// binary) is asked whether it notices. A mutant that survives is a hole in the
// checks, or an argument that the line it changes is not needed.
//
// The product's code carries no trace of this: a mutant is a change of text that
// is applied to a copy, which the go command builds in place of the file
// (go build -overlay).
package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is one way to break the product.
type Mutant struct {
	Name  string   // words joined by hyphens; unique
	Rules []string // that it breaks, the first foremost
	Story string   // what is wrong, in a sentence
	Edits []Edit
	// Run is what is tried in order until one notices: each the arguments of a
	// run of cmd/tandem.
	Run []Command

	// Open says why nothing notices yet, and what would. An open mutant may
	// survive, and may be caught.
	Open string
	// Equivalent is the argument that no check could notice. Such a mutant must
	// survive.
	Equivalent string
}

// Edit is a change to one file: a text that stands there once is replaced.
type Edit struct {
	File     string // from the root of the tree, with slashes
	Old, New string
}

// Command is the arguments of a run of cmd/tandem, without --json; or, if it begins
// with "go", a run of the cores' own tests, for the little that they alone see.
type Command []string

// String returns the command as one would type it.
func (c Command) String() string {
	if c.isTest() {
		return strings.Join(c, " ")
	}
	return "tandem " + strings.Join(c, " ")
}

func (c Command) isTest() bool { return c[0] == "go" }

// simulated is the simulation that mutants are tried with. It ends at the first
// failure, so what a mutant costs is up to the seed that catches it. One worker, so
// that the runs it took are always the same.
var simulated = simulating("1:400")

// searched is the search that mutants are tried with of which a simulation sees too
// little: all that two servers can come to within the bounds.
var searched = []Command{{"search", "--updates", "1", "--views", "4", "--crashes", "1", "--late-pings", "--deltas", "--reports", "--run-dir="}}

func simulating(seeds string) []Command {
	return []Command{{"simulate", "--seeds", seeds, "--workers", "1", "--no-shrink", "--run-dir="}}
}

// NotSeen holds the rules of which no breach can be seen here, and why.
var NotSeen = map[string]string{
	"S6": "The simulation's clients always name a session; the lab's do not, and its tests look at them.",
}

// All returns all mutants, in the order of the rules.
func All() []Mutant {
	all := slices.Concat(views, adoption, logs, transfers, reads, sessions, clients)
	for i := range all {
		if all[i].Run == nil {
			all[i].Run = simulated
		}
	}
	return all
}

// apply returns the files of a tree that a mutant changes, as they are then, by
// their absolute paths.
func (m *Mutant) apply(root string) (map[string]string, error) {
	changed := make(map[string]string)
	for _, e := range m.Edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		text, ok := changed[path]
		if !ok {
			source, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("applying mutant %s: %w", m.Name, err)
			}
			text = string(source)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("applying mutant %s: its text stands %d times in %s, not once: %q", m.Name, n, e.File, e.Old)
		}
		changed[path] = strings.Replace(text, e.Old, e.New, 1)
	}
	return changed, nil
}

package mutants

import (
	"fmt"
	"strings"
)

// Markdown returns results as a table.
func Markdown(results []Result) string {
	var b strings.Builder
	b.WriteString("| rules | mutant | caught by | after | time |\n|---|---|---|---|---|\n")
	for i := range results {
		r := &results[i]
		fmt.Fprintf(&b, "| %s | **%s**: %s | %s | %s | %s |\n", strings.Join(r.Rules, ", "), r.Mutant, cell(r.Story), cell(r.caughtBy()), r.after(), r.time())
	}
	return b.String()
}

// cell makes a text fit into a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", "\\|")
}

// caughtBy says what noticed, or why nothing did.
func (r *Result) caughtBy() string {
	switch r.Fate {
	case Caught, Refuted:
		text := r.Invariant
		if r.ByCore {
			text += ", by the core itself"
		}
		if r.Fate == Refuted {
			text += " (and was argued to be equivalent)"
		}
		return text
	case Survived:
		return "**nothing**"
	default:
		return string(r.Fate) + ": " + r.Detail
	}
}

// after says how much it took.
func (r *Result) after() string {
	switch {
	case r.States > 0:
		return fmt.Sprintf("%d states", r.States)
	case r.Fate == Caught || r.Fate == Refuted:
		return fmt.Sprintf("%d runs, %d events", r.Runs, r.Events)
	case r.Runs > 0:
		return fmt.Sprintf("(%d runs)", r.Runs)
	}
	return ""
}

func (r *Result) time() string {
	if r.Fate == Stale {
		return ""
	}
	return fmt.Sprintf("%.2f s", float64(r.Millis)/1000)
}

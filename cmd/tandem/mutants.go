package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/simulation/mutants"
)

// mutantsFlags are the flags of mutants.
type mutantsFlags struct {
	output
	pattern  string
	tree     string
	list     bool
	markdown bool
	workers  int
	limit    time.Duration
}

func newMutantsCommand() *cobra.Command {
	f := new(mutantsFlags)
	cmd := &cobra.Command{
		Use:   "mutants",
		Short: "Break the protocol on purpose and see whether that shows",
		Long: `A mutant is the product with one deliberate mistake in it. Mutants builds each,
runs the checks on it, and tells which invariant broke and how soon. A mutant that
survives is a hole in the checks. The checks are first run on the product as it is,
which must pass them all.

What becomes of a mutant:

  caught      a check noticed; "by the core itself" means that an assertion in the
              product did, before any check from outside
  survived    none did: a hole
  open        none did, which is known, and the list says what would
  equivalent  none did, and the list argues that none can: the mistake is none
  refuted     something noticed a mutant that was argued to be equivalent
  stale       it does not fit the source any more, or came to no verdict

Mutants are built from source with the go command, from the tree that the present
directory is in; the files there are not touched.

Exit status: 0 every mutant that should be caught was, 1 one was not, or is stale,
2 ended before it was done, or the product itself fails the checks, 64 usage.`,
		Example: `  # all of them
  tandem mutants

  # those whose name or rule matches
  tandem mutants --run 'transfer|^T3$'

  # what there is, without running it
  tandem mutants --list

  # the table for the documentation
  tandem mutants --markdown`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.pattern, "run", "", "take only mutants of which the name or a rule matches this regular expression")
	flags.StringVar(&f.tree, "tree", ".", "a `directory` in the source tree")
	flags.BoolVar(&f.list, "list", false, "tell which mutants there are, and run none")
	flags.BoolVar(&f.markdown, "markdown", false, "tell the answer as a Markdown table")
	flags.IntVar(&f.workers, "workers", 2, "mutants at the same time")
	flags.DurationVar(&f.limit, "limit", time.Minute, "what a run may take")
	f.addFlags(cmd)
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	cmd.MarkFlagsMutuallyExclusive("list", "markdown")
	return cmd
}

func (f *mutantsFlags) run(cmd *cobra.Command) error {
	chosen, err := f.choose()
	if err != nil {
		return err
	}
	if f.list {
		return f.tellList(cmd.OutOrStdout(), chosen)
	}
	root, err := mutants.FindTree(f.tree)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "tandem-mutants-")
	if err != nil {
		return fmt.Errorf("making a directory to build in: %w", err)
	}
	defer os.RemoveAll(scratch)
	h := &mutants.Harness{Root: root, Scratch: scratch, Limit: f.limit}
	p := f.newProgress(cmd.ErrOrStderr())
	p.tell("the product unchanged, first")
	if err := h.Control(cmd.Context(), chosen); err != nil {
		p.clear()
		return err
	}
	results := f.tryAll(cmd.Context(), h, chosen, p)
	p.clear()
	r := newMutantsReport(results, len(chosen))
	switch {
	case f.json:
		err = writeJSON(cmd.OutOrStdout(), r)
	case f.markdown:
		_, err = io.WriteString(cmd.OutOrStdout(), mutants.Markdown(results))
	default:
		err = r.write(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	return concluded(r.Verdict)
}

// choose returns the mutants that the flags ask for.
func (f *mutantsFlags) choose() ([]mutants.Mutant, error) {
	pattern, err := regexp.Compile(f.pattern)
	if err != nil {
		return nil, usageErrorf("--run: %w", err)
	}
	if f.workers < 1 {
		return nil, usageErrorf("--workers %d: must be at least 1", f.workers)
	}
	if f.limit <= 0 {
		return nil, usageErrorf("--limit %s: must be more than nothing", f.limit)
	}
	var chosen []mutants.Mutant
	for _, m := range mutants.All() {
		matches := pattern.MatchString(m.Name)
		for _, rule := range m.Rules {
			matches = matches || pattern.MatchString(rule)
		}
		if matches {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, usageErrorf("--run %q: no mutant matches", f.pattern)
	}
	return chosen, nil
}

// tryAll tries mutants, some at the same time, and returns the results in their
// order; of those that an interrupt cut off there are none.
func (f *mutantsFlags) tryAll(ctx context.Context, h *mutants.Harness, chosen []mutants.Mutant, p *progress) []mutants.Result {
	results := make([]mutants.Result, len(chosen))
	var mu sync.Mutex
	next, caught := 0, 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(chosen) || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var wait sync.WaitGroup
	for range f.workers {
		wait.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				r := h.Try(ctx, &chosen[i])
				mu.Lock()
				if ctx.Err() == nil {
					results[i] = r
				}
				if r.Fate == mutants.Caught {
					caught++
				}
				p.tell("%d of %d mutants, %d caught; %s: %s", next, len(chosen), caught, r.Mutant, r.Fate)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	var done []mutants.Result
	for i := range results {
		if results[i].Mutant != "" {
			done = append(done, results[i])
		}
	}
	return done
}

// mutantsReport is the answer of mutants, as it stands in JSON.
type mutantsReport struct {
	Verdict string               `json:"verdict"`
	Why     string               `json:"why,omitempty"`
	Mutants int                  `json:"mutants"` // asked for
	Fates   map[mutants.Fate]int `json:"fates"`
	Results []mutants.Result     `json:"results"`
}

func newMutantsReport(results []mutants.Result, asked int) *mutantsReport {
	r := &mutantsReport{Verdict: held, Mutants: asked, Fates: make(map[mutants.Fate]int), Results: results}
	for i := range results {
		r.Fates[results[i].Fate]++
		if results[i].Fate.Bad() {
			r.Verdict = broken
		}
	}
	if r.Verdict == held && len(results) < asked {
		r.Verdict, r.Why = unknown, "ended before all mutants had run"
	}
	return r
}

// write tells the answer to a person.
func (r *mutantsReport) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "mutant\trules\tfate\tby\truns\tevents\tstates\ttime")
	for i := range r.Results {
		x := &r.Results[i]
		by := x.Invariant
		if x.ByCore {
			by += " (core)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.2f s\n", x.Mutant, strings.Join(x.Rules, ","), x.Fate, by,
			orBlank(x.Runs), orBlank(x.Events), orBlank(x.States), float64(x.Millis)/1000)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	for i := range r.Results {
		if x := &r.Results[i]; x.Fate.Bad() {
			fmt.Fprintf(w, "\n%s %s: %s\n  %s\n", x.Mutant, x.Fate, x.Story, x.Detail)
		}
	}
	var fates []string
	for _, fate := range []mutants.Fate{mutants.Caught, mutants.Survived, mutants.Unseen, mutants.Same, mutants.Refuted, mutants.Stale} {
		if n := r.Fates[fate]; n > 0 {
			fates = append(fates, fmt.Sprintf("%d %s", n, fate))
		}
	}
	verdict := r.Verdict
	if r.Why != "" {
		verdict += " (" + r.Why + ")"
	}
	_, err := fmt.Fprintf(w, "\n%s: %s: %s\n", verdict, countOf(r.Mutants, "mutant"), strings.Join(fates, ", "))
	return err
}

func orBlank(n uint64) string {
	if n == 0 {
		return ""
	}
	return thousands(n)
}

// tellList tells which mutants there are.
func (f *mutantsFlags) tellList(w io.Writer, chosen []mutants.Mutant) error {
	if f.json {
		return writeJSON(w, chosen)
	}
	var b strings.Builder
	for i := range chosen {
		m := &chosen[i]
		fmt.Fprintf(&b, "%s (%s)\n  %s\n", m.Name, strings.Join(m.Rules, ", "), m.Story)
		switch {
		case m.Open != "":
			fmt.Fprintf(&b, "  open: %s\n", m.Open)
		case m.Equivalent != "":
			fmt.Fprintf(&b, "  equivalent: %s\n", m.Equivalent)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

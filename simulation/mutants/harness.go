package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Fate is what became of a mutant.
type Fate string

// The fates.
const (
	Caught   Fate = "caught"   // a check noticed
	Survived Fate = "survived" // none did: a hole
	Unseen   Fate = "open"     // none did, and Mutant.Open says what would
	Same     Fate = "equivalent"
	// Refuted: something noticed a mutant that was argued to be equivalent.
	Refuted Fate = "refuted"
	// Stale: the mutant does not fit the tree any more, or does not compile, or
	// its run ended without an answer.
	Stale Fate = "stale"
)

// Bad reports whether a fate calls for somebody to look.
func (f Fate) Bad() bool { return f == Survived || f == Refuted || f == Stale }

// Result is what the harness found out about a mutant.
type Result struct {
	Mutant    string   `json:"mutant"`
	Rules     []string `json:"rules"`
	Story     string   `json:"story"`
	Fate      Fate     `json:"fate"`
	Invariant string   `json:"invariant,omitempty"` // that broke
	ByCore    bool     `json:"by_core,omitempty"`   // a core's own assertion noticed
	Detail    string   `json:"detail,omitempty"`    // in what words; of an open or equivalent one, why
	Command   string   `json:"command,omitempty"`   // that caught it, or the last one that did not
	Seed      uint64   `json:"seed,omitempty"`
	Runs      uint64   `json:"runs,omitempty"`
	Events    uint64   `json:"events,omitempty"` // of all runs until then
	States    uint64   `json:"states,omitempty"` // of a search
	Millis    int64    `json:"elapsed_ms"`       // without the build
}

// Harness builds variants of cmd/tandem from a source tree and runs them. It is
// safe for concurrent use.
type Harness struct {
	Root    string        // of the source tree
	Scratch string        // an existing directory for what it builds
	Limit   time.Duration // that one run of a mutant may take; then it is ended
}

// module is the first line of this module's go.mod.
const module = "module github.com/tandemkv/tandem"

// FindTree returns the root of the source tree that a directory is in, and an
// error that says what is needed if it is in none or there is no go command.
func FindTree(dir string) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("mutants are built from source, and there is no go command: %w", err)
	}
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("looking for Tandem's source tree: %w", err)
	}
	for at := start; ; at = filepath.Dir(at) {
		text, noModule := os.ReadFile(filepath.Join(at, "go.mod"))
		_, noCommand := os.Stat(filepath.Join(at, "cmd", "tandem"))
		if noModule == nil && noCommand == nil && strings.HasPrefix(string(text), module+"\n") {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("mutants are built from source, and %s is not in Tandem's source tree", start)
		}
	}
}

// Build builds cmd/tandem, with a mutant in it unless that is nil, and returns
// the binary's path in the scratch directory. The caller removes it.
func (h *Harness) Build(ctx context.Context, m *Mutant) (binary string, err error) {
	name, changed := "control", map[string]string(nil)
	if m != nil {
		name = m.Name
		if changed, err = m.apply(h.Root); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(h.Scratch, name+"-")
	if err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	overlay, err := writeOverlay(dir, changed)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	binary = filepath.Join(dir, "tandem")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", binary, "./cmd/tandem")
	cmd.Dir = h.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return binary, nil
}

// writeOverlay writes changed files into a directory, and the file that tells
// the go command to read them in place of those in the tree.
func writeOverlay(dir string, changed map[string]string) (path string, err error) {
	replace := make(map[string]string, len(changed))
	for original, text := range changed {
		replacement := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replacement, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("writing a changed file: %w", err)
		}
		replace[original] = replacement
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	path = overlayBeside(filepath.Join(dir, "tandem"))
	if err := os.WriteFile(path, list, 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return path, nil
}

// overlayBeside returns where the overlay of a build is.
func overlayBeside(binary string) string { return filepath.Join(filepath.Dir(binary), "overlay.json") }

// answer is what the harness reads of a command's JSON. Every command that
// mutants are tried with says at least this.
type answer struct {
	Verdict  string    `json:"verdict"` // held, broken or unknown
	Why      string    `json:"why"`
	Runs     uint64    `json:"runs"`
	Events   uint64    `json:"events"`
	States   uint64    `json:"states"`
	Failures []failure `json:"failures"`
}

type failure struct {
	Invariant string `json:"invariant"`
	Detail    string `json:"detail"`
	Seed      uint64 `json:"seed"`
}

// The verdicts that a command gives.
const (
	verdictHeld    = "held"
	verdictBroken  = "broken"
	verdictUnknown = "unknown" // a search came to its limit, and nothing had broken
)

// How a run may end without a verdict.
var (
	errNoVerdict = errors.New("no verdict")
	errTooLong   = errors.New("the time was up")
)

// run runs a command on a build, by the path of its binary. One that takes longer
// than the limit is ended.
func (h *Harness) run(ctx context.Context, binary string, c Command, limit time.Duration) (answer, error) {
	if c.isTest() {
		return h.test(ctx, overlayBeside(binary), c, limit)
	}
	return ask(ctx, binary, c, limit)
}

// failedTest finds the innermost test that failed in what go test says.
var failedTest = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// test runs tests of the tree with what a mutant changes.
func (h *Harness) test(ctx context.Context, overlay string, c Command, limit time.Duration) (a answer, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer stop()
	args := append([]string{c[1], "-count=1", "-overlay", overlay}, c[2:]...)
	cmd := exec.CommandContext(ctx, c[0], args...)
	cmd.Dir = h.Root
	out, ran := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return a, fmt.Errorf("%s, with %s to run: %w", c, limit, context.Cause(ctx))
	}
	failed := failedTest.FindAllSubmatch(out, -1)
	switch {
	case ran == nil:
		a.Verdict = verdictHeld
	case len(failed) == 0:
		return a, fmt.Errorf("%s: %w: %v: %s", c, errNoVerdict, ran, out[:min(len(out), 2000)])
	default:
		a.Verdict = verdictBroken
		a.Failures = []failure{{Invariant: string(failed[len(failed)-1][1]), Detail: "the replica's own test"}}
	}
	return a, nil
}

// ask runs a binary and reads its answer. A run that takes longer than the limit
// is ended.
func ask(ctx context.Context, binary string, c Command, limit time.Duration) (a answer, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer stop()
	cmd := exec.CommandContext(ctx, binary, append(append([]string(nil), c...), "--json")...)
	cmd.Dir = filepath.Dir(binary)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	ran := cmd.Run()
	if ctx.Err() != nil {
		return a, fmt.Errorf("%s, with %s to run: %w", c, limit, context.Cause(ctx))
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		said := diagnostics.Bytes()
		return a, fmt.Errorf("%s: %w: %v: %s", c, errNoVerdict, ran, said[:min(len(said), 2000)])
	}
	if a.Verdict == verdictBroken && len(a.Failures) == 0 {
		return a, fmt.Errorf("%s: %w: it says that something broke, and not what", c, errNoVerdict)
	}
	if a.Verdict != verdictBroken && a.Verdict != verdictHeld && a.Verdict != verdictUnknown {
		return a, fmt.Errorf("%s: %w: %q", c, errNoVerdict, a.Verdict)
	}
	return a, nil
}

// controlLimits is how many times longer the control may take than a mutant, most
// of which end early.
const controlLimits = 10

// Control builds the product as it is and demands that it passes everything that
// the mutants are tried with: a check that fails anyway catches nothing.
func (h *Harness) Control(ctx context.Context, list []Mutant) error {
	binary, err := h.Build(ctx, nil)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(binary))
	passed := make(map[string]bool)
	for i := range list {
		for _, c := range list[i].Run {
			if passed[c.String()] {
				continue
			}
			passed[c.String()] = true
			a, err := h.run(ctx, binary, c, controlLimits*h.Limit)
			if err != nil {
				return fmt.Errorf("the product unchanged: %w", err)
			}
			if a.Verdict == verdictBroken {
				return fmt.Errorf("the product unchanged: %s: %s broken: %s", c, a.Failures[0].Invariant, a.Failures[0].Detail)
			}
		}
	}
	return nil
}

// byCore is how the simulation marks what a core's own assertion found.
const byCore = "found by a core: "

// Try builds a mutant and tries its runs until one notices it.
func (h *Harness) Try(ctx context.Context, m *Mutant) Result {
	r := Result{Mutant: m.Name, Rules: m.Rules, Story: m.Story}
	binary, err := h.Build(ctx, m)
	if err != nil {
		r.Fate, r.Detail = Stale, err.Error()
		return r
	}
	defer os.RemoveAll(filepath.Dir(binary))
	start := time.Now()
	for _, c := range m.Run {
		a, err := h.run(ctx, binary, c, h.Limit)
		r.Command, r.Runs, r.Events, r.States = c.String(), a.Runs, a.Events, a.States
		r.Millis = time.Since(start).Milliseconds()
		if errors.Is(err, errTooLong) {
			r.Detail = err.Error() // nothing noticed in all that time
			continue
		}
		if err != nil {
			r.Fate, r.Detail = Stale, err.Error()
			return r
		}
		if a.Verdict == verdictBroken {
			f := a.Failures[0]
			r.Invariant, r.Seed = f.Invariant, f.Seed
			r.Detail, r.ByCore = strings.CutPrefix(f.Detail, byCore)
			r.Fate = Caught
			if m.Equivalent != "" {
				r.Fate = Refuted
			}
			return r
		}
	}
	switch {
	case m.Open != "":
		r.Fate, r.Detail = Unseen, m.Open
	case m.Equivalent != "":
		r.Fate, r.Detail = Same, m.Equivalent
	default:
		r.Fate = Survived
	}
	return r
}

package mutants

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tree returns the root of the source tree, and the text of docs/protocol.md.
func tree(t *testing.T) (root, protocol string) {
	t.Helper()
	root, err := FindTree(".")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "protocol.md"))
	require.NoError(t, err)
	return root, string(text)
}

func TestEveryMutantStillApplies(t *testing.T) {
	root, protocol := tree(t)
	names := make(map[string]bool)
	for _, m := range All() {
		require.Regexp(t, regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), m.Name)
		require.False(t, names[m.Name], "%s stands twice in the list", m.Name)
		names[m.Name] = true
		require.NotEmpty(t, m.Story, m.Name)
		require.NotEmpty(t, m.Edits, m.Name)
		require.NotEmpty(t, m.Rules, m.Name)
		for _, rule := range m.Rules {
			require.Contains(t, protocol, "\n| "+rule+" | ", "%s breaks %s", m.Name, rule)
		}
		require.False(t, m.Open != "" && m.Equivalent != "", m.Name)
		changed, err := m.apply(root)
		require.NoError(t, err)
		for path, text := range changed {
			source, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotEqual(t, string(source), text, m.Name)
		}
	}
}

// A mutant that does not compile would be caught by the compiler, which is not
// what it is for. Building them all takes minutes, checking their types seconds.
func TestEveryMutantTypeChecks(t *testing.T) {
	root, _ := tree(t)
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "source", nil)
	for _, m := range All() {
		changed, err := m.apply(root)
		require.NoError(t, err)
		packages := make(map[string]bool)
		for path := range changed {
			packages[filepath.Dir(path)] = true
		}
		for dir := range packages {
			listed, err := build.ImportDir(dir, 0)
			require.NoError(t, err)
			var files []*ast.File
			for _, name := range listed.GoFiles {
				path := filepath.Join(dir, name)
				var text any
				if replaced, ok := changed[path]; ok {
					text = replaced
				}
				file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
				require.NoError(t, err, m.Name)
				files = append(files, file)
			}
			_, err = (&types.Config{Importer: imports}).Check(dir, fset, files, nil)
			require.NoError(t, err, m.Name)
		}
	}
}

// coreRules are the rules that the cores uphold; of each there is a mutant, or a
// reason in NotSeen.
var coreRules = regexp.MustCompile(`(?m)^\| ([VNFALTRSC]\d+) \| .* \| built \|`)

func TestEveryRuleIsBroken(t *testing.T) {
	_, protocol := tree(t)
	brokenRules := make(map[string]bool)
	for _, m := range All() {
		for _, rule := range m.Rules {
			brokenRules[rule] = true
		}
	}
	for _, row := range coreRules.FindAllStringSubmatch(protocol, -1) {
		_, excused := NotSeen[row[1]]
		require.NotEqual(t, excused, brokenRules[row[1]], "%s has either a mutant or a reason in NotSeen", row[1])
	}
}

// named returns a mutant of the list, to be tried with other seeds.
func named(t *testing.T, name string, run ...Command) *Mutant {
	t.Helper()
	for _, m := range All() {
		if m.Name == name {
			m.Run = run
			return &m
		}
	}
	require.FailNow(t, "no such mutant", name)
	return nil
}

func TestHarness(t *testing.T) {
	root, _ := tree(t)
	h := &Harness{Root: root, Scratch: t.TempDir(), Limit: 5 * time.Minute}
	few := simulating("1:20")
	caught := named(t, "gap-skipped", few...)
	require.NoError(t, h.Control(t.Context(), []Mutant{*caught}), "the product as it is")

	r := h.Try(t.Context(), caught)
	require.Equal(t, Caught, r.Fate, "%+v", r)
	require.NotEmpty(t, r.Invariant)
	require.NotZero(t, r.Events)
	require.Equal(t, few[0].String(), r.Command)

	// The same change, with nothing that could notice it.
	quiet := named(t, "gap-skipped", Command{"simulate", "--seed", "1", "--faults", "clock-rate", "--ops", "1"})
	require.Equal(t, Survived, h.Try(t.Context(), quiet).Fate)
	quiet.Open = "because"
	require.Equal(t, Unseen, h.Try(t.Context(), quiet).Fate)

	argued := named(t, "gap-skipped", few...)
	argued.Equivalent = "since nobody would mind"
	require.Equal(t, Refuted, h.Try(t.Context(), argued).Fate)

	stale := named(t, "gap-skipped", few...)
	stale.Edits = []Edit{{File: replicaBack, Old: "a text that does not stand there", New: ""}}
	r = h.Try(t.Context(), stale)
	require.Equal(t, Stale, r.Fate)
	require.Contains(t, r.Detail, "stands 0 times")

	confused := named(t, "gap-skipped", Command{"simulate", "--no-such-flag"})
	r = h.Try(t.Context(), confused)
	require.Equal(t, Stale, r.Fate)
	require.Contains(t, r.Detail, "no verdict")
	require.Contains(t, r.Detail, "--no-such-flag")

	left, err := os.ReadDir(h.Scratch)
	require.NoError(t, err)
	require.Empty(t, left, "what was built is removed")
}

func TestFindTree(t *testing.T) {
	_, err := FindTree(t.TempDir())
	require.ErrorContains(t, err, "is not in Tandem's source tree")
}

func TestMarkdown(t *testing.T) {
	table := Markdown([]Result{
		{Mutant: "a", Rules: []string{"V1", "A2"}, Story: "One | two.", Fate: Caught, Invariant: "I5", ByCore: true, Runs: 3, Events: 400, Millis: 1500},
		{Mutant: "b", Rules: []string{"T3"}, Story: "Three.", Fate: Unseen, Detail: "the reason", Runs: 9},
		{Mutant: "c", Rules: []string{"T3"}, Story: "Four.", Fate: Survived},
		{Mutant: "d", Rules: []string{"T3"}, Story: "Five.", Fate: Caught, Invariant: "I3", States: 12},
	})
	require.Equal(t, `| rules | mutant | caught by | after | time |
|---|---|---|---|---|
| V1, A2 | **a**: One \| two. | I5, by the core itself | 3 runs, 400 events | 1.50 s |
| T3 | **b**: Three. | open: the reason | (9 runs) | 0.00 s |
| T3 | **c**: Four. | **nothing** |  | 0.00 s |
| T3 | **d**: Five. | I3 | 12 states | 0.00 s |
`, table)
}

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

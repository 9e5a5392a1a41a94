package tidy

import (
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// house returns the directory of the module.
var house = sync.OnceValues(moduleRoot)

// everything returns the packages of the module and all that they depend on.
var everything = sync.OnceValues(func() (map[string]*listed, error) {
	root, err := house()
	if err != nil {
		return nil, err
	}
	return list(root, "./...")
})

// mayImport returns what a core may import: pure packages of the standard
// library, the core's own extras, and the packages below it.
func mayImport(c core) []string {
	paths := slices.Concat(pureStandard, c.extra)
	for _, room := range layers[c.room].rooms {
		paths = append(paths, strings.TrimSuffix(modulePath+"/"+room, "/."))
	}
	return paths
}

func TestCoresArePure(t *testing.T) {
	packages, err := everything()
	require.NoError(t, err)
	for _, c := range cores {
		t.Run(c.room, func(t *testing.T) {
			p := packages[modulePath+"/"+c.room]
			require.NotNil(t, p, "there is no package %s", c.room)
			require.Empty(t, hidden(p), "files that this check does not see")
			s, err := load(p, packages)
			require.NoError(t, err)
			for _, line := range impurities(s, mayImport(c)) {
				t.Error(line)
			}
		})
	}
}

func TestDependenciesPointDown(t *testing.T) {
	packages, err := everything()
	require.NoError(t, err)
	for _, line := range misplaced(packages, layers) {
		t.Error(line)
	}
}

func TestUsersBuildNoOtherModules(t *testing.T) {
	packages, err := everything()
	require.NoError(t, err)
	path := modulePath + "/kvservice"
	require.NotNil(t, packages[path], "there is no package kvservice")
	require.Empty(t, userModules(packages, path))
}

func TestBuiltRulesAreCited(t *testing.T) {
	root, err := house()
	require.NoError(t, err)
	document, err := os.ReadFile(filepath.Join(root, "docs", "protocol.md"))
	require.NoError(t, err)
	built, complaints := ruleTable(string(document))
	for _, line := range complaints {
		t.Error("docs/protocol.md: ", line)
	}
	known := make(map[string]bool)
	for name := range built {
		known[name] = true
	}
	c, err := cited(os.DirFS(root), known)
	require.NoError(t, err)
	if missing := uncited(built, c.code); len(missing) > 0 {
		t.Errorf("docs/protocol.md calls these built, and no code names them: %s", strings.Join(missing, " "))
	}
	if missing := uncited(built, c.tests); len(missing) > 0 {
		t.Errorf("docs/protocol.md calls these built, and no test names them: %s", strings.Join(missing, " "))
	}
	for _, line := range c.unknown {
		t.Errorf("%s has the form of a rule's name and is not in docs/protocol.md", line)
	}
}

func TestReadmeProgramsCompile(t *testing.T) {
	root, err := house()
	require.NoError(t, err)
	packages, err := everything()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	found := programs(string(text))
	require.Len(t, found, 2)
	for _, program := range found {
		formatted, err := format.Source([]byte(program))
		require.NoError(t, err)
		require.Equal(t, string(formatted), program)
		require.NoError(t, compiles(program, packages))
	}
}

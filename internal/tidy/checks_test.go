package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// The checks must be able to fail. Here each is shown something broken.

// standard returns the parts of the standard library that the snippets import.
var standard = sync.OnceValues(func() (map[string]*listed, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	return list(root, "errors", "fmt", "iter", "maps", "math/rand/v2", "os", "slices", "sync", "time", "unsafe")
})

func TestImpuritiesAreFound(t *testing.T) {
	packages, err := standard()
	require.NoError(t, err)
	for _, tc := range []struct {
		name, imports, body string
		want                []string // parts of the findings, in order; none: pure
	}{
		{"sums", "", "n := 0; for i := range 3 { n += i }; _ = n", nil},
		{"durations", "time", "d := 3 * time.Millisecond; var e time.Duration = d; _ = e.Milliseconds()", nil},
		{"sorted keys", "maps slices", "for _, k := range slices.Sorted(maps.Keys(map[string]int{})) { _ = k }", nil},
		{"seeded source", "math/rand/v2", "r := rand.New(rand.NewPCG(1, 2)); _ = r.IntN(3)", nil},
		{"text", "fmt", "_ = fmt.Sprintf(`%d`, 1)", nil},
		{"own state", "", "type core struct{ n []int }; c := core{n: make([]int, 1)}; c.n[0] = 1", nil},

		{"clock", "time", "_ = time.Now()", []string{"time.Now: of package time"}},
		{"sleep", "time", "time.Sleep(time.Second)", []string{"time.Sleep"}},
		{"timeout", "time", "<-time.After(1)", []string{"receives", "time.After"}},
		{"method of a time", "time", "var t time.Time; _ = t.Unix()", []string{"time.Time", "time.Unix"}},
		{"clock under another name", "time", "now := time.Now; _ = now", []string{"time.Now"}},
		{"goroutine", "", "go func() {}()", []string{"no goroutine"}},
		{"channel", "", "c := make(chan int, 1); c <- 1", []string{"no channels", "sends"}},
		{"receiving", "", "var c chan int; <-c; for range c {}", []string{"no channels", "receives", "receives"}},
		{"select", "", "select {}", []string{"does not select"}},
		{"lock", "sync", "var m sync.Mutex; m.Lock()", []string{"may not import sync"}},
		{"files", "os", "os.Exit(1)", []string{"may not import os"}},
		{"memory", "unsafe", "_ = unsafe.Sizeof(1)", []string{"may not import unsafe"}},
		{"unseeded source", "math/rand/v2", "_ = rand.IntN(3)", []string{"rand.IntN: draws"}},
		{"printing", "fmt", "fmt.Println(1)", []string{"fmt.Println"}},
		{"built-in printing", "", "println(1)", []string{"prints nothing"}},
		{"address", "fmt", "x := 1; _ = fmt.Sprintf(`%p`, &x)", []string{"%p"}},
		{"coroutine", "iter", "iter.Pull(func(func(int) bool) {})", []string{"iter.Pull"}},
		{"shared state", "", "shared++; table[1] = 2", []string{"shared belongs", "table belongs"}},
		{"shared state in a loop", "", "for shared = range 3 {}", []string{"shared belongs"}},

		{"map", "", "for k := range map[int]int{} { _ = k }", []string{"order of a map"}},
		{"map of a named type", "", "type m map[int]int; for range (m{}) {}", []string{"order of a map"}},
		{"map behind a call", "", "f := func() map[int]int { return nil }; for range f() {}", []string{"order of a map"}},
		{"map keys", "maps", "for k := range maps.Keys(map[int]int{}) { _ = k }", []string{"maps.Keys"}},
		{"map keys, collected", "maps slices", "_ = slices.Collect(maps.Keys(map[int]int{}))", []string{"maps.Keys"}},
		{"remark above", "", "// order does not matter: nothing is done\nfor range (map[int]int{}) {}", nil},
		{"remark of two lines", "", "// order does not matter: nothing is done,\n// twice\nfor range (map[int]int{}) {}", nil},
		{"remark beside", "", "for range (map[int]int{}) {} // order does not matter: nothing is done", nil},
		{"remark without a reason", "", "// order does not matter:\nfor range (map[int]int{}) {}", []string{"order of a map"}},
		{"remark elsewhere", "", "// order does not matter: it does\n\nfor range (map[int]int{}) {}", []string{"order of a map"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var src strings.Builder
			src.WriteString("package snippet\n")
			for path := range strings.FieldsSeq(tc.imports) {
				src.WriteString("import \"" + path + "\"\n")
			}
			src.WriteString("var shared int\nvar table = map[int]int{}\nfunc f() {\n" + tc.body + "\n}\n")
			checkSnippet(t, packages, src.String(), tc.want)
		})
	}
	t.Run("map of a type parameter", func(t *testing.T) {
		checkSnippet(t, packages, "package snippet\nfunc f[M ~map[int]int](m M) { for range m {} }", []string{"order of a map"})
	})
	t.Run("map by a dotted import", func(t *testing.T) {
		checkSnippet(t, packages, "package snippet\nimport . \"time\"\nvar x = Now()", []string{"time.Now"})
	})
}

func checkSnippet(t *testing.T, packages map[string]*listed, src string, want []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "snippet.go", src, parser.ParseComments)
	require.NoError(t, err)
	s, err := typed("snippet", fset, []*ast.File{f}, packages)
	require.NoError(t, err)
	found := impurities(s, append([]string{"math/rand/v2"}, pureStandard...))
	require.Len(t, found, len(want), "%q", found)
	for i := range want {
		require.Contains(t, found[i], want[i])
	}
}

func TestMisplacedImportsAreFound(t *testing.T) {
	ours := &struct{ Path string }{modulePath}
	other := &struct{ Path string }{"example.com/other"}
	packages := make(map[string]*listed)
	add := func(p listed) { packages[p.ImportPath] = &p }
	add(listed{ImportPath: modulePath, Module: ours})
	add(listed{ImportPath: modulePath + "/core", Module: ours, Imports: []string{modulePath, modulePath + "/shell", "os"}})
	add(listed{ImportPath: modulePath + "/shell", Module: ours, Imports: []string{modulePath + "/core", "example.com/other/lib"},
		Deps: []string{modulePath + "/core", "example.com/other/lib", "os"}})
	add(listed{ImportPath: modulePath + "/attic", Module: ours})
	add(listed{ImportPath: "example.com/other/lib", Module: other})
	add(listed{ImportPath: "os", Standard: true})

	require.Equal(t, []string{
		"attic stands in no layer: say in internal/tidy/layers.go what it may import",
		"core must not import shell, which does not stand below it",
		"shell must not import example.com/other/lib outside of its tests",
	}, misplaced(packages, map[string]layer{
		".":     {},
		"core":  {rooms: []string{"."}},
		"shell": {rooms: []string{"core"}},
	}))
	require.Equal(t, []string{"example.com/other"}, userModules(packages, modulePath+"/shell"))
}

func TestHiddenFilesAreFound(t *testing.T) {
	require.Empty(t, hidden(&listed{GoFiles: []string{"a.go"}}))
	require.Equal(t, "a_windows.go b.s", hidden(&listed{IgnoredGoFiles: []string{"a_windows.go"}, SFiles: []string{"b.s"}}))
}

func TestRuleTableIsRead(t *testing.T) {
	built, complaints := ruleTable(`
| rule | status |
|---|---|
| V1 | built |
| V2 | planned |

| word | meaning |
|---|---|
| view | not a rule |

**V1.** Text.

**V2.** Text.
`)
	require.Empty(t, complaints)
	require.Equal(t, map[string]bool{"V1": true, "V2": false}, built)

	_, complaints = ruleTable(`
| rule | status |
|---|---|
| V1 | built |
| V1 | built |
| V2 | done |
| view | built |
| V3 | built |
| I1 | built |

**V1.** Text.

**V4.** Text.
`)
	require.Equal(t, []string{
		"line 5: V1 stands in two rows",
		`line 6: the status of V2 is neither built nor planned`,
		`line 7: "view" is not a rule's name`,
		"V3 has 0 paragraphs, and should have one",
		"V4 has a paragraph and stands in no table",
	}, complaints)
}

func TestCitationsAreFound(t *testing.T) {
	known := map[string]bool{"V1": true, "V2": true, "V3": true, "V4": true, "A3": true, "L1": true, "I3": true}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	c, err := cited(fstest.MapFS{
		"view/view.go":          file("package view\n// f upholds V1, not V12x.\nfunc f() string { return `rule A3` }\nvar V4 = 1\n"),
		"view/view_test.go":     file("package view\n// (V2)\nvar s = `S9`\n"),
		"view/testdata/x":       file("# rule V3\n"),
		"view/testdata/fuzz/x":  file("V4\n"),
		"simulation/world.go":   file("package simulation\n// L1, I3\n"),
		"main/scenario.go":      file("package main\n// V2\n"),
		"tmp/left.go":           file("package left\n// V4\n"),
		"internal/tidy/tidy.go": file("package tidy\n// V4\n"),
	}, known)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"V1": true, "A3": true, "I3": true}, c.code)
	require.Equal(t, map[string]bool{"V2": true, "V3": true}, c.tests)
	require.Empty(t, c.unknown)
	require.Equal(t, []string{"V2"}, uncited(map[string]bool{"V1": true, "V2": true, "V3": false}, c.code))

	c, err = cited(fstest.MapFS{
		"view/view.go":      file("package view\n// Upholds V77.\nvar rule, other = `V78`, `to V79`\n"),
		"view/view_test.go": file("package view\nvar a, b = `rule V80`, `V81`\n"),
	}, known)
	require.NoError(t, err)
	require.Equal(t, []string{
		"view/view.go:2:1: V77", "view/view.go:3:19: V78", "view/view_test.go:2:12: V80",
	}, c.unknown)
}

func TestBrokenProgramsAreFound(t *testing.T) {
	packages, err := standard()
	require.NoError(t, err)
	found := programs("Text.\n```go\npackage main\n\nimport \"os\"\n\nfunc main() { os.Exit(0) }\n```\n```go\npackage main\n\nfunc main() { missing() }\n```\n")
	require.Len(t, found, 2)
	require.NoError(t, compiles(found[0], packages))
	require.ErrorContains(t, compiles(found[1], packages), "undefined: missing")
}

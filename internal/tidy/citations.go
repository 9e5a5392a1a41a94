package tidy

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// ruleName is the form of a rule's or an invariant's name.
	ruleName = regexp.MustCompile(`\b[VNFALTRSCDIP][0-9]{1,2}\b`)
	// spokenRule is a name that a string presents as one.
	spokenRule = regexp.MustCompile(`\b(?:[Rr]ule|[Ii]nvariant) ([VNFALTRSCDIP][0-9]{1,2})\b`)
)

// ruleTable reads docs/protocol.md: for each name in a table that has a column
// "status", whether it is built. Each rule (an invariant needs none) must also
// have one paragraph, which begins with its name in bold.
func ruleTable(document string) (built map[string]bool, complaints []string) {
	built = make(map[string]bool)
	paragraphs := make(map[string]int)
	status := -1 // the column, inside of a table
	for i, line := range strings.Split(document, "\n") {
		if name, ok := strings.CutPrefix(line, "**"); ok {
			if name, _, ok = strings.Cut(name, ".**"); ok && ruleName.FindString(name) == name {
				paragraphs[name]++
			}
		}
		if !strings.HasPrefix(line, "|") {
			status = -1
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		if j := slices.Index(cells, "status"); j >= 0 {
			status = j
			continue
		}
		name := cells[0]
		if status < 0 || strings.Trim(name, "-") == "" {
			continue
		}
		_, twice := built[name]
		switch {
		case ruleName.FindString(name) != name:
			complaints = append(complaints, fmt.Sprintf("line %d: %q is not a rule's name", i+1, name))
		case twice:
			complaints = append(complaints, fmt.Sprintf("line %d: %s stands in two rows", i+1, name))
		case status >= len(cells) || cells[status] != "built" && cells[status] != "planned":
			complaints = append(complaints, fmt.Sprintf("line %d: the status of %s is neither built nor planned", i+1, name))
		default:
			built[name] = cells[status] == "built"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(built)) {
		if n := paragraphs[name]; n != 1 && !isInvariant(name) {
			complaints = append(complaints, fmt.Sprintf("%s has %d paragraphs, and should have one", name, n))
		}
		delete(paragraphs, name)
	}
	for _, name := range slices.Sorted(maps.Keys(paragraphs)) {
		complaints = append(complaints, fmt.Sprintf("%s has a paragraph and stands in no table", name))
	}
	return built, complaints
}

func isInvariant(name string) bool { return name[0] == 'I' || name[0] == 'P' }

// citations are the names found in the module's files.
type citations struct {
	code    map[string]bool // named by the product
	tests   map[string]bool // named by a test or a transcript
	unknown []string        // "file:line: name" of names that are not in the document
}

// cited walks a module's files. known has the names of the document.
//
// A name counts in a comment, in a string, and anywhere in a transcript (a file
// under testdata, fuzzing corpora apart). A name that does not exist is an error
// in a comment, in a string that presents it as a rule or an invariant, and in a
// string of the product that is nothing but the name.
func cited(root fs.FS, known map[string]bool) (*citations, error) {
	c := &citations{code: make(map[string]bool), tests: make(map[string]bool)}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if name != "." && strings.HasPrefix(name, ".") ||
				slices.Contains([]string{"tmp", "run", "tools", "docs", "internal/tidy"}, path) ||
				name == "fuzz" && strings.Contains(path, "testdata/") {
				return fs.SkipDir
			}
			return nil
		}
		transcript := strings.Contains("/"+path, "/testdata/")
		if !transcript && filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		if transcript {
			for _, name := range ruleName.FindAll(text, -1) {
				c.tests[string(name)] = true
			}
			return nil
		}
		return c.goFile(path, text, known)
	})
	return c, err
}

func (c *citations) goFile(path string, text []byte, known map[string]bool) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, bytes.NewReader(text), parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	test := strings.HasSuffix(path, "_test.go")
	note := func(pos token.Pos, name string, claimed bool) {
		switch {
		case !known[name]:
			if claimed {
				c.unknown = append(c.unknown, fmt.Sprintf("%s: %s", fset.Position(pos), name))
			}
		case test:
			c.tests[name] = true
		// The scenario and the simulation are no part of what upholds a rule. Invariants
		// of the whole system can be seen in the simulation alone.
		case strings.HasPrefix(path, "main/"):
		case strings.HasPrefix(path, "simulation/") && !isInvariant(name):
		default:
			c.code[name] = true
		}
	}
	for _, group := range f.Comments {
		for _, comment := range group.List {
			for _, name := range ruleName.FindAllString(comment.Text, -1) {
				note(comment.Pos(), name, true)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			return true
		}
		for _, name := range ruleName.FindAllString(s, -1) {
			note(lit.Pos(), name, !test && name == s)
		}
		for _, match := range spokenRule.FindAllStringSubmatch(s, -1) {
			note(lit.Pos(), match[1], true)
		}
		return true
	})
	return nil
}

// uncited returns the names marked built that are not in a set of citations.
func uncited(built, cited map[string]bool) []string {
	var names []string
	for name, isBuilt := range built {
		if isBuilt && !cited[name] {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		m, _ := strconv.Atoi(a[1:])
		n, _ := strconv.Atoi(b[1:])
		return m - n
	})
	return names
}

package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pureStandard are the packages of the standard library that a core may import.
// None of them, apart from what misuse finds, reaches outside the process or
// gives two results for one input.
var pureStandard = []string{
	"bytes", "cmp", "container/heap", "container/list", "encoding/binary", "encoding/hex",
	"errors", "fmt", "hash", "hash/adler32", "hash/crc32", "hash/crc64", "hash/fnv", "io", "iter",
	"maps", "math", "math/bits", "slices", "sort", "strconv", "strings", "time", "unicode",
	"unicode/utf8",
}

// core says what a pure package may import beyond pureStandard, and beyond the
// packages of this module, with which layers deals.
type core struct {
	room  string
	extra []string
}

// cores are the packages that must be pure.
var cores = []core{
	{"internal/compact", nil},
	{"sysmonitor/view", nil},
	{"kvservice/replica", nil},
	{"kvservice/store", nil},
	{"kvservice/clerk", nil},
	// The world that the cores are tested in must be as repeatable as they are.
	// It draws its faults from seeded sources, sends messages through gob to
	// show aliasing, reads and writes its options as JSON, and hands finished
	// histories to a checker.
	{"simulation", []string{"encoding/gob", "encoding/json", "math/rand/v2", "reflect", "github.com/anishathalye/porcupine"}},
}

// orderRemark is the comment that lets a walk over a map pass.
var orderRemark = regexp.MustCompile(`^//\s*order does not matter: \S`)

// impurities returns what is wrong with a core, one line each, in the order of
// the source.
func impurities(s *source, mayImport []string) []string {
	c := &purity{source: s}
	for _, f := range s.files {
		c.file(f, mayImport)
	}
	slices.SortStableFunc(c.found, func(a, b finding) int { return int(a.pos - b.pos) })
	var lines []string
	for _, f := range c.found {
		lines = append(lines, fmt.Sprintf("%s: %s", s.fset.Position(f.pos), f.what))
	}
	return lines
}

type finding struct {
	pos  token.Pos
	what string
}

// purity is one run of the check.
type purity struct {
	*source
	remarks map[int]bool           // lines of the present file that have the remark, or follow it
	sorted  map[*ast.CallExpr]bool // calls whose result is sorted at once
	found   []finding
}

func (c *purity) report(n ast.Node, format string, args ...any) {
	c.found = append(c.found, finding{n.Pos(), fmt.Sprintf(format, args...)})
}

func (c *purity) file(f *ast.File, mayImport []string) {
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if !slices.Contains(mayImport, path) {
			c.report(spec, "a core may not import %s", path)
		}
	}
	c.remarks = make(map[int]bool)
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if orderRemark.MatchString(comment.Text) {
				c.remarks[c.fset.Position(comment.Pos()).Line] = true
				// The remark may go on for several lines; the code follows the group.
				c.remarks[c.fset.Position(group.End()).Line+1] = true
			}
		}
	}
	c.sorted = make(map[*ast.CallExpr]bool)
	ast.Inspect(f, func(n ast.Node) bool {
		c.node(n)
		return true
	})
}

func (c *purity) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n, "a core starts no goroutine")
	case *ast.ChanType:
		c.report(n, "a core has no channels")
	case *ast.SelectStmt:
		c.report(n, "a core does not select")
	case *ast.SendStmt:
		c.report(n, "a core sends on no channel")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n, "a core receives from no channel")
		}
	case *ast.RangeStmt:
		c.rangeOver(n)
	case *ast.CallExpr:
		c.call(n)
	case *ast.Ident:
		c.use(n)
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			c.assign(left)
		}
	case *ast.IncDecStmt:
		c.assign(n.X)
	case *ast.BasicLit:
		if n.Kind == token.STRING && strings.Contains(n.Value, "%p") {
			c.report(n, "%%p prints an address, which differs from run to run")
		}
	}
}

func (c *purity) rangeOver(n *ast.RangeStmt) {
	if n.Tok == token.ASSIGN {
		c.assign(n.Key)
		if n.Value != nil {
			c.assign(n.Value)
		}
	}
	t := c.info.TypeOf(n.X)
	switch {
	case t == nil:
	case hasShape(t, isChan):
		c.report(n, "a core receives from no channel")
	case hasShape(t, isMap) && !c.remarked(n):
		c.report(n, "the order of a map differs from run to run: sort the keys, "+
			"or say why it cannot show in a comment \"// order does not matter: ...\"")
	}
}

// remarked reports whether the line of n carries the remark about order, or the
// comment above it does.
func (c *purity) remarked(n ast.Node) bool {
	return c.remarks[c.fset.Position(n.Pos()).Line]
}

// call notes what is sorted at once, and finds the built-in functions that print.
func (c *purity) call(n *ast.CallExpr) {
	id, ok := calledName(n)
	if !ok {
		return
	}
	switch obj := c.info.Uses[id].(type) {
	case *types.Builtin:
		if obj.Name() == "print" || obj.Name() == "println" {
			c.report(n, "a core prints nothing")
		}
	case *types.Func:
		switch qualified(obj) {
		case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc":
			if inner, ok := n.Args[0].(*ast.CallExpr); ok {
				c.sorted[inner] = true
			}
		case "maps.All", "maps.Keys", "maps.Values", "maps.DeleteFunc", "maps.EqualFunc":
			if !c.sorted[n] && !c.remarked(n) {
				c.report(n, "%s walks a map in no order: sort what it gives, or say why "+
					"the order cannot show in a comment \"// order does not matter: ...\"", qualified(obj))
			}
		}
	}
}

// calledName returns the name by which a function is called.
func calledName(n *ast.CallExpr) (*ast.Ident, bool) {
	fun := ast.Unparen(n.Fun)
	switch f := fun.(type) {
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	switch f := fun.(type) {
	case *ast.Ident:
		return f, true
	case *ast.SelectorExpr:
		return f.Sel, true
	}
	return nil, false
}

// use finds the parts of permitted packages that are not pure.
func (c *purity) use(id *ast.Ident) {
	obj := c.info.Uses[id]
	if obj == nil || obj.Pkg() == nil || obj.Pkg() == c.pkg {
		return
	}
	if why := misuse(obj); why != "" {
		c.report(id, "%s.%s: %s", obj.Pkg().Name(), obj.Name(), why)
	}
}

// misuse says why a core must not use an object of a package that it may import, or
// returns "".
func misuse(obj types.Object) string {
	f, isFunc := obj.(*types.Func)
	method := isFunc && f.Signature().Recv() != nil
	switch obj.Pkg().Path() {
	case "time":
		_, isConst := obj.(*types.Const)
		if method && receiverName(f) == "Duration" || isConst || obj.Name() == "Duration" {
			return ""
		}
		return "of package time a core knows durations alone"
	case "math/rand/v2":
		if isFunc && !method && !slices.Contains([]string{"New", "NewPCG", "NewChaCha8", "NewZipf"}, obj.Name()) {
			return "draws from a source without a seed"
		}
	case "fmt":
		if strings.HasPrefix(obj.Name(), "Print") || strings.HasPrefix(obj.Name(), "Scan") {
			return "a core neither prints nor reads"
		}
	case "iter":
		if strings.HasPrefix(obj.Name(), "Pull") {
			return "starts a coroutine"
		}
	}
	return ""
}

func receiverName(f *types.Func) string {
	t := f.Signature().Recv().Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name()
	}
	return ""
}

// qualified names a function as it is written where its package is imported.
func qualified(f *types.Func) string {
	if f.Pkg() == nil {
		return f.Name()
	}
	return f.Pkg().Path() + "." + f.Name()
}

// assign finds assignments to variables of a package, or inside of them: state
// that two cores would share.
func (c *purity) assign(left ast.Expr) {
	for {
		switch e := ast.Unparen(left).(type) {
		case *ast.IndexExpr:
			left = e.X
		case *ast.StarExpr:
			left = e.X
		case *ast.SelectorExpr:
			if obj := c.info.Uses[e.Sel]; c.packageVar(obj) {
				c.report(e, "%s belongs to a package: a core keeps its state in itself", e.Sel.Name)
				return
			}
			left = e.X
		case *ast.Ident:
			if c.packageVar(c.info.Uses[e]) {
				c.report(e, "%s belongs to a package: a core keeps its state in itself", e.Name)
			}
			return
		default:
			return
		}
	}
}

func (c *purity) packageVar(obj types.Object) bool {
	v, ok := obj.(*types.Var)
	return ok && !v.IsField() && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

// hasShape reports whether a type, or one of those that a type parameter may
// stand for, has a shape.
func hasShape(t types.Type, shape func(types.Type) bool) bool {
	if shape(t.Underlying()) {
		return true
	}
	limits, ok := t.Underlying().(*types.Interface)
	if !ok {
		return false
	}
	for i := range limits.NumEmbeddeds() {
		switch e := limits.EmbeddedType(i).(type) {
		case *types.Union:
			for j := range e.Len() {
				if hasShape(e.Term(j).Type(), shape) {
					return true
				}
			}
		default:
			if hasShape(e, shape) {
				return true
			}
		}
	}
	return false
}

func isMap(t types.Type) bool  { _, ok := t.(*types.Map); return ok }
func isChan(t types.Type) bool { _, ok := t.(*types.Chan); return ok }

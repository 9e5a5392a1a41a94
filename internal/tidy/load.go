package tidy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modulePath is the module whose house this is.
const modulePath = "github.com/tandemkv/tandem"

// listed is what the go command tells of a package.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct{ Path string }
	Export     string // file with the package's exported types

	GoFiles        []string
	Imports        []string
	Deps           []string
	IgnoredGoFiles []string
	CgoFiles       []string
	CFiles         []string
	SFiles         []string
	SysoFiles      []string

	Error *struct{ Err string }
}

// ours reports whether the package belongs to this module.
func (p *listed) ours() bool {
	return p.ImportPath == modulePath || strings.HasPrefix(p.ImportPath, modulePath+"/")
}

// room is the package's path inside the module, "." for the root.
func (p *listed) room() string {
	return cmp.Or(strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, modulePath), "/"), ".")
}

// moduleRoot finds the directory of this module's go.mod above the working
// directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+modulePath+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod of " + modulePath + " above the working directory")
		}
		dir = parent
	}
}

// list runs go list on patterns in dir and returns the packages and everything
// that they depend on, by import path.
func list(dir string, patterns ...string) (map[string]*listed, error) {
	args := append([]string{"list", "-e", "-deps", "-export", "-json"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w\n%s", dir, err, &stderr)
	}
	packages := make(map[string]*listed)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := d.Decode(p); err == io.EOF {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the output of go list: %w", err)
		}
		packages[p.ImportPath] = p
	}
}

// source is a package as the checks see it: parsed, and with types.
type source struct {
	fset  *token.FileSet
	files []*ast.File
	pkg   *types.Package
	info  *types.Info
}

// typed checks the types of parsed files. What they import is found in packages.
func typed(path string, fset *token.FileSet, files []*ast.File, packages map[string]*listed) (*source, error) {
	open := func(path string) (io.ReadCloser, error) {
		p := packages[path]
		if p == nil || p.Export == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(p.Export)
	}
	s := &source{fset: fset, files: files, info: &types.Info{
		Types:      make(map[ast.Expr]types.TypeAndValue),
		Uses:       make(map[*ast.Ident]types.Object),
		Defs:       make(map[*ast.Ident]types.Object),
		Selections: make(map[*ast.SelectorExpr]*types.Selection),
	}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", open)}
	var err error
	s.pkg, err = config.Check(path, fset, files, s.info)
	return s, err
}

// load parses a listed package's files, with their comments, and checks their types.
func load(p *listed, packages map[string]*listed) (*source, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return typed(p.ImportPath, fset, files, packages)
}

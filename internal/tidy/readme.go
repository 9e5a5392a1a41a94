package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
)

// goBlock is a block of Go in a Markdown text.
var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// programs returns the Go programs in a Markdown text.
func programs(text string) []string {
	var found []string
	for _, match := range goBlock.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// compiles returns what a compiler would complain about first in a program of one file.
func compiles(program string, packages map[string]*listed) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "program.go", program, 0)
	if err != nil {
		return err
	}
	_, err = typed("main", fset, []*ast.File{f}, packages)
	return err
}

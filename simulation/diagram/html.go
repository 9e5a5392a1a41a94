package diagram

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
)

//go:embed page/page.html
var pageSource string

//go:embed page/page.css
var pageStyle string

// The script is one, in files of one idea each, joined by name.
//
//go:embed page/*.js
var scripts embed.FS

var pageScript = joined(scripts)

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is what the template is given. Title, verdict and facts are text of the
// page; all else is data, which the script draws.
type page struct {
	*Diagram
	Failed bool
	Style  template.CSS
	Script template.JS
	Data   data
}

// data is the diagram as the script reads it. There may be a great many rows, so
// they are arrays; the script names their columns in the same order.
type data struct {
	Unit     string  `json:"unit"`
	Nodes    [][]any `json:"nodes"`
	Kinds    [][]any `json:"kinds"`
	Spans    [][]any `json:"spans"`
	Messages [][]any `json:"messages"`
	Marks    [][]any `json:"marks"`
}

// WriteHTML writes the diagram as one HTML file that needs no other. It fails,
// having written nothing, if something names a node or a kind that there is not, or
// arrives before it was sent; after that only if the writer does.
func (d *Diagram) WriteHTML(to io.Writer) error {
	if err := d.check(); err != nil {
		return fmt.Errorf("diagram %q: %w", d.Title, err)
	}
	p := page{Diagram: d, Failed: d.broken(), Data: d.data(),
		Style:  template.CSS(pageStyle),
		Script: template.JS(pageScript)}
	if err := pageTemplate.Execute(to, p); err != nil {
		return fmt.Errorf("writing the diagram %q: %w", d.Title, err)
	}
	return nil
}

// joined makes one script of files. It keeps its names to itself, since those of
// its window are many.
func joined(files fs.FS) string {
	names, err := fs.Glob(files, "page/*.js")
	if err != nil {
		panic(err) // the pattern is the one above
	}
	var b strings.Builder
	b.WriteString("'use strict';\n(() => {\n")
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // it is in the program
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	b.WriteString("})();\n")
	return b.String()
}

func (d *Diagram) broken() bool {
	for i := range d.Marks {
		if d.Marks[i].Sign == Broken {
			return true
		}
	}
	return false
}

func (d *Diagram) data() data {
	// Rows are never nil, so that the script always finds an array.
	out := data{Unit: d.Unit, Nodes: [][]any{}, Kinds: [][]any{}, Spans: [][]any{}, Messages: [][]any{}, Marks: [][]any{}}
	for _, n := range d.Nodes {
		out.Nodes = append(out.Nodes, []any{n.Name, n.Group})
	}
	for _, k := range d.Kinds {
		out.Kinds = append(out.Kinds, []any{k.Name, k.Hidden})
	}
	for i := range d.Spans {
		s := &d.Spans[i]
		out.Spans = append(out.Spans, []any{s.Node, s.From, s.To, s.Look, s.Label, s.Detail})
	}
	for i := range d.Messages {
		m := &d.Messages[i]
		out.Messages = append(out.Messages, []any{m.From, m.To, m.Sent, m.Delivered, m.Kind, m.Fate,
			bit(m.Again), bit(m.Stale), bit(m.Breaking), m.Label, m.Detail})
	}
	for i := range d.Marks {
		m := &d.Marks[i]
		out.Marks = append(out.Marks, []any{m.Node, m.At, m.Sign, m.Label, m.Detail})
	}
	return out
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

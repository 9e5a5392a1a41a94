package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// shellWord is a word of a line as typed in the shell.
type shellWord struct {
	text  string // what it stands for
	start int    // of the word in the line, in bytes
	// open: it begins with a quote that is not closed. The text is what it would stand
	// for if it were.
	open bool
}

// shellWords returns the words of a line. They are separated by white space, and a
// word that begins with a quote is one of Go, up to the quote that closes it. Only the
// last may be open.
func shellWords(line string) ([]shellWord, error) {
	var words []shellWord
	for at := 0; ; {
		at += len(line[at:]) - len(strings.TrimLeftFunc(line[at:], unicode.IsSpace))
		if at == len(line) {
			return words, nil
		}
		w := shellWord{start: at}
		var raw string
		if line[at] == '"' {
			raw, w.open = quotedWord(line[at:])
			closed := raw
			if w.open {
				closed += `"`
			}
			text, err := strconv.Unquote(closed)
			if err != nil {
				return nil, fmt.Errorf(`%s is no string of Go: write a quote as \", a backslash as \\, a byte as \xff`, raw)
			}
			w.text = text
		} else {
			raw = line[at:]
			if end := strings.IndexFunc(raw, unicode.IsSpace); end >= 0 {
				raw = raw[:end]
			}
			if strings.Contains(raw, `"`) {
				return nil, fmt.Errorf("%s has a quote inside: put all of it in quotes", raw)
			}
			w.text = raw
		}
		words = append(words, w)
		at += len(raw)
		if at < len(line) && strings.IndexFunc(line[at:], unicode.IsSpace) != 0 {
			return nil, fmt.Errorf("%s is followed by %s: put a space between them", raw, line[at:])
		}
	}
}

// quotedWord returns what a text begins with from its first quote to the next one,
// escaped ones apart, and whether there is none.
func quotedWord(text string) (raw string, open bool) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1], false
		}
	}
	return text, true
}

// isBareWord reports whether a text stands for itself as a word.
func isBareWord(s string) bool {
	return s != "" && plainLine(s) == s && !strings.ContainsAny(s, `" `)
}

package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Template is how a command is run on another host, such as
//
//	ssh -o BatchMode=yes tandem@{host} {command}
//
// It is split into words as a shell would: at blanks, where '...' keeps all that
// stands in it as it is, "..." does but for \" and \\, and \ outside of quotes
// keeps the next character. Nothing else means anything: no variables, no pipes;
// who wants them writes sh -c '...'. In each word {host} then stands for the
// host, {name} for the process's name, and {command} for the whole command as
// one text for a POSIX shell, in which each argument is quoted. {command} must be there.
type Template struct{ words []string }

// placeholders are what the braces of a template may hold.
var placeholders = regexp.MustCompile(`\{[^{}]*\}`)

// ParseTemplate returns the template that a text is. The error says what is
// wrong with it.
func ParseTemplate(text string) (Template, error) {
	words, err := split(text)
	if err != nil {
		return Template{}, err
	}
	if len(words) == 0 {
		return Template{}, errors.New("must not be empty")
	}
	commands := 0
	for _, word := range words {
		for _, p := range placeholders.FindAllString(word, -1) {
			switch p {
			case "{command}":
				commands++
			case "{host}", "{name}":
			default:
				return Template{}, fmt.Errorf("%s: must be {host}, {name} or {command}", p)
			}
		}
	}
	if commands != 1 {
		return Template{}, fmt.Errorf("must have {command} once, for what is to be run, and has it %d times", commands)
	}
	return Template{words}, nil
}

// Expand returns the command line that runs argv on a host.
func (t Template) Expand(host, name string, argv []string) []string {
	// The shell makes way for the command, which then is who gets its signals.
	values := strings.NewReplacer("{host}", host, "{name}", name, "{command}", "exec "+quoteAll(argv))
	words := make([]string, len(t.words))
	for i, word := range t.words {
		words[i] = values.Replace(word)
	}
	return words
}

// split splits a text into words, by the rules that Template tells.
func split(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			inWord, quote = true, r
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	switch {
	case quote != 0:
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	case escaped:
		return nil, errors.New(`a \ stands at the end`)
	case inWord:
		words = append(words, word.String())
	}
	return words, nil
}

// plain are words that mean themselves to every shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+:,./-]+$`)

// quote returns a word as it is written for a POSIX shell.
func quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

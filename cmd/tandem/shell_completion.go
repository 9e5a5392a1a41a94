package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// complete returns what the word before the cursor may become: what stands before
// the word, the whole words that it could be, and what stands after the cursor, which
// is at a rune.
func (s *shell) complete(ctx context.Context, line string, cursor int) (head string, candidates []string, tail string) {
	runes := []rune(line)
	before, tail := string(runes[:cursor]), string(runes[cursor:])
	words, err := shellWords(before)
	if err != nil {
		return before, nil, tail
	}
	begun := shellWord{start: len(before)}
	if n := len(words); n > 0 && (words[n-1].open || strings.TrimRight(before, " \t") == before) {
		begun, words = words[n-1], words[:n-1]
	}
	quoted := strings.HasPrefix(before[begun.start:], `"`)
	if quoted && !begun.open {
		return before, nil, tail // it is complete
	}
	switch name := strings.ToLower(firstText(words)); {
	case len(words) == 0 && !quoted:
		candidates = commandsBeginning(begun.text)
	case len(words) == 1 && (shellOperation(name) != nil || name == keysWord):
		candidates = s.keyCandidates(ctx, begun.text, quoted)
	}
	if len(candidates) == 1 {
		candidates[0] += " "
	}
	return before[:begun.start], candidates, tail
}

// firstText returns what the first word stands for, nothing if there is none.
func firstText(words []shellWord) string {
	if len(words) == 0 {
		return ""
	}
	return words[0].text
}

// commandsBeginning returns the commands with a prefix.
func commandsBeginning(prefix string) []string {
	var names []string
	for _, op := range operations {
		names = append(names, op.name)
	}
	names = append(names, keysWord, statusWord, helpWord, exitWord)
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, strings.ToLower(prefix)) })
}

// keyCandidates returns the keys with a prefix as words, all in quotes if one must be
// or the prefix is: what they have in common is then what was typed, and perhaps more.
func (s *shell) keyCandidates(ctx context.Context, prefix string, quoted bool) []string {
	keys, whole := keysBeginning(ctx, s.client, prefix)
	if !whole {
		return nil
	}
	if !quoted && !slices.ContainsFunc(keys, func(key string) bool { return !isBareWord(key) }) {
		return keys
	}
	for i, key := range keys {
		keys[i] = strconv.Quote(key)
	}
	return keys
}

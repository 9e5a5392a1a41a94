package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWordsOfALine(t *testing.T) {
	for line, want := range map[string][]shellWord{
		"":                   nil,
		" \t ":               nil,
		"get k":              {{"get", 0, false}, {"k", 4, false}},
		"  put  k\tv ":       {{"put", 2, false}, {"k", 7, false}, {"v", 9, false}},
		`P "a b" ""`:         {{"P", 0, false}, {"a b", 2, false}, {"", 8, false}},
		`"\"\\\n\x00\xffä"`:  {{"\"\\\n\x00\xffä", 0, false}},
		`get "a b`:           {{"get", 0, false}, {"a b", 4, true}},
		`get "`:              {{"get", 0, false}, {"", 4, true}},
		`get "a \"`:          {{"get", 0, false}, {`a "`, 4, true}},
		`put k it's\n`:       {{"put", 0, false}, {"k", 4, false}, {`it's\n`, 6, false}},
		"get\u00a0k # ä -":   {{"get", 0, false}, {"k", 5, false}, {"#", 7, false}, {"ä", 9, false}, {"-", 12, false}},
		"put k " + `"` + "ä": {{"put", 0, false}, {"k", 4, false}, {"ä", 6, true}},
	} {
		got, err := shellWords(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
	for line, says := range map[string]string{
		`get a"b"`:   `a"b" has a quote inside`,
		`get "a"b`:   `"a" is followed by b: put a space between them`,
		`get "a""b"`: `"a" is followed by "b"`,
		`get "\q"`:   `"\q" is no string of Go`,
		`get "a\`:    `is no string of Go`,
		`get "\xf`:   `is no string of Go`,
	} {
		_, err := shellWords(line)
		require.ErrorContains(t, err, says, line)
	}
}

// What the shell prints can be typed, and stands for the same.
func TestWordsThatAreWrittenAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(anyBytes()).Draw(t, "texts")
		var line []string
		for _, text := range texts {
			if isBareWord(text) {
				line = append(line, text)
			} else {
				line = append(line, strconv.Quote(text))
			}
		}
		words, err := shellWords(strings.Join(line, " "))
		require.NoError(t, err)
		require.Len(t, words, len(texts))
		for i, w := range words {
			require.Equal(t, texts[i], w.text)
			require.False(t, w.open)
		}
	})
}

// Nothing that is typed makes it stop.
func TestAnyLineHasWordsOrIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringOf(rapid.SampledFrom([]rune("a \\\"\tx0ä"))).Draw(t, "line")
		words, err := shellWords(line)
		for i, w := range words {
			require.False(t, w.open && i < len(words)-1)
			require.NoError(t, err)
		}
	})
}

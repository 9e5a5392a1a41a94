package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyBytes draws strings of arbitrary bytes, and of text more often than chance
// would have it.
func anyBytes() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.StringOf(rapid.RuneFrom([]rune{0, '\n', '\r', '"', '\\', '<', '>', '&', '\u2028', '\u2029', '\ufffd', '\ufeff', '\U0001f600'})),
	)
}

func TestEveryPairComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, value := anyBytes().Draw(t, "key"), anyBytes().Draw(t, "value")
		var line bytes.Buffer
		require.NoError(t, writeJSONLine(&line, newJSONPair(key, value)))
		require.Equal(t, 1, strings.Count(line.String(), "\n"), "one line")
		require.True(t, utf8.Valid(line.Bytes()))

		var p jsonPair
		require.NoError(t, parseJSON(line.Bytes(), &p), line.String())
		gotKey, gotValue, err := p.pair()
		require.NoError(t, err)
		require.Equal(t, key, gotKey)
		require.Equal(t, value, gotValue)

		// Others that read JSON find text as text.
		var fields map[string]string
		require.NoError(t, json.Unmarshal(line.Bytes(), &fields))
		require.Len(t, fields, 2)
		if utf8.ValidString(key) {
			require.Equal(t, key, fields["key"])
		}
		_, encoded := fields["value_base64"]
		require.Equal(t, !utf8.ValidString(value), encoded)
	})
}

func TestAPairIsReadable(t *testing.T) {
	var line bytes.Buffer
	require.NoError(t, writeJSONLine(&line, newJSONPair("a<b>&c", "\xff")))
	require.Equal(t, `{"key":"a<b>&c","value_base64":"/w=="}`+"\n", line.String())
}

func TestPairsThatWouldNotComeBackAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		``:                      "cut short",
		`{"key":"a"`:            "cut short",
		`{}`:                    `neither "key" nor "key_base64"`,
		`{"key":"a"}`:           `neither "value" nor "value_base64"`,
		`{"key":"a","value":1}`: "cannot unmarshal number",
		`{"key":"a","value":"","value_base64":"eA=="}`: `both "value" and "value_base64"`,
		`{"key":"a","value":"b","ttl":1}`:              `unknown field "ttl"`,
		`{"key":"a","value":"b"} {}`:                   `more after the JSON object: "{}"`,
		`{"key":"a","value_base64":"?"}`:               "illegal base64",
		`{"key":"a","value":"` + "\xff" + `"}`:         "not valid UTF-8",
		`{"key":"a","value":"\ud83d"}`:                 `\ud83d is half of a surrogate pair`,
		`{"key":"a","value":"\uDE00\ud83d"}`:           `\uDE00 is half`,
		`{"key":"a","value":"\ud83d\u0041"}`:           `\ud83d is half`,
	} {
		var p jsonPair
		err := parseJSON([]byte(text), &p)
		if err == nil {
			_, _, err = p.pair()
		}
		require.ErrorContains(t, err, says, text)
	}

	var p jsonPair
	require.NoError(t, parseJSON([]byte(`{"key":"\\ud83d","value":"\ud83d\uDE00"}`), &p))
	key, value, err := p.pair()
	require.NoError(t, err)
	require.Equal(t, `\ud83d`, key, "an escaped backslash")
	require.Equal(t, "\U0001f600", value)
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Keys and values are strings of any bytes, and those of JSON are not. What is valid
// UTF-8 stands in JSON as it is, and what is not as base64 under another name, so
// that every byte comes back.

// jsonKey is a key as it stands in JSON: under "key", or under "key_base64" if it is
// not valid UTF-8.
type jsonKey struct {
	Key       *string `json:"key,omitempty"`
	KeyBase64 []byte  `json:"key_base64,omitempty"`
}

// newJSONKey returns how a key stands in JSON.
func newJSONKey(key string) jsonKey {
	text, binary := textOrBinary(key)
	return jsonKey{text, binary}
}

// key returns the key; an error unless it is there once.
func (k jsonKey) key() (string, error) { return thatOne("key", k.Key, k.KeyBase64) }

// jsonValue is a value as it stands in JSON: under "value", or under "value_base64"
// if it is not valid UTF-8.
type jsonValue struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// newJSONValue returns how a value stands in JSON.
func newJSONValue(value string) jsonValue {
	text, binary := textOrBinary(value)
	return jsonValue{text, binary}
}

// value returns the value; an error unless it is there once.
func (v jsonValue) value() (string, error) { return thatOne("value", v.Value, v.ValueBase64) }

// jsonPair is a key and its value as one JSON object.
type jsonPair struct {
	jsonKey
	jsonValue
}

// newJSONPair returns how a key and its value stand in JSON.
func newJSONPair(key, value string) jsonPair {
	return jsonPair{newJSONKey(key), newJSONValue(value)}
}

// pair returns key and value; an error unless each is there once.
func (p jsonPair) pair() (key, value string, err error) {
	if key, err = p.key(); err != nil {
		return "", "", err
	}
	value, err = p.value()
	return key, value, err
}

// empty reports whether nothing of a pair is there.
func (p jsonPair) empty() bool {
	return p.Key == nil && p.KeyBase64 == nil && p.Value == nil && p.ValueBase64 == nil
}

// textOrBinary returns a string as that of the two that JSON can hold. The empty
// string is text.
func textOrBinary(s string) (text *string, binary []byte) {
	if utf8.ValidString(s) {
		return &s, nil
	}
	return nil, []byte(s)
}

// thatOne returns the one of the two that is there.
func thatOne(name string, text *string, binary []byte) (string, error) {
	switch {
	case text != nil && binary != nil:
		return "", fmt.Errorf(`there are both "%s" and "%[1]s_base64"`, name)
	case text != nil:
		return *text, nil
	case binary != nil:
		return string(binary), nil
	}
	return "", fmt.Errorf(`there is neither "%s" nor "%[1]s_base64"`, name)
}

// writeJSONLine writes a value as JSON in one line.
func writeJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// parseJSON reads the one JSON object that a text is made of. It refuses what
// encoding/json would take and change or leave out: fields that it does not know,
// bytes that are not UTF-8, and halves of surrogate pairs.
func parseJSON(text []byte, into any) error {
	if err := checkUnicode(text); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the JSON object is cut short")
		}
		return err
	}
	if rest := bytes.TrimSpace(text[d.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("there is more after the JSON object: %.20q", rest)
	}
	return nil
}

// checkUnicode returns an error if strings in a JSON text stand for no sequence of
// characters.
func checkUnicode(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8; strings of other bytes must be given in base64")
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first := surrogate(text[i:])
		if first == 0 {
			i++ // what is escaped may be a backslash itself
			continue
		}
		if first >= lowSurrogates || surrogate(text[min(i+escapeLen, len(text)):]) < lowSurrogates {
			return fmt.Errorf("the escape %s is half of a surrogate pair and stands for no character", text[i:i+escapeLen])
		}
		i += 2*escapeLen - 1
	}
	return nil
}

const (
	escapeLen      = len(`\ud800`)
	highSurrogates = 0xd800
	lowSurrogates  = 0xdc00
	noSurrogates   = 0xe000
)

// surrogate returns the surrogate that a text begins with as an escape, zero if
// with none.
func surrogate(text []byte) int {
	if len(text) < escapeLen || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	code, err := strconv.ParseUint(string(text[2:escapeLen]), 16, 16)
	if err != nil || code < highSurrogates || code >= noSurrogates {
		return 0
	}
	return int(code)
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A dump is JSON Lines: a pair on each line, in the order of their keys, and one line
// more that tells it is whole:
//
//	{"key":"planet/4","value":"Mars"}
//	{"key":"raw","value_base64":"/wA="}
//	{"end":true,"pairs":2}

// dumpLine is one line of a dump: a pair, or the end.
type dumpLine struct {
	jsonPair
	End   bool    `json:"end,omitempty"`
	Pairs *uint64 `json:"pairs,omitempty"` // before the end
}

// dumpWriter writes a dump. It is not safe for concurrent use.
type dumpWriter struct {
	out   *bufio.Writer
	lines *json.Encoder
	pairs uint64
	bytes uint64 // of keys and values
}

// dumpBuffer is how much of a dump is written at once, in bytes.
const dumpBuffer = 256 << 10

func newDumpWriter(w io.Writer) *dumpWriter {
	d := &dumpWriter{out: bufio.NewWriterSize(w, dumpBuffer)}
	d.lines = json.NewEncoder(d.out)
	d.lines.SetEscapeHTML(false)
	return d
}

// put writes a pair.
func (d *dumpWriter) put(key, value string) error {
	d.pairs++
	d.bytes += uint64(len(key) + len(value))
	return d.lines.Encode(newJSONPair(key, value))
}

// end writes the last line, and all that has not been written yet.
func (d *dumpWriter) end() error {
	if err := d.lines.Encode(dumpLine{End: true, Pairs: &d.pairs}); err != nil {
		return err
	}
	return d.out.Flush()
}

// dumpReader reads a dump. It is not safe for concurrent use.
type dumpReader struct {
	// partial takes for a dump what is only like one: ends are passed over, and so is
	// a last line that is cut short.
	partial bool

	lines  *bufio.Scanner
	broken bool   // the line read last has no line feed
	line   int    // the number of that line, from 1
	pairs  uint64 // read so far
	ended  bool   // the end was read
	cut    bool   // the last line was passed over, as it is cut short
}

// maxDumpLine bounds a line of a dump, in bytes. A value of 16 MiB takes at most six
// times as much.
const maxDumpLine = 256 << 20

func newDumpReader(r io.Reader) *dumpReader {
	d := &dumpReader{lines: bufio.NewScanner(r)}
	d.lines.Buffer(make([]byte, 0, dumpBuffer), maxDumpLine)
	d.lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if d.broken = atEOF && len(data) > 0; d.broken {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	return d
}

// next returns the next pair; the error io.EOF if there is none and the dump is
// whole. Any other error tells the line.
func (d *dumpReader) next() (key, value string, err error) {
	for d.lines.Scan() {
		d.line++
		text := bytes.TrimSpace(d.lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var l dumpLine
		if err := parseJSON(text, &l); err != nil {
			if d.partial && d.broken {
				d.cut = true
				return "", "", io.EOF
			}
			return "", "", d.at(err)
		}
		if l.End {
			if err := d.finish(&l); err != nil {
				return "", "", d.at(err)
			}
			continue
		}
		if d.ended && !d.partial {
			return "", "", d.at(errors.New("there is more after the end of the dump"))
		}
		if l.Pairs != nil {
			return "", "", d.at(errors.New(`"pairs" is for the line that has "end"`))
		}
		if key, value, err = l.pair(); err != nil {
			return "", "", d.at(err)
		}
		d.pairs++
		return key, value, nil
	}
	if errors.Is(d.lines.Err(), bufio.ErrTooLong) {
		return "", "", fmt.Errorf("line %d: longer than %s", d.line+1, byteCount(maxDumpLine))
	}
	if err := d.lines.Err(); err != nil {
		return "", "", fmt.Errorf("after line %d: %w", d.line, err)
	}
	if !d.ended && !d.partial {
		return "", "", fmt.Errorf("after line %d: %w", d.line, errNoEnd)
	}
	return "", "", io.EOF
}

// cutLine returns the number of the last line if it was passed over, else zero.
func (d *dumpReader) cutLine() int {
	if d.cut {
		return d.line
	}
	return 0
}

// errNoEnd is about a dump without its last line.
var errNoEnd = errors.New(`the dump's last line, {"end":true,...}, is missing: it may have been cut (--partial takes it as it is)`)

// finish looks at the line that ends a dump.
func (d *dumpReader) finish(l *dumpLine) error {
	switch {
	case !l.empty():
		return errors.New("the line that ends the dump must have no key or value")
	case d.partial:
	case d.ended:
		return errors.New("there is more after the end of the dump")
	case l.Pairs == nil:
		return errors.New(`the line that ends the dump must tell how many "pairs" there are`)
	case *l.Pairs != d.pairs:
		return fmt.Errorf("%d pairs were to come before the end, and %d have (--partial takes them as they are)", *l.Pairs, d.pairs)
	}
	d.ended = true
	return nil
}

// at returns an error with the line that it is about.
func (d *dumpReader) at(err error) error { return fmt.Errorf("line %d: %w", d.line, err) }

package search

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The marks of a transcript's lines: of the bounds, and between the number of an
// event and its text. All other lines are for people.
const (
	boundsMark = "bounds "
	eventMark  = ". "
)

// WriteTranscript writes a trace so that people can read it and ReadTranscript
// can: each event with its number, and under it the rules that fired, the messages
// that were sent and what had changed.
func (t *Trace) WriteTranscript(to io.Writer) error {
	w := bufio.NewWriter(to)
	bounds, err := json.Marshal(t.Bounds)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s%s\n\n", boundsMark, bounds)
	for _, line := range t.Start.lines() {
		fmt.Fprintf(w, "        %s\n", line)
	}
	for i := range t.Steps {
		t.Steps[i].write(w, i+1)
	}
	if t.Invariant != "" {
		fmt.Fprintf(w, "\n%s broken: %s\n", t.Invariant, t.Detail)
	}
	return w.Flush()
}

func (p *Step) write(w io.Writer, number int) {
	fmt.Fprintf(w, "\n%d%s%s\n", number, eventMark, p.Event)
	for _, r := range p.Rules {
		who := "monitor"
		if r.Who.Addr != "" {
			who = name(r.Who)
		}
		fmt.Fprintf(w, "        %s at %s: %s\n", r.Rule, who, r.Detail)
	}
	for _, m := range p.sent() {
		fmt.Fprintf(w, "        sends %s\n", m)
	}
	for _, line := range p.changed() {
		fmt.Fprintf(w, "        %s\n", line)
	}
}

// ReadTranscript reads what Replay needs from a transcript: the bounds and the
// events. Errors wrap ErrReplay, or are the reader's.
func ReadTranscript(from io.Reader) (b Bounds, events []string, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	found := false
	for lines.Scan() {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, boundsMark); ok {
			if err := json.Unmarshal([]byte(text), &b); err != nil {
				return b, nil, fmt.Errorf("%w: its bounds: %w", ErrReplay, err)
			}
			found = true
			continue
		}
		number, text, ok := strings.Cut(line, eventMark)
		if !ok || number != fmt.Sprint(len(events)+1) {
			if ok && number != "" && strings.Trim(number, "0123456789") == "" {
				return b, nil, fmt.Errorf("%w: event %s stands where event %d should", ErrReplay, number, len(events)+1)
			}
			continue
		}
		events = append(events, text)
	}
	if err := lines.Err(); err != nil {
		return b, nil, err
	}
	if !found {
		return b, nil, fmt.Errorf("%w: no line of it begins with %q", ErrReplay, strings.TrimSpace(boundsMark))
	}
	return b, events, nil
}

package workload

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tandemkv/tandem/simulation"
)

// line is an operation as it stands in history.jsonl. Keys and values of a workload
// are plain text, so that JSON holds them without loss.
type line struct {
	Client   int    `json:"client"`
	Call     int64  `json:"call_ns"`
	Return   int64  `json:"return_ns"`
	Op       string `json:"op"`
	Key      string `json:"key"`
	Value    string `json:"value,omitempty"`
	Expected string `json:"expected,omitempty"`
	Verdict  string `json:"verdict"`
	Err      string `json:"err,omitempty"`
	Got      string `json:"got,omitempty"`
	Absent   bool   `json:"absent,omitempty"`
	Swapped  bool   `json:"swapped,omitempty"`
}

func lineOf(op simulation.Operation) line {
	return line{
		Client: op.Client, Call: op.Call, Return: op.Return,
		Op: op.Input.Kind.String(), Key: op.Input.Key, Value: op.Input.Value, Expected: op.Input.Expected,
		Verdict: op.Verdict.String(), Err: op.Err,
		Got: op.Output.Value, Absent: op.Output.Absent, Swapped: op.Output.Swapped,
	}
}

// WriteJSON writes the history in JSON, one operation a line, key by key.
func (h *History) WriteJSON(to io.Writer) error {
	w := bufio.NewWriter(to)
	enc := json.NewEncoder(w)
	for _, key := range h.Keys() {
		for _, op := range h.Of(key) {
			if err := enc.Encode(lineOf(op)); err != nil {
				return fmt.Errorf("write the history: %w", err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// WritePicture writes a picture of the keys that are bad, an HTML page: where the
// checker got to with each, which takes it as long again.
func (h *History) WritePicture(bad []BadKey, to io.Writer) error {
	var ops []simulation.Operation
	for _, b := range bad {
		ops = append(ops, h.Of(b.Key)...)
	}
	if err := simulation.Picture(ops, judgingMax, to); err != nil {
		return fmt.Errorf("write the picture of a history: %w", err)
	}
	return nil
}

package runfolder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tandemkv/tandem/simulation"
)

// operation is a line of history.jsonl. Call and return order the operations of
// the run: they count its events. The times are virtual; an operation that has not
// returned has none.
type operation struct {
	Number       int     `json:"operation"`
	Client       int     `json:"client"`
	Call         int64   `json:"call"`
	Return       *int64  `json:"return"`
	CallMillis   int64   `json:"call_ms"`
	ReturnMillis *int64  `json:"return_ms"`
	Input        input   `json:"input"`
	Output       *result `json:"output"` // null: there was none
	Verdict      string  `json:"verdict"`
	Error        string  `json:"error,omitempty"`
}

type input struct {
	Kind     string `json:"kind"`
	Key      string `json:"key"`
	Value    string `json:"value,omitempty"`
	Expected string `json:"expected,omitempty"`
}

type result struct {
	Value   string `json:"value"`
	Absent  bool   `json:"absent"`
	Swapped bool   `json:"swapped"`
}

// historyJSON writes one operation a line. The keys and values of a simulated run
// are plain text, so that JSON holds them without loss.
func historyJSON(r *simulation.Recording, history []simulation.Operation) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i := range history {
		op := &history[i]
		line := operation{Number: i, Client: op.Client + 1, Call: op.Call, Verdict: op.Verdict.String(), Error: op.Err,
			Input: input{op.Input.Kind.String(), op.Input.Key, op.Input.Value, op.Input.Expected}}
		call, back := r.Millis(i)
		line.CallMillis = call
		if op.Verdict != simulation.Running {
			line.Return, line.ReturnMillis = &op.Return, &back
		}
		if op.Verdict == simulation.Done {
			line.Output = &result{op.Output.Value, op.Output.Absent, op.Output.Swapped}
		}
		if err := e.Encode(&line); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return b.Bytes(), nil
}

// historyText writes the same for people.
func historyText(r *simulation.Recording, history []simulation.Operation) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%9s  %-8s %8s  %8s  %s\n", "operation", "client", "call ms", "back ms", "what was asked: what came of it")
	for i := range history {
		op := &history[i]
		call, back := r.Millis(i)
		returned := "-"
		if op.Verdict != simulation.Running {
			returned = fmt.Sprint(back)
		}
		fmt.Fprintf(&b, "%9d  %-8s %8d  %8s  %s\n", i, fmt.Sprintf("client%d", op.Client+1), call, returned,
			strings.ReplaceAll(op.String(), "\n", " "))
	}
	return b.Bytes()
}

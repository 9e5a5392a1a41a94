package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// An outcome is what came of an operation, by the name that JSON and the shell have
// for it.
type outcome string

const (
	outcomeDone      outcome = "done"
	outcomeAbsent    outcome = "absent"    // there is no such key
	outcomeDifferent outcome = "different" // the value is not the expected one, and stays
	outcomeUnknown   outcome = "unknown"   // it may have run, or may run yet
	outcomeFailed    outcome = "failed"    // it did not run, and will not
)

// errDifferent is why a compare-and-swap changed nothing, before the value expected.
var errDifferent = errors.New("the value is not")

// outcomeOf returns the outcome that an error of an operation stands for.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return outcomeDone
	case errors.Is(err, kv.ErrNoKey):
		return outcomeAbsent
	case errors.Is(err, errDifferent):
		return outcomeDifferent
	case errors.Is(err, kvservice.ErrOutcomeUnknown):
		return outcomeUnknown
	}
	return outcomeFailed
}

// status returns the exit status that tells the outcome.
func (o outcome) status() int {
	switch o {
	case outcomeDone:
		return exitHeld
	case outcomeAbsent, outcomeDifferent:
		return exitBroken
	case outcomeFailed:
		return exitFailed
	}
	return exitUnknown
}

// answer is what an operation came to.
type answer struct {
	key     string
	result  result
	outcome outcome
	why     string // it is not done
}

// result is what an operation brings back, nothing if it changes and no more.
type result struct {
	value *string
	name  string // in JSON, before _base64
}

// jsonAnswer is an answer as it stands in JSON. A result stands there as key and
// value do in pairs.
type jsonAnswer struct {
	jsonKey
	jsonValue
	Previous       *string `json:"previous,omitempty"`
	PreviousBase64 []byte  `json:"previous_base64,omitempty"`
	Outcome        outcome `json:"outcome"`
	Error          string  `json:"error,omitempty"`
}

// json returns how the answer stands in JSON.
func (a *answer) json() jsonAnswer {
	j := jsonAnswer{jsonKey: newJSONKey(a.key), Outcome: a.outcome, Error: a.why}
	switch {
	case a.result.value == nil:
	case a.result.name == previousValue:
		j.Previous, j.PreviousBase64 = textOrBinary(*a.result.value)
	default:
		j.jsonValue = newJSONValue(*a.result.value)
	}
	return j
}

// The names of results.
const (
	presentValue  = "value"
	previousValue = "previous"
)

// explain says for people what an operation's error means: what it waited for, where
// it was told to turn, and whether it may have run.
func (c *connection) explain(err error) string {
	var op *kvservice.OpError
	if !errors.As(err, &op) {
		return err.Error()
	}
	var b strings.Builder
	switch {
	case errors.Is(op.Err, kv.ErrNoKey):
		return "no such key: " + excerpt(op.Key)
	case errors.Is(op.Err, context.DeadlineExceeded):
		fmt.Fprintf(&b, "gave up after %v: %s", c.timeout, c.awaited(op))
	case errors.Is(op.Err, context.Canceled):
		fmt.Fprintf(&b, "interrupted: %s", c.awaited(op))
	default:
		b.WriteString(op.Err.Error())
	}
	if outcomeOf(err) == outcomeUnknown {
		b.WriteString("; outcome unknown: it may have run, or may run yet")
	} else {
		b.WriteString("; it did not run")
	}
	return b.String()
}

// awaited says what an operation waited for that was given up.
func (c *connection) awaited(op *kvservice.OpError) string {
	if op.Because == nil {
		return "no answer yet by way of the view service at " + c.monitor
	}
	why := op.Because.Error()
	if strings.Contains(why, c.monitor) {
		return why
	}
	return fmt.Sprintf("%s (the view service is %s)", why, c.monitor)
}

// excerptBytes is how much of a key or a value messages have.
const excerptBytes = 64

// excerpt returns a key or a value in quotes, of a long one the beginning.
func excerpt(text string) string {
	if len(text) <= excerptBytes {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%q... (%s in all)", text[:excerptBytes], countOf(len(text), "byte"))
}

package simulation

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

// op makes an operation of a history, from one moment to another.
func op(from, to int64, in Input, out Output, v Verdict) Operation {
	return Operation{Call: from, Return: to, Input: in, Output: out, Verdict: v}
}

func TestModel(t *testing.T) {
	write := func(kind OpKind, value string) Input { return Input{Kind: kind, Key: "k", Value: value} }
	read := Input{Kind: Get, Key: "k"}
	saw := func(value string) Output { return Output{Value: value} }
	hash := func(s string) string { return strconv.Itoa(int(tandem.Hash(s))) }
	for _, tc := range []struct {
		name    string
		history []Operation
		want    porcupine.CheckResult
	}{
		{"nothing", nil, porcupine.Ok},
		{"absent reads as empty", []Operation{op(1, 2, read, saw(""), Done)}, porcupine.Ok},
		{"reads what was put", []Operation{op(1, 2, write(Put, "x"), Output{}, Done), op(3, 4, read, saw("x"), Done)}, porcupine.Ok},
		{"stale", []Operation{op(1, 2, write(Put, "x"), Output{}, Done), op(3, 4, read, saw(""), Done)}, porcupine.Illegal},
		{"concurrent, either", []Operation{op(1, 4, write(Put, "x"), Output{}, Done), op(2, 3, read, saw(""), Done)}, porcupine.Ok},
		{"keys are apart", []Operation{op(1, 2, write(Put, "x"), Output{}, Done), op(3, 4, Input{Kind: Get, Key: "other"}, saw(""), Done)}, porcupine.Ok},
		{"PutHash returns the old value", []Operation{op(1, 2, write(PutHash, "x"), saw(""), Done),
			op(3, 4, write(PutHash, "y"), saw(hash("x")), Done), op(5, 6, read, saw(hash(hash("x")+"y")), Done)}, porcupine.Ok},
		{"PutHash twice", []Operation{op(1, 2, write(PutHash, "x"), saw(""), Done), op(3, 4, read, saw(hash(hash("x")+"x")), Done)}, porcupine.Illegal},
		{"Append twice", []Operation{op(1, 2, write(Append, "x"), Output{}, Done), op(3, 4, read, saw("xx"), Done)}, porcupine.Illegal},
		{"Delete of nothing", []Operation{op(1, 2, write(Delete, ""), Output{Absent: true}, Done)}, porcupine.Ok},
		{"Delete of something said to be absent", []Operation{op(1, 2, write(Put, ""), Output{}, Done), op(3, 4, write(Delete, ""), Output{Absent: true}, Done)}, porcupine.Illegal},
		{"absent swaps as empty", []Operation{op(1, 2, write(CompareAndSwap, "x"), Output{Swapped: true}, Done), op(3, 4, read, saw("x"), Done)}, porcupine.Ok},
		{"swapped against another value", []Operation{op(1, 2, write(Put, "x"), Output{}, Done), op(3, 4, write(CompareAndSwap, "y"), Output{Swapped: true}, Done)}, porcupine.Illegal},
		{"unknown may have run", []Operation{op(1, 2, write(Put, "x"), Output{}, Unknown), op(3, 4, read, saw("x"), Done)}, porcupine.Ok},
		{"unknown may run late", []Operation{op(1, 2, write(Put, "x"), Output{}, Unknown), op(3, 4, read, saw(""), Done), op(5, 6, read, saw("x"), Done)}, porcupine.Ok},
		{"unknown runs once", []Operation{op(1, 2, write(Append, "x"), Output{}, Unknown), op(3, 4, read, saw("xx"), Done)}, porcupine.Illegal},
		{"unknown not before it began", []Operation{op(1, 2, read, saw("x"), Done), op(3, 4, write(Put, "x"), Output{}, Unknown)}, porcupine.Illegal},
		{"failed never runs", []Operation{op(1, 2, write(Put, "x"), Output{}, Failed), op(3, 4, read, saw("x"), Done)}, porcupine.Illegal},
		{"still running", []Operation{op(1, -1, write(Put, "x"), Output{}, Running), op(3, 4, read, saw("x"), Done)}, porcupine.Ok},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, Linearizable(tc.history, judging))
		})
	}
}

func TestPictureOfAHistory(t *testing.T) {
	var page bytes.Buffer
	history := []Operation{op(1, 2, Input{Kind: Put, Key: "k", Value: "x"}, Output{}, Done), op(3, 4, Input{Kind: Get, Key: "k"}, Output{}, Done)}
	require.NoError(t, Picture(history, judging, &page))
	require.Contains(t, page.String(), "<html")
}

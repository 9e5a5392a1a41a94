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

func TestStoreModel(t *testing.T) {
	put := func(key, value string) Input { return Input{Kind: Put, Key: key, Value: value} }
	scan := Input{Kind: Scan, Key: "k"}
	saw := func(pairs ...tandem.Pair) Output { return Output{Pairs: pairs} }
	a, b := tandem.Pair{Key: "ka", Value: "1"}, tandem.Pair{Key: "kb", Value: "2"}
	puts := []Operation{op(1, 2, put("ka", "1"), Output{}, Done), op(3, 4, put("kb", "2"), Output{}, Done)}
	both := []Operation{op(1, 9, put("ka", "1"), Output{}, Done), op(1, 9, put("kb", "2"), Output{}, Done)}
	for _, tc := range []struct {
		name    string
		history []Operation
		want    porcupine.CheckResult
	}{
		{"nothing", []Operation{op(1, 2, scan, saw(), Done)}, porcupine.Ok},
		{"all", append(puts[:2:2], op(5, 6, scan, saw(a, b), Done)), porcupine.Ok},
		{"with its prefix", append(puts[:2:2], op(5, 6, Input{Kind: Scan, Key: "kb"}, saw(b), Done)), porcupine.Ok},
		{"stale", append(puts[:2:2], op(5, 6, scan, saw(a), Done)), porcupine.Illegal},
		{"of two moments", append(puts[:2:2], op(2, 6, scan, saw(b), Done)), porcupine.Illegal},
		{"deleted", append(puts[:2:2], op(5, 6, Input{Kind: Delete, Key: "ka"}, Output{}, Done), op(7, 8, scan, saw(b), Done)), porcupine.Ok},
		{"in one order", append(both[:2:2], op(2, 3, scan, saw(a), Done), op(4, 5, scan, saw(a, b), Done)), porcupine.Ok},
		{"in two orders", append(both[:2:2], op(2, 4, scan, saw(a), Done), op(5, 6, scan, saw(b), Done)), porcupine.Illegal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, LinearizableStore(tc.history, 100, judging))
		})
	}
	t.Run("what comes after is not looked at", func(t *testing.T) {
		history := append(puts[:2:2], op(3, 9, scan, saw(a, b, a), Done), op(5, 6, scan, saw(), Done))
		require.Equal(t, porcupine.Illegal, LinearizableStore(history, 4, judging))
		require.Equal(t, porcupine.Ok, LinearizableStore(history, 3, judging))
	})
}

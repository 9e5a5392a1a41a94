package simulation

import (
	"strconv"

	"github.com/anishathalye/porcupine"

	"github.com/tandemkv/tandem"
)

// OpKind is the kind of an operation of a client.
type OpKind uint8

// The operations.
const (
	Get OpKind = iota
	Put
	PutHash
	Append
	Delete
	CompareAndSwap
	Scan // touches many keys: judged by StoreModel, not by Model
	numOpKinds
)

var opNames = [numOpKinds]string{"Get", "Put", "PutHash", "Append", "Delete", "CompareAndSwap", "Scan"}

// String returns the operation's name.
func (k OpKind) String() string { return opNames[k] }

// Input is what a client asked for.
type Input struct {
	Kind     OpKind
	Key      string // Scan: the prefix
	Value    string
	Expected string // CompareAndSwap
}

// Output is what the client was told. The zero Output of an operation whose
// outcome is unknown says nothing.
type Output struct {
	Unknown bool   // nobody told the client: anything may have happened
	Value   string // Get: the value, absent as ""; PutHash: the one before
	Absent  bool   // Delete: there was nothing to delete
	Swapped bool   // CompareAndSwap
	// Pairs are what a Scan saw: every pair with the prefix, by key. All its pages
	// are as of one moment between its call and its return.
	Pairs []tandem.Pair
}

// value is the state of the model: that of one key.
type value struct {
	present bool
	value   string
}

// Model returns porcupine's model of the store, partitioned by key. Its
// operations have an Input and an Output. What failed definitely does not
// belong into a history.
func Model() porcupine.Model {
	return porcupine.Model{
		Partition: partitionByKey,
		Init:      func() any { return value{} },
		Step: func(state, input, output any) (bool, any) {
			ok, next := step(state.(value), input.(Input), output.(Output))
			return ok, next
		},
		DescribeOperation: func(input, output any) string {
			return describe(input.(Input), output.(Output))
		},
		DescribeState: func(state any) string {
			if s := state.(value); s.present {
				return strconv.Quote(s.value)
			}
			return "absent"
		},
	}
}

// step says whether output may follow from input in this state, and the state
// after it.
func step(s value, in Input, out Output) (bool, value) {
	switch in.Kind {
	case Get:
		return out.Unknown || out.Value == s.value, s
	case Put:
		return true, value{true, in.Value}
	case PutHash:
		next := value{true, strconv.Itoa(int(tandem.Hash(s.value + in.Value)))}
		return out.Unknown || out.Value == s.value, next
	case Append:
		return true, value{true, s.value + in.Value}
	case Delete:
		return out.Unknown || out.Absent == !s.present, value{}
	case CompareAndSwap:
		next := s
		if s.value == in.Expected {
			next = value{true, in.Value}
		}
		return out.Unknown || out.Swapped == (s.value == in.Expected), next
	}
	return false, s
}

// partitionByKey splits a history by key, keys in the order of their first use.
func partitionByKey(history []porcupine.Operation) [][]porcupine.Operation {
	index := make(map[string]int)
	var parts [][]porcupine.Operation
	for _, op := range history {
		key := op.Input.(Input).Key
		i, ok := index[key]
		if !ok {
			i = len(parts)
			index[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	return parts
}

func describe(in Input, out Output) string {
	text := in.Kind.String() + " " + strconv.Quote(in.Key)
	switch in.Kind {
	case Put, PutHash, Append:
		text += " " + strconv.Quote(in.Value)
	case CompareAndSwap:
		text += " " + strconv.Quote(in.Expected) + " to " + strconv.Quote(in.Value)
	}
	if out.Unknown {
		return text + ": unknown"
	}
	switch in.Kind {
	case Get, PutHash:
		text += ": " + strconv.Quote(out.Value)
	case Delete:
		if out.Absent {
			text += ": absent"
		}
	case CompareAndSwap:
		text += ": " + strconv.FormatBool(out.Swapped)
	case Scan:
		for _, p := range out.Pairs {
			text += " " + strconv.Quote(p.Key) + "=" + strconv.Quote(p.Value)
		}
	}
	return text
}

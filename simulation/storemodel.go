package simulation

import (
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/tandemkv/tandem"
)

// storeState is the state of StoreModel: the pairs there are, by key. It is never
// changed once made.
type storeState []tandem.Pair

// StoreModel returns porcupine's model of the whole store, in which a Scan reads
// all keys with a prefix at one moment. It cannot be partitioned, so it is for
// short histories.
func StoreModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return storeState(nil) },
		Step: func(state, input, output any) (bool, any) {
			ok, next := state.(storeState).step(input.(Input), output.(Output))
			return ok, next
		},
		Equal: func(a, b any) bool { return slices.Equal(a.(storeState), b.(storeState)) },
		DescribeOperation: func(input, output any) string {
			return describe(input.(Input), output.(Output))
		},
		DescribeState: func(state any) string {
			return describe(Input{Kind: Scan}, Output{Pairs: state.(storeState)})
		},
	}
}

func (s storeState) step(in Input, out Output) (bool, storeState) {
	if in.Kind == Scan {
		return out.Unknown || slices.Equal(out.Pairs, s.scan(in.Key)), s
	}
	i, present := slices.BinarySearchFunc(s, in.Key, func(p tandem.Pair, key string) int { return strings.Compare(p.Key, key) })
	was := value{present: present}
	if present {
		was.value = s[i].Value
	}
	ok, is := step(was, in, out)
	if !ok || is == was {
		return ok, s
	}
	next := slices.Clone(s[:i])
	if is.present {
		next = append(next, tandem.Pair{Key: in.Key, Value: is.value})
	}
	if present {
		i++
	}
	return ok, append(next, s[i:]...)
}

// scan returns the pairs with a prefix, nil if there are none.
func (s storeState) scan(prefix string) []tandem.Pair {
	var pairs []tandem.Pair
	for _, p := range s {
		if strings.HasPrefix(p.Key, prefix) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is a kind of operation.
type Kind int

// The kinds of operation.
const (
	Get Kind = iota
	Put
	Append
	PutHash
	CompareAndSwap
	Delete
	kinds = iota
)

var kindNames = [kinds]string{"get", "put", "append", "puthash", "cas", "delete"}

// String returns the kind's name, as a Mix has it.
func (k Kind) String() string { return kindNames[k] }

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Get, Put, Append, PutHash, CompareAndSwap, Delete} }

// Mix says how often each kind of operation is drawn: in the proportion of the
// numbers. The zero Mix is puts alone.
type Mix [kinds]int

// ParseMix reads a mix, as in put=50,get=50 or put.
func ParseMix(text string) (Mix, error) {
	var m Mix
	for part := range strings.SplitSeq(text, ",") {
		name, share, said := strings.Cut(part, "=")
		k := slices.Index(kindNames[:], name)
		if k < 0 {
			return m, fmt.Errorf("there is no operation %q: there are %s", name, strings.Join(kindNames[:], ", "))
		}
		n := 1
		if said {
			var err error
			if n, err = strconv.Atoi(share); err != nil || n < 0 {
				return m, fmt.Errorf("share %q of %s: must be a whole number, zero or more", share, name)
			}
		}
		if m[k] != 0 {
			return m, fmt.Errorf("%s is there twice", name)
		}
		m[k] = n
	}
	if m == (Mix{}) {
		return m, fmt.Errorf("mix %q: must have some operation", text)
	}
	return m, nil
}

// String writes the mix as ParseMix reads it.
func (m Mix) String() string {
	var parts []string
	for k, n := range m.filled() {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", kindNames[k], n))
		}
	}
	return strings.Join(parts, ",")
}

// MarshalText is String.
func (m Mix) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is ParseMix.
func (m *Mix) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMix(string(text))
	return err
}

// filled returns the mix that is meant.
func (m Mix) filled() Mix {
	if m == (Mix{}) {
		m[Put] = 1
	}
	return m
}

// extended reports whether the mix needs an Extended client.
func (m Mix) extended() bool {
	return m[Append]+m[PutHash]+m[CompareAndSwap]+m[Delete] > 0
}

// total is the sum of the shares.
func (m Mix) total() int {
	all := 0
	for _, n := range m {
		all += n
	}
	return all
}

// at returns the kind in which a number below total falls.
func (m Mix) at(n int) Kind {
	for k, share := range m {
		if n -= share; n < 0 {
			return Kind(k)
		}
	}
	panic(fmt.Sprintf("bench: a draw beyond the mix %v", m))
}

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag whose value is a number of bytes, with a unit or without.
type byteSize int

// byteUnits are the units, those that divide others last.
var byteUnits = []struct {
	name  string
	bytes int
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// String returns the size in the largest unit of 1024 that divides it.
func (s *byteSize) String() string {
	for _, unit := range byteUnits[:3] {
		if n := int(*s); n != 0 && n%unit.bytes == 0 {
			return strconv.Itoa(n/unit.bytes) + unit.name
		}
	}
	return strconv.Itoa(int(*s))
}

// Set reads a size.
func (s *byteSize) Set(text string) error {
	number, unit := text, 1
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return fmt.Errorf("must be a number of bytes, as in 65536, 64KiB or 16MiB")
	}
	if n > math.MaxInt/unit {
		return fmt.Errorf("more bytes than can be counted")
	}
	*s = byteSize(n * unit)
	return nil
}

// Type is how help calls the value.
func (*byteSize) Type() string { return "size" }

package bench

import (
	"fmt"
	"sync"
)

// Violations counts what must not be.
type Violations struct {
	Lost       uint64 `json:"lost"`       // acknowledged writes that are not there
	Stale      uint64 `json:"stale"`      // reads of what had been overwritten
	Duplicated uint64 `json:"duplicated"` // writes that ran twice
	Wrong      uint64 `json:"wrong"`      // answers that nothing explains, as a value that nobody wrote
	// Examples are the first of them, in words.
	Examples []string `json:"examples,omitempty"`
}

// Any reports whether there are any.
func (v *Violations) Any() bool { return v.Lost+v.Stale+v.Duplicated+v.Wrong > 0 }

// Add adds those of another load.
func (v *Violations) Add(o Violations) {
	v.Lost += o.Lost
	v.Stale += o.Stale
	v.Duplicated += o.Duplicated
	v.Wrong += o.Wrong
	v.Examples = append(v.Examples, o.Examples...)
	v.Examples = v.Examples[:min(len(v.Examples), examplesMax)]
}

// examplesMax is how many violations are told in words.
const examplesMax = 10

// found collects violations. It is safe for concurrent use.
type found struct {
	mu sync.Mutex
	v  Violations
}

func (f *found) lost(format string, args ...any)       { f.add(&f.v.Lost, format, args) }
func (f *found) stale(format string, args ...any)      { f.add(&f.v.Stale, format, args) }
func (f *found) duplicated(format string, args ...any) { f.add(&f.v.Duplicated, format, args) }
func (f *found) wrong(format string, args ...any)      { f.add(&f.v.Wrong, format, args) }

func (f *found) add(count *uint64, format string, args []any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*count++
	if len(f.v.Examples) < examplesMax {
		f.v.Examples = append(f.v.Examples, fmt.Sprintf(format, args...))
	}
}

// violations returns what was found so far.
func (f *found) violations() Violations {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.v
	v.Examples = append([]string(nil), f.v.Examples...)
	return v
}

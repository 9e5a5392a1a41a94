package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
)

// report is all that a comparison came to.
type report struct {
	Date     time.Time     `json:"date"`
	Took     time.Duration `json:"took_ns"`
	Ended    string        `json:"ended,omitempty"` // why it ended before all was measured
	Machine  machine       `json:"machine"`
	Versions versions      `json:"versions"`
	Settings *settings     `json:"settings"`
	// Idle is how much of one processor all systems of the closed and open loops took
	// together while nobody used them, which is what they took from each other.
	Idle     float64   `json:"idle"`
	Tables   []*table  `json:"tables,omitempty"`
	Open     *openLoop `json:"open,omitempty"`
	Failover *failover `json:"failover,omitempty"`
	Memory   *memory   `json:"memory,omitempty"`
	Figures  figures   `json:"figures"`
	Checks   []*check  `json:"checks"`
}

// check is what was found wrong with a system in all its measurements.
type check struct {
	Label      string           `json:"label"`
	Failed     uint64           `json:"failed"`            // operations that ended with an error
	Failure    string           `json:"failure,omitempty"` // the first of them
	Violations bench.Violations `json:"violations"`
	tandem     bool
}

// table returns the table of a part, nil if there is none.
func (r *report) table(part string) *table {
	for _, t := range r.Tables {
		if t.Part == part {
			return t
		}
	}
	return nil
}

// conclude makes what follows from the measurements.
func (r *report) conclude() {
	r.leaveOut()
	r.Figures = compareAll(r)
	seen := make(map[string]*check)
	of := func(id, label string) *check {
		c := seen[label]
		if c == nil {
			c = &check{Label: label, tandem: strings.HasPrefix(id, "tandem")}
			seen[label] = c
			r.Checks = append(r.Checks, c)
		}
		return c
	}
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			for _, cell := range row.Cells {
				of(row.ID, row.Label).add(cell.Samples...)
			}
		}
	}
	if r.Open != nil {
		for _, row := range r.Open.Rows {
			of(row.ID, row.Label).add(row.Samples...)
		}
	}
	if r.Failover != nil {
		for _, row := range r.Failover.Rows {
			for _, t := range row.Trials {
				of(row.ID, row.Label).Violations.Add(t.Violations)
			}
		}
	}
}

// leaveOut takes out what was not measured, because an error came before it.
func (r *report) leaveOut() {
	for _, t := range r.Tables {
		t.Rows = slices.DeleteFunc(t.Rows, func(row *row) bool { return !row.measured() })
	}
	r.Tables = slices.DeleteFunc(r.Tables, func(t *table) bool { return len(t.Rows) == 0 })
	if o := r.Open; o != nil {
		o.Rows = slices.DeleteFunc(o.Rows, func(row *openRow) bool { return len(row.Samples) == 0 })
		if len(o.Rows) == 0 {
			r.Open = nil
		}
	}
	if f := r.Failover; f != nil {
		f.Rows = slices.DeleteFunc(f.Rows, func(row *failoverRow) bool { return len(row.Trials) == 0 })
		if len(f.Rows) == 0 {
			r.Failover = nil
		}
	}
}

func (c *check) add(samples ...sample) {
	for _, s := range samples {
		c.Failed += s.Failures.DidNotRun + s.Failures.Unknown
		c.Failure = cmp.Or(c.Failure, s.Failures.First)
		c.Violations.Add(s.Violations)
	}
}

// tandemBroken reports whether Tandem did what it must not.
func (r *report) tandemBroken() bool {
	for _, c := range r.Checks {
		if c.tandem && c.Violations.Any() {
			return true
		}
	}
	return false
}

// measured tells whether there is anything to report.
func (r *report) measured() bool {
	return r != nil && (len(r.Tables) > 0 || r.Open != nil || r.Failover != nil || r.Memory != nil)
}

// write writes the report to a directory in all three forms.
func (r *report) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the results as JSON: %w", err)
	}
	for name, content := range map[string]string{
		"compare.json": string(text) + "\n", "compare.txt": r.text(false), "compare.md": r.text(true),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
	}
	return nil
}

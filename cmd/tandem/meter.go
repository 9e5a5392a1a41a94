package main

import (
	"fmt"
	"strings"
	"time"
)

// meter tells how far a count has come, as a bar if it is known where it ends. It is
// safe for concurrent use.
type meter struct {
	p     *progress
	what  string // what is counted, one of it
	total uint64 // zero: not known
	start time.Time
}

// newMeter returns a meter that begins now.
func newMeter(p *progress, what string, total uint64) *meter {
	return &meter{p: p, what: what, total: total, start: time.Now()}
}

// show tells that so many have been counted.
func (m *meter) show(done uint64) {
	m.p.tell("%v", reading{m, done})
}

// reading is what a meter shows, put into words only when it is told.
type reading struct {
	meter *meter
	done  uint64
}

// barWidth is that of the bar, in characters.
const barWidth = 24

// String returns it as a line that fits a terminal of 80 characters.
func (r reading) String() string {
	elapsed := time.Since(r.meter.start)
	rate := float64(r.done) / max(elapsed.Seconds(), 1e-3)
	if r.meter.total == 0 {
		return fmt.Sprintf("%s, %s a second", countOf(r.done, r.meter.what), thousands(uint64(rate)))
	}
	line := bar(r.done, r.meter.total) + "  " + countOf(r.done, r.meter.what)
	if r.done > 0 && r.done < r.meter.total {
		left := max(1, float64(r.meter.total-r.done)/rate) // whole seconds are near enough
		line += ", " + shortDuration(time.Duration(left)*time.Second) + " left"
	}
	return line
}

// bar draws how far it is, and tells it in percent.
func bar(done, total uint64) string {
	part := min(float64(done)/float64(max(total, 1)), 1)
	filled := int(part * barWidth)
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), int(100*part))
}

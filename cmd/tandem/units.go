package main

import (
	"fmt"
	"time"
)

// byteCount writes a number of bytes for people: 999 B, 1.2 MiB.
func byteCount(n uint64) string {
	const step = 1 << 10
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/step, 0
	const units = "KMGTPE"
	for value >= step-0.05 && unit < len(units)-1 { // which would be written as 1024.0
		value /= step
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// shortDuration writes a duration for people, in few characters: 20 µs, 340 ms, 3.4 s,
// 5m12s, 3h07m, 12d04h.
func shortDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + shortDuration(-d)
	case d < time.Millisecond && d > 0:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond && d > 0:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// millis is shortDuration of a number of milliseconds.
func millis(ms int64) string { return shortDuration(time.Duration(ms) * time.Millisecond) }

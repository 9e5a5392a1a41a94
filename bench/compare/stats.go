package main

import (
	"slices"
	"time"
)

// spread is the median of some measurements, and the least and the most of them.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf returns the spread of values; that of none is zero.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// milliseconds returns a duration as a number.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// microseconds returns a duration as a number.
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// numbers returns one number of each of some things.
func numbers[T any](of []T, number func(T) float64) []float64 {
	var all []float64
	for _, v := range of {
		all = append(all, number(v))
	}
	return all
}

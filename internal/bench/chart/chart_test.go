package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wellFormed reads a document to its end and counts its elements by name.
func wellFormed(t *testing.T, text string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		require.NoError(t, err, "%s", text)
		if e, ok := token.(xml.StartElement); ok {
			counts[e.Name.Local]++
		}
	}
}

func TestChartsAreWellFormed(t *testing.T) {
	awkward := Chart{
		Title: `a < b & "c"`, X: "<x>", Y: "&y", LogX: true, LogY: true,
		Lines: []Line{
			{Name: "<line>", Points: []Point{{0, 1}, {1, 10}, {10, math.Inf(1)}, {100, 1000}, {math.NaN(), 1}}},
			{Name: "dots", Dots: true, Points: []Point{{1, 1}, {2, 2}, {-1, 3}}},
		},
	}
	var b bytes.Buffer
	require.NoError(t, SVG(&b, awkward, Chart{}, Chart{Lines: []Line{{Points: []Point{{5, 5}}}}}))
	counts := wellFormed(t, b.String())
	assert.Equal(t, 1, counts["svg"])
	assert.Equal(t, 3, counts["g"])
	assert.Equal(t, 3, counts["circle"], "two of three, since one is at no place of a logarithm, and a line of one point")
	for _, wrong := range []string{"NaN", "Inf"} {
		assert.NotContains(t, b.String(), wrong)
	}
	b.Reset()
	require.NoError(t, HTML(&b, "a < b", "1 < 2 & 3", awkward))
	counts = wellFormed(t, strings.TrimPrefix(b.String(), "<!DOCTYPE html>"))
	assert.Equal(t, 1, counts["pre"])
	assert.Equal(t, 1, counts["svg"])
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		values []float64
		log    bool
		want   []float64
	}{
		{[]float64{10, 47}, false, []float64{0, 10, 20, 30, 40}},
		{[]float64{0.3}, false, []float64{0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3}},
		{[]float64{3, 4000}, true, []float64{1, 10, 100, 1000, 10000}},
		{nil, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
	} {
		a := newAxis(c.values, c.log, 0, 100)
		assert.InDeltaSlice(t, c.want, a.ticks(), 1e-9, "%v", c.values)
	}
}

func TestPlaces(t *testing.T) {
	a := newAxis([]float64{1, 100}, true, 300, -200)
	for v, want := range map[float64]float64{1: 300, 10: 200, 100: 100} {
		at, ok := a.place(v)
		assert.True(t, ok)
		assert.InDelta(t, want, at, 1e-9)
	}
	_, ok := a.place(0)
	assert.False(t, ok)
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12: "12", 0.25: "0.25", 1500: "1.5k", 2e6: "2M", 3.25e9: "3.25G"} {
		assert.Equal(t, want, Number(v))
	}
}

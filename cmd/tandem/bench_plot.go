package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/bench/chart"
)

// charts are those of an answer.
type charts []chart.Chart

// plotFlag says where to draw the answer.
type plotFlag struct{ plot string }

// addFlags adds the flag.
func (p *plotFlag) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.plot, "plot", "", "draw the answer into this `file`, named .svg or .html")
}

// check returns a usageError if nobody knows what to write.
func (p *plotFlag) check() error {
	switch ext := strings.ToLower(filepath.Ext(p.plot)); {
	case p.plot == "" || ext == ".svg" || ext == ".html":
		return nil
	default:
		return usageErrorf("--plot %s: must end in .svg or .html", p.plot)
	}
}

// checkPlace returns an error if the file cannot be written, as far as that can be seen
// before there is anything to draw: measuring takes long.
func (p *plotFlag) checkPlace() error {
	if p.plot == "" {
		return nil
	}
	f, err := os.OpenFile(p.plot, os.O_WRONLY, 0) // and leaves an earlier plot as it is
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.CreateTemp(filepath.Dir(p.plot), ".tandem-plot-")
		if err == nil {
			defer os.Remove(f.Name())
		}
	}
	if err != nil {
		return failed(fmt.Errorf("--plot %s cannot be written: %w", p.plot, err))
	}
	return f.Close()
}

// write draws the answer, if that is wanted.
func (p *plotFlag) write(title, text string, c charts) error {
	if p.plot == "" {
		return nil
	}
	var b bytes.Buffer
	var err error
	if strings.EqualFold(filepath.Ext(p.plot), ".svg") {
		err = chart.SVG(&b, c...)
	} else {
		err = chart.HTML(&b, title, text, c...)
	}
	if err == nil {
		err = os.WriteFile(p.plot, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("drawing the answer: %w", err)
	}
	return nil
}

// seconds writes a number of seconds at an axis.
func seconds(s float64) string { return shortDuration(time.Duration(s * float64(time.Second))) }

// percent writes the share of operations that are at most as long, of what stands for one
// minus it.
func percent(oneIn float64) string { return fmt.Sprintf("%.6g%%", 100*(1-1/oneIn)) }

// byPercentile returns the latencies of a window as a line: its abscissa is 10 for the
// latency that one of ten operations exceeds, 100 for that of one of a hundred.
func byPercentile(name string, w *bench.Window) chart.Line {
	l := chart.Line{Name: name}
	h := w.Histogram()
	if h == nil {
		return l
	}
	const steps = 8 // to a power of ten
	for at := 0; ; at++ {
		oneIn := math.Pow(10, float64(at)/steps)
		if oneIn > float64(h.TotalCount()) {
			return l
		}
		l.Points = append(l.Points, chart.Point{X: oneIn, Y: float64(h.ValueAtPercentile(100*(1-1/oneIn))) / 1e9})
	}
}

// percentiles is a chart of such lines.
func percentiles(lines ...chart.Line) chart.Chart {
	return chart.Chart{
		Title: "Latency by percentile", X: "share of operations that are at most as long", Y: "latency", LogX: true, LogY: true,
		XName: percent, YName: seconds, Lines: lines,
	}
}

// overTime returns operations per second and longest latencies of windows that followed
// one another, as two charts.
func overTime(names []string, windows []*bench.Window) charts {
	rate := chart.Chart{Title: "Operations per second", X: "time", Y: "operations/s", XName: seconds}
	longest := chart.Chart{Title: "Longest latency in each " + shortDuration(bench.SlotLength), X: "time", Y: "latency", XName: seconds, YName: seconds, LogY: true}
	began := 0.0
	for i, w := range windows {
		r, l := chart.Line{Name: names[i]}, chart.Line{Name: names[i]}
		for at, s := range w.Slots {
			from := time.Duration(at) * bench.SlotLength
			if from+bench.SlotLength > w.Length {
				break // what is left is no whole slot
			}
			x := began + from.Seconds()
			r.Points = append(r.Points, chart.Point{X: x, Y: float64(s.Operations) / bench.SlotLength.Seconds()})
			l.Points = append(l.Points, chart.Point{X: x, Y: s.Longest.Seconds()})
		}
		began += w.Length.Seconds()
		rate.Lines, longest.Lines = append(rate.Lines, r), append(longest.Lines, l)
	}
	return charts{rate, longest}
}

// Package chart draws lines and dots as SVG, alone or in a page of HTML. It needs nothing
// to be looked at but a browser, and draws the same for the same numbers.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Chart is some lines over the same axes.
type Chart struct {
	Title, X, Y string
	LogX, LogY  bool // what is not positive is then left out
	// XName and YName write the numbers at the axes; nil: as Number.
	XName, YName func(float64) string
	Lines        []Line
}

// Line is a number of points.
type Line struct {
	Name   string
	Points []Point
	Dots   bool // they are not joined
}

// Point is a place in a chart. What is not finite is left out.
type Point struct{ X, Y float64 }

// The measures of a chart, in pixels.
const (
	width, height            = 860.0, 360.0
	left, right, top, bottom = 80.0, 200.0, 40.0, 50.0
	ticksAbout               = 6
)

// colours tell lines apart, also for most of those who do not see all of them.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// SVG writes charts, one below the other.
func SVG(w io.Writer, charts ...Chart) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="sans-serif" font-size="12">`+"\n",
		width, height*float64(len(charts)), width, height*float64(len(charts)))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	for i := range charts {
		fmt.Fprintf(&b, `<g transform="translate(0 %g)">`+"\n", height*float64(i))
		charts[i].draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// HTML writes a page with a text, as it stands, and charts.
func HTML(w io.Writer, title, text string, charts ...Chart) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/><title>%s</title></head>\n<body>\n<h1>%s</h1>\n<pre>%s</pre>\n",
		escape(title), escape(title), escape(text))
	if err := SVG(&b, charts...); err != nil {
		return err
	}
	b.WriteString("</body>\n</html>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// Number writes a number in few characters: 12k, 3.5M.
func Number(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size {
			return trimmed(v/unit.size) + unit.name
		}
	}
	return trimmed(v)
}

func trimmed(v float64) string { return fmt.Sprintf("%.4g", v) }

// axis turns numbers into places.
type axis struct {
	log      bool
	from, to float64 // as they are placed: logarithms if log
	at, size float64 // the place of from, and the way to that of to
}

// newAxis returns one on which all values have a place; ok says of a value whether it has.
func newAxis(values []float64, log bool, at, size float64) axis {
	a := axis{log: log, from: math.Inf(1), to: math.Inf(-1), at: at, size: size}
	for _, v := range values {
		if v = a.scaled(v); a.ok(v) {
			a.from, a.to = min(a.from, v), max(a.to, v)
		}
	}
	switch {
	case a.from > a.to: // there is none
		a.from, a.to = 0, 1
	case log:
		a.from, a.to = math.Floor(a.from), math.Ceil(a.to)
	default:
		a.from = min(a.from, 0)
	}
	if a.from == a.to {
		a.to++
	}
	return a
}

func (a *axis) scaled(v float64) float64 {
	if a.log {
		return math.Log10(v)
	}
	return v
}

func (*axis) ok(scaled float64) bool { return !math.IsNaN(scaled) && !math.IsInf(scaled, 0) }

func (a *axis) place(v float64) (float64, bool) {
	v = a.scaled(v)
	return a.at + a.size*(v-a.from)/(a.to-a.from), a.ok(v)
}

// ticks returns the numbers that stand at the axis.
func (a *axis) ticks() (ticks []float64) {
	if a.log {
		for e := a.from; e <= a.to; e++ {
			ticks = append(ticks, math.Pow(10, e))
		}
		return ticks
	}
	step := math.Pow(10, math.Floor(math.Log10((a.to-a.from)/ticksAbout)))
	for _, times := range []float64{1, 2, 5, 10} {
		if (a.to-a.from)/(step*times) <= ticksAbout {
			step *= times
			break
		}
	}
	for v := math.Ceil(a.from/step) * step; v <= a.to+step/1e6; v += step {
		ticks = append(ticks, v)
	}
	return ticks
}

// draw draws the chart at the origin.
func (c *Chart) draw(b *bytes.Buffer) {
	var xs, ys []float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	x := newAxis(xs, c.LogX, left, width-left-right)
	y := newAxis(ys, c.LogY, height-bottom, top+bottom-height)
	fmt.Fprintf(b, `<text x="%g" y="22" font-size="15">%s</text>`+"\n", left, escape(c.Title))
	c.drawAxes(b, &x, &y)
	for i, l := range c.Lines {
		colour := colours[i%len(colours)]
		l.draw(b, &x, &y, colour)
		at := top + 18*float64(i)
		fmt.Fprintf(b, `<rect x="%g" y="%g" width="10" height="10" fill="%s"/><text x="%g" y="%g">%s</text>`+"\n",
			width-right+14, at, colour, width-right+30, at+10, escape(l.Name))
	}
}

// drawAxes draws the frame, the lines across it, and what stands at them.
func (c *Chart) drawAxes(b *bytes.Buffer, x, y *axis) {
	name := func(f func(float64) string, v float64) string {
		if f == nil {
			f = Number
		}
		return escape(f(v))
	}
	for _, v := range x.ticks() {
		at, _ := x.place(v)
		fmt.Fprintf(b, `<path d="M%.1f %g V%g" stroke="#dddddd"/><text x="%.1f" y="%g" text-anchor="middle">%s</text>`+"\n",
			at, top, height-bottom, at, height-bottom+16, name(c.XName, v))
	}
	for _, v := range y.ticks() {
		at, _ := y.place(v)
		fmt.Fprintf(b, `<path d="M%g %.1f H%g" stroke="#dddddd"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, at, width-right, left-6, at+4, name(c.YName, v))
	}
	fmt.Fprintf(b, `<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#444444"/>`+"\n", left, top, width-left-right, height-top-bottom)
	fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", left+(width-left-right)/2, height-12, escape(c.X))
	fmt.Fprintf(b, `<text transform="translate(16 %g) rotate(-90)" text-anchor="middle">%s</text>`+"\n", top+(height-top-bottom)/2, escape(c.Y))
}

// draw draws the line or its dots.
func (l *Line) draw(b *bytes.Buffer, x, y *axis, colour string) {
	var path strings.Builder
	dots := l.Dots || len(l.Points) == 1 // nobody sees a line with one end
	for _, p := range l.Points {
		px, okX := x.place(p.X)
		py, okY := y.place(p.Y)
		switch {
		case !okX || !okY:
		case dots:
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px, py, colour)
		case path.Len() == 0:
			fmt.Fprintf(&path, "M%.1f %.1f", px, py)
		default:
			fmt.Fprintf(&path, " L%.1f %.1f", px, py)
		}
	}
	if path.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), colour)
	}
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

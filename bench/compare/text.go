package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// grid is a table for people.
type grid struct {
	title string
	head  []string
	lines [][]string
	// words is how many columns, from the first, are words; the others are numbers.
	words int
}

func (g *grid) add(cells ...string) { g.lines = append(g.lines, cells) }

// text returns the table, in Markdown or for a terminal. Without lines it is empty.
func (g *grid) text(markdown bool) string {
	if len(g.lines) == 0 {
		return ""
	}
	if markdown {
		return "## " + g.title + "\n\n" + g.markdown() + "\n"
	}
	return g.title + "\n\n" + g.plain() + "\n"
}

func (g *grid) markdown() string {
	var b strings.Builder
	row := func(cells []string) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	row(g.head)
	rule := make([]string, len(g.head))
	for i := range rule {
		if rule[i] = "---"; i >= g.words {
			rule[i] = "---:"
		}
	}
	row(rule)
	for _, cells := range g.lines {
		row(cells)
	}
	return b.String()
}

func (g *grid) plain() string {
	widths := make([]int, len(g.head))
	all := append([][]string{g.head}, g.lines...)
	for _, cells := range all {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, cells := range all {
		var line strings.Builder
		for i, c := range cells {
			blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < g.words {
				line.WriteString(c + blanks + "  ")
			} else {
				line.WriteString(blanks + c + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// text returns the report for people.
func (r *report) text(markdown bool) string {
	var b strings.Builder
	b.WriteString(r.heading(markdown))
	for _, t := range r.Tables {
		b.WriteString(t.rates(r.Settings).text(markdown))
		b.WriteString(t.costs(r.Settings).text(markdown))
	}
	for _, g := range []*grid{r.Open.grid(), r.Failover.grid(), r.Memory.grid(), r.Figures.grid(), r.checkGrid()} {
		b.WriteString(g.text(markdown))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// heading tells when, where and what.
func (r *report) heading(markdown bool) string {
	set, v, m := r.Settings, r.Versions, r.Machine
	lines := []string{
		fmt.Sprintf("%s, %s long; %d rounds of %v after %v, %d keys, values of %d bytes",
			r.Date.UTC().Format("2006-01-02 15:04 UTC"), r.Took.Round(time.Second), set.Rounds, set.Duration, set.Warmup, set.Keys, set.ValueSize),
		fmt.Sprintf("machine: %s, %d cores, %.0f GiB; Linux %s; %s", m.Processor, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, m.System),
		"Tandem: " + v.Tandem, "Redis: " + v.Redis, "etcd: " + v.Etcd,
		"clients: " + v.Go + ", " + strings.Join(v.Clients, ", "),
	}
	if len(r.Tables) > 0 || r.Open != nil {
		lines = append(lines, fmt.Sprintf("all systems together, while nobody used them: %.1f %% of one core", 100*r.Idle))
	}
	if r.Ended != "" {
		lines = append(lines, "not complete, it ended early: "+r.Ended)
	}
	if markdown {
		return "# Tandem beside Redis, etcd and net/rpc\n\n- " + strings.Join(lines, "\n- ") + "\n\n"
	}
	return strings.Join(lines, "\n") + "\n\n"
}

// rates is what the contenders did.
func (t *table) rates(set *settings) *grid {
	return t.grid(set, "operations a second by number of clients, median (least–most)", func(c *cell) string {
		return c.Rate.format(thousands)
	})
}

// costs is what that took.
func (t *table) costs(set *settings) *grid {
	return t.grid(set, "processor time of an operation by number of clients, microseconds, clients + servers, medians", func(c *cell) string {
		return decimals(c.Client.Median) + " + " + decimals(c.Servers.Median)
	})
}

// grid tells one thing of every cell.
func (t *table) grid(set *settings, what string, tell func(*cell) string) *grid {
	g := &grid{title: t.Part + ": " + what, head: []string{"system", "connections", "an answer means"}, words: 3}
	for _, clients := range set.Clients {
		g.head = append(g.head, strconv.Itoa(clients))
	}
	for _, r := range t.Rows {
		line := []string{r.Label, r.Connections, r.Promise}
		for _, c := range r.Cells {
			if c.measured() {
				line = append(line, tell(c))
			} else {
				line = append(line, "–")
			}
		}
		g.add(line...)
	}
	return g
}

func (o *openLoop) grid() *grid {
	g := new(grid)
	if o == nil {
		return g
	}
	g.title = fmt.Sprintf("open loop: latency of %s writes a second, milliseconds, median (least–most)", thousands(o.Rate))
	g.head, g.words = []string{"system", "connections", "an answer means", "half of them", "99 of 100", "not begun"}, 3
	for _, r := range o.Rows {
		var late uint64
		for _, s := range r.Samples {
			late += s.NotBegun
		}
		g.add(r.Label, r.Connections, r.Promise, r.P50.format(decimals), r.P99.format(decimals), strconv.FormatUint(late, 10))
	}
	return g
}

func (f *failover) grid() *grid {
	g := new(grid)
	if f == nil {
		return g
	}
	g.title = fmt.Sprintf("failover: kill -9 of the primary under %d clients, the longest time in which one got no answer, milliseconds", failoverClients)
	g.head, g.words = []string{"system", "an answer means", "trials", "median", "least", "most", "trials with losses", "lost"}, 2
	for _, r := range f.Rows {
		var lost, in uint64
		for _, t := range r.Trials {
			if lost += t.Violations.Lost; t.Violations.Lost > 0 {
				in++
			}
		}
		g.add(r.Label, r.Promise, strconv.Itoa(len(r.Trials)), decimals(r.Gap.Median), decimals(r.Gap.Min), decimals(r.Gap.Max),
			strconv.FormatUint(in, 10), strconv.FormatUint(lost, 10))
	}
	return g
}

func (m *memory) grid() *grid {
	g := new(grid)
	if m == nil {
		return g
	}
	g.title = fmt.Sprintf("memory: %s keys of 16 bytes", thousands(float64(m.Keys)))
	g.head, g.words = []string{"process", "empty, MB", "filled, MB", "at rest, MB", "at rest, bytes per key", "as it says, bytes per key"}, 1
	mb := func(bytes uint64) string { return decimals(float64(bytes) / 1e6) }
	for _, r := range m.Rows {
		says := "–"
		if r.Reported > 0 {
			says = thousands(float64(r.Reported) / float64(m.Keys))
		}
		g.add(r.Label, mb(r.Empty), mb(r.Filled), mb(r.Rest), thousands(float64(r.Rest)/float64(m.Keys)), says)
	}
	return g
}

func (fs figures) grid() *grid {
	g := &grid{
		title: "figures: ratios are of the same round, median (least–most)",
		head:  []string{"what", "value", "aim", "met"}, words: 1,
	}
	for _, f := range fs {
		aim, met := "–", "–"
		if f.Aim > 0 {
			aim, met = "at most ", "no"
			if f.Over {
				aim = "at least "
			}
			aim += strconv.FormatFloat(f.Aim, 'g', -1, 64)
			if f.met() {
				met = "yes"
			}
		}
		g.add(f.Text, f.Value.format(decimals), aim, met)
	}
	return g
}

func (r *report) checkGrid() *grid {
	g := &grid{
		title: "checks: what was acknowledged and not found again, and answers that must not be, in all measurements",
		head:  []string{"system", "failed", "lost", "stale", "twice", "wrong", "for example"}, words: 1,
	}
	for _, c := range r.Checks {
		example := c.Failure
		if len(c.Violations.Examples) > 0 {
			example = c.Violations.Examples[0]
		}
		v, n := c.Violations, func(count uint64) string { return strconv.FormatUint(count, 10) }
		g.add(c.Label, n(c.Failed), n(v.Lost), n(v.Stale), n(v.Duplicated), n(v.Wrong), example)
	}
	return g
}

// format returns the median, and the extremes if they differ.
func (s spread) format(number func(float64) string) string {
	if s.Min == s.Max {
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Min), number(s.Max))
}

// thousands returns a number without decimals, with commas.
func thousands(v float64) string {
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// decimals returns a number with as many decimals as say something.
func decimals(v float64) string {
	switch {
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return thousands(v)
}

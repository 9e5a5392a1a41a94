package diagram

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// small is a primary that crashes while its backup's answer is on the way.
func small() *Diagram {
	return &Diagram{
		Title:   "a small run",
		Verdict: "I5 broken: made up",
		Facts:   []Fact{{"seed", "7"}},
		Unit:    "ms",
		Nodes:   []Node{{"a", "server"}, {"b", "server"}},
		Kinds:   []Kind{{Name: "forwards"}, {Name: "pings", Hidden: true}},
		Spans: []Span{
			{Node: 0, From: 0, To: 20, Look: Primary, Label: "primary of 2, joint", Detail: "(2,a,b)"},
			{Node: 0, From: 20, To: 30, Look: Down, Label: "down"},
			{Node: 1, From: 0, To: 30, Look: Backup, Label: "backup of 2"},
		},
		Messages: []Message{
			{From: 0, To: 1, Sent: 5, Delivered: 9, Kind: 0, Label: "Forward 1", Detail: "Forward of view 2"},
			{From: 1, To: 0, Sent: 9.5, Delivered: 21, Kind: 0, Label: "Acknowledge 1", Fate: Lost},
		},
		Marks: []Mark{
			{Node: 0, At: 20, Sign: Crash, Label: "crash"},
			{Node: -1, At: 30, Sign: Broken, Label: "I5 broken", Detail: "made up"},
		},
	}
}

func html(t *testing.T, d *Diagram) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, d.WriteHTML(&b))
	return b.String()
}

// dataOf reads the data of a page as its script does.
func dataOf(t *testing.T, page string) data {
	t.Helper()
	_, rest, found := strings.Cut(page, `<script type="application/json" id="data">`)
	require.True(t, found, "the page has data")
	text, _, found := strings.Cut(rest, "</script>")
	require.True(t, found)
	var d data
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	return d
}

func TestPageHasEverything(t *testing.T) {
	page := html(t, small())
	require.True(t, strings.HasPrefix(page, "<!DOCTYPE html>"))
	require.True(t, strings.HasSuffix(strings.TrimSpace(page), "</html>"))
	require.Contains(t, page, "<title>a small run</title>")
	require.Contains(t, page, `<p class="verdict failed">I5 broken: made up</p>`)
	require.Contains(t, page, "<dt>seed</dt><dd>7</dd>")
	d := dataOf(t, page)
	require.Equal(t, "ms", d.Unit)
	require.Equal(t, [][]any{{"a", "server"}, {"b", "server"}}, d.Nodes)
	require.Equal(t, [][]any{{"forwards", false}, {"pings", true}}, d.Kinds)
	require.Equal(t, []any{0., 0., 20., float64(Primary), "primary of 2, joint", "(2,a,b)"}, d.Spans[0])
	require.Equal(t, []any{1., 0., 9.5, 21., 0., float64(Lost), 0., 0., 0., "Acknowledge 1", ""}, d.Messages[1])
	require.Equal(t, []any{-1., 30., float64(Broken), "I5 broken", "made up"}, d.Marks[1])
}

// The page must open from a disk without a network: it asks for nothing.
func TestPageNeedsNothingElse(t *testing.T) {
	page := html(t, small())
	for _, outside := range []string{"http:", "https:", "src=", "href=", "@import", "url(", "import(", "fetch("} {
		require.NotContains(t, page, outside)
	}
}

func TestTextIsNeverMarkup(t *testing.T) {
	const bad = `</script><script>alert("1")</script><img src=x>` + "\u2028'\\"
	d := small()
	d.Title, d.Verdict, d.Facts, d.Unit = bad, bad, []Fact{{bad, bad}}, bad
	d.Nodes[0] = Node{bad, bad}
	d.Kinds[0].Name = bad
	d.Spans[0].Label, d.Spans[0].Detail = bad, bad
	d.Messages[0].Label, d.Messages[0].Detail = bad, bad
	d.Marks[0].Label, d.Marks[0].Detail = bad, bad
	page := html(t, d)
	plain := html(t, small())
	for _, tag := range []string{"<script", "</script", "<img", "<style", "</style"} {
		require.Equal(t, strings.Count(plain, tag), strings.Count(page, tag), "%s", tag)
	}
	got := dataOf(t, page)
	require.Equal(t, bad, got.Messages[0][9], "and yet nothing is lost")
	require.Equal(t, bad, got.Nodes[0][0])
}

func TestRunThatHolds(t *testing.T) {
	d := small()
	d.Marks = d.Marks[:1]
	page := html(t, d)
	require.Contains(t, page, `<p class="verdict held">`)
	require.Contains(t, page, `id="failure" title="To where the invariant broke (f)" hidden`)
}

func TestEmptyDiagram(t *testing.T) {
	d := dataOf(t, html(t, &Diagram{}))
	require.Equal(t, data{Nodes: [][]any{}, Kinds: [][]any{}, Spans: [][]any{}, Messages: [][]any{}, Marks: [][]any{}}, d)
}

func TestManyMessages(t *testing.T) {
	d := small()
	d.Messages = nil
	for i := range 20_000 {
		d.Messages = append(d.Messages, Message{From: i % 2, To: 1 - i%2, Sent: float64(i), Delivered: float64(i + 3), Label: fmt.Sprint("m", i)})
	}
	page := html(t, d)
	got := dataOf(t, page)
	require.Len(t, got.Messages, 20_000)
	require.Equal(t, "m19999", got.Messages[19_999][9])
	require.Less(t, len(page), 2<<20, "100 bytes a message at most, beside the page itself")
}

func TestWhatCannotBeDrawnIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(d *Diagram){
		"span of no node":      func(d *Diagram) { d.Spans[0].Node = 2 },
		"span that ends early": func(d *Diagram) { d.Spans[0].To = -1 },
		"span without a look":  func(d *Diagram) { d.Spans[0].Look = numLooks },
		"message from nowhere": func(d *Diagram) { d.Messages[0].From = -1 },
		"message to nowhere":   func(d *Diagram) { d.Messages[0].To = 2 },
		"message before sent":  func(d *Diagram) { d.Messages[0].Delivered = 4 },
		"message of no kind":   func(d *Diagram) { d.Messages[0].Kind = 2 },
		"message of no fate":   func(d *Diagram) { d.Messages[0].Fate = numFates },
		"mark of no node":      func(d *Diagram) { d.Marks[0].Node = -2 },
		"mark of no sign":      func(d *Diagram) { d.Marks[0].Sign = numSigns },
	} {
		d := small()
		spoil(d)
		var b strings.Builder
		require.ErrorContains(t, d.WriteHTML(&b), "cannot be drawn", name)
		require.Zero(t, b.Len(), name)
	}
}

type brokenWriter struct{}

var errFull = errors.New("disk full")

func (brokenWriter) Write([]byte) (int, error) { return 0, errFull }

func TestWriterFails(t *testing.T) {
	require.ErrorIs(t, small().WriteHTML(brokenWriter{}), errFull)
}

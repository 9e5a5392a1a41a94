package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	assert.Equal(t, spread{}, spreadOf(nil))
	assert.Equal(t, spread{3, 3, 3}, spreadOf([]float64{3}))
	assert.Equal(t, spread{2, 1, 9}, spreadOf([]float64{9, 1, 2}))
	assert.Equal(t, spread{2.5, 1, 9}, spreadOf([]float64{9, 1, 2, 3}))
}

// cellOf is a cell of so many clients, with a rate for each round.
func cellOf(clients int, rates ...float64) *cell {
	c := &cell{Clients: clients}
	for i, rate := range rates {
		c.add(sample{Round: 1 + i, PerSecond: rate})
	}
	return c
}

// A ratio is of the same round: what halved both sides does not change it.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := &report{Tables: []*table{{Part: partPut, Rows: []*row{
		{contender: contender{ID: "tandem"}, Cells: []*cell{cellOf(64, 100, 50, 200)}},
		{contender: contender{ID: "etcd"}, Cells: []*cell{cellOf(64, 10, 5, 10)}},
	}}}}
	fs := compareAll(r)
	require.Len(t, fs, 1, "of what was not measured nothing is said")
	assert.Equal(t, spread{10, 10, 20}, fs[0].Value)
	assert.False(t, fs[0].met(), "12 are wanted")
}

// The best of Redis is that at any number of connections.
func TestPeak(t *testing.T) {
	best := cellOf(16, 30, 50)
	table := &table{Rows: []*row{
		{contender: contender{ID: redisAtOnce}, Cells: []*cell{cellOf(1, 10), best}},
		{contender: contender{ID: redisTrips}, Cells: []*cell{cellOf(1, 20), cellOf(16, 39)}},
		{contender: contender{ID: "redis-async"}, Cells: []*cell{cellOf(16, 99)}},
	}}
	assert.Same(t, best, table.peak(redisAtOnce, redisTrips))
	assert.Nil(t, table.peak("etcd"))
}

func TestAims(t *testing.T) {
	r := &report{
		Open: &openLoop{Rows: []*openRow{
			{contender: contender{ID: "tandem"}, Samples: []sample{{P99: 3 * time.Millisecond}}},
			{contender: contender{ID: redisAtOnce}, Samples: []sample{{P99: 2 * time.Millisecond}}},
		}},
		Failover: &failover{Rows: []*failoverRow{{ID: "tandem", Gap: spread{50, 10, 251}}}},
		Memory:   &memory{Rows: []*memoryRow{{ID: "tandem", Rest: 300}, {ID: "redis", Rest: 200}}},
	}
	met := make(map[string]bool)
	for _, f := range compareAll(r) {
		met[f.Text] = f.met()
	}
	assert.Equal(t, map[string]bool{
		"99th percentile of Put at a fixed rate, Tandem / Redis SET, WAIT 1 at once": false,
		"failover of Tandem, median of the longest gaps, ms":                         true,
		"failover of Tandem, the worst of the longest gaps, ms":                      false,
		"memory at rest, Tandem's primary / Redis's":                                 true,
	}, met)
}

func TestGrid(t *testing.T) {
	g := &grid{title: "put", head: []string{"system", "1"}, words: 1}
	assert.Empty(t, g.text(true), "a table without lines is left out")
	g.add("Tandem", spread{1234567, 900, 2e6}.format(thousands))
	assert.Equal(t, "put\n\nsystem                          1\nTandem  1,234,567 (900–2,000,000)\n\n", g.text(false))
	assert.Equal(t, "## put\n\n| system | 1 |\n| --- | ---: |\n| Tandem | 1,234,567 (900–2,000,000) |\n\n", g.text(true))
}

func TestNumbers(t *testing.T) {
	assert.Equal(t, "0.12", decimals(0.1234))
	assert.Equal(t, "12.3", decimals(12.34))
	assert.Equal(t, "1,234", decimals(1234.4))
	assert.Equal(t, "123", thousands(123))
	assert.Equal(t, "1.50", spread{1.5, 1.5, 1.5}.format(decimals))
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--parts", "putt"}, `part "putt": there are put, get, open, failover, memory`},
		{[]string{"--parts", ""}, "no parts: name at least one"},
		{[]string{"--clients", "0"}, "0 clients: must be from 1 to the number of keys, 1000"},
		{[]string{"--clients", "2000"}, "2000 clients: must be from 1 to the number of keys, 1000"},
		{[]string{"--rounds", "0"}, "0 rounds: must be at least one"},
		{[]string{"--trials", "0"}, "0 trials: must be at least one"},
		{[]string{"--duration", "0s"}, "duration 0s: must be more than zero"},
		{[]string{"--keys", "-1"}, "-1 keys: must be at least 256, one for each client"},
		{[]string{"--keys", "100", "--clients", "1"}, "100 keys: must be at least 256, one for each client"},
		{[]string{"--value-size", "3"}, "values of 3 bytes: must be at least 16, to hold what is checked"},
		{[]string{"more"}, `"more": there are no arguments, only flags`},
	} {
		_, err := parse(append(c.args, "--tandem", "x"))
		assert.EqualError(t, err, c.want)
	}
}

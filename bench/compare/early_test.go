package main

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/bench"
)

// fleeting is a system within this process, which is there for so many measurements. If
// it is leaky, it acknowledges writes that it does not carry out.
type fleeting struct {
	leaky bool

	mu   sync.Mutex
	left int // measurements
	open int // clients; while a measurement lasts there are some
	data map[string]string
	puts int
}

var errGone = errors.New("it is gone")

func (f *fleeting) Name() string { return "fleeting" }

func (f *fleeting) Open(context.Context) (bench.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == 0 {
		if f.left == 0 {
			return nil, errGone
		}
		f.left--
	}
	f.open++
	return f, nil
}

func (f *fleeting) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	return nil
}

func (f *fleeting) Put(_ context.Context, key, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.puts++; !f.leaky || f.puts%3 > 0 {
		f.data[key] = value
	}
	return nil
}

func (f *fleeting) Get(_ context.Context, key string) (value string, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok = f.data[key]
	return value, ok, nil
}

// What was measured before a system failed is told, with what was found wrong in it, and
// of the rest nothing is said.
func TestWhatWasMeasuredBeforeAFailureIsTold(t *testing.T) {
	set, err := parse([]string{"--tandem", "x", "--rounds", "3", "--clients", "1,4", "--warmup", "0s", "--duration", "5ms", "--rate", "2000"})
	require.NoError(t, err)
	// In the first round each is measured with one client and with four, and Tandem is the
	// first; in the second it is the last.
	for name, c := range map[string]struct {
		there  map[string]int // for how many measurements
		want   map[string]int
		ratios int
	}{
		"at once":             {map[string]int{}, map[string]int{}, 0},
		"after the first":     {map[string]int{"tandem": 9}, map[string]int{"tandem": 1}, 0},
		"in the first round":  {map[string]int{"tandem": 1, "redis-wait": 9}, map[string]int{"tandem": 1, "redis-wait": 1}, 1},
		"in the second round": {map[string]int{"tandem": 9, "redis-wait": 2}, map[string]int{"tandem": 2, "redis-wait": 2}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			contenders := func() (all []contender) {
				for _, id := range []string{"tandem", "redis-wait"} {
					all = append(all, contender{ID: id, Label: id, system: &fleeting{left: c.there[id], data: map[string]string{}, leaky: id == "tandem"}})
				}
				return all
			}
			p := newProgress(100)
			defer p.clear()
			r := &report{Date: time.Now(), Settings: set}
			puts, err := closedLoops(t.Context(), set, partPut, bench.Put, contenders(), p)
			require.ErrorIs(t, err, errGone)
			r.Ended = err.Error()
			r.Tables = append(r.Tables, puts)
			r.conclude()

			got := map[string]int{}
			for _, table := range r.Tables {
				for _, row := range table.Rows {
					for _, cell := range row.Cells {
						got[row.ID] += len(cell.Samples)
					}
				}
			}
			require.True(t, maps.Equal(c.want, got), "%v, want %v", got, c.want)
			require.Equal(t, len(c.want) > 0, r.measured())
			require.Equal(t, len(c.want) > 0, r.tandemBroken(), "it lost what it had acknowledged")
			require.Len(t, r.Checks, len(c.want))
			require.Len(t, r.Figures, c.ratios)
			require.Equal(t, c.want["tandem"] == 1, strings.Contains(r.text(false), " –\n"), "%s", r.text(false))
		})
	}
}

// An open loop that fails is told as far as it went.
func TestOpenLoopThatFails(t *testing.T) {
	set, err := parse([]string{"--tandem", "x", "--rounds", "2", "--warmup", "0s", "--duration", "5ms", "--rate", "2000"})
	require.NoError(t, err)
	p := newProgress(100)
	defer p.clear()
	r := &report{Settings: set}
	r.Open, err = openLoops(t.Context(), set, []contender{
		{ID: "tandem", system: &fleeting{left: 1, data: map[string]string{}}},
		{ID: "redis-wait", system: &fleeting{}},
	}, nil, p)
	require.ErrorIs(t, err, errGone)
	r.conclude()
	require.True(t, r.measured())
	require.Len(t, r.Open.Rows, 1)
	require.Len(t, r.Open.find("tandem").Samples, 1)
	require.Empty(t, r.Figures)
}

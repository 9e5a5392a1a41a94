package simulation

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "run this seed alone, and tell its hash and coverage")
	seedsFlag   = flag.String("seeds", "", "run these seeds, as in 1:20000")
	workersFlag = flag.Int("workers", 2, "seeds that run at the same time")
	moreFlag    = flag.Bool("more", false, "with -seeds: go on after a failure, and count failures by invariant")
	pictureFlag = flag.String("picture", "", "write porcupine's picture of a history that is not linearizable into this directory")
)

// The seeds of an ordinary run: always the same, and some that nobody has seen.
const (
	fixedSeeds = 250
	freshSeeds = 250
	shortSeeds = 30
)

// seeds returns the seeds to run.
func seeds(t *testing.T) []uint64 {
	var list []uint64
	add := func(from, to uint64) {
		for s := from; s <= to; s++ {
			list = append(list, s)
		}
	}
	switch {
	case *seedFlag != 0:
		add(*seedFlag, *seedFlag)
	case *seedsFlag != "":
		var from, to uint64
		_, err := fmt.Sscanf(*seedsFlag, "%d:%d", &from, &to)
		require.NoError(t, err, "-seeds %s", *seedsFlag)
		add(from, to)
	case testing.Short():
		add(1, shortSeeds)
	default:
		add(1, fixedSeeds)
		fresh := uint64(time.Now().UnixNano()) % 1_000_000_000 * 1000
		t.Logf("fresh seeds: -seeds %d:%d", fresh, fresh+freshSeeds-1)
		add(fresh, fresh+freshSeeds-1)
	}
	return list
}

// TestSeeds runs whole worlds. What each of them checks is said in the package's
// comment: I1 to I13 after every event; linearizability, S1, S5 and P1 at the end.
func TestSeeds(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // worlds are small, and soon gone
	start := time.Now()
	var mu sync.Mutex
	var total Coverage
	failures := make(map[string][]uint64)
	list := seeds(t)
	next := 0
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= len(list) || (len(failures) > 0 && !*moreFlag) {
			return 0, false
		}
		next++
		return list[next-1], true
	}
	var wait sync.WaitGroup
	for range *workersFlag {
		wait.Go(func() {
			for seed, ok := take(); ok; seed, ok = take() {
				report, err := Run(Draw(seed))
				mu.Lock()
				total.Add(&report.Coverage)
				if *seedFlag != 0 {
					t.Logf("seed %d has hash %016x", seed, report.Hash)
				}
				var f *Failure
				if errors.As(err, &f) {
					failures[f.Invariant] = append(failures[f.Invariant], seed)
					if !*moreFlag {
						t.Errorf("\n%s", f.Story())
						picture(t, f)
					} else {
						t.Log(f.Error())
					}
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if *moreFlag {
		for name, list := range failures {
			t.Errorf("%s: %d seeds, %v", name, len(list), list[:min(len(list), 10)])
		}
	}
	if *seedFlag != 0 || *seedsFlag != "" {
		t.Logf("%.0f events a second\n%s", float64(total.Events)/time.Since(start).Seconds(), &total)
	}
	if len(list) >= fixedSeeds {
		require.Empty(t, total.Missing(), "never happened in %d seeds", len(list))
	}
}

// picture writes porcupine's picture of a history, if that is what failed.
func picture(t *testing.T, f *Failure) {
	if f.Invariant != "Linearizable" || *pictureFlag == "" {
		return
	}
	path := filepath.Join(*pictureFlag, fmt.Sprintf("seed%d.html", f.Seed))
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, Picture(f.History, judging, file))
	t.Logf("the history is drawn in %s", path)
}

func TestOneSeedIsOneRun(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		first, err := Run(Draw(seed))
		require.NoError(t, err)
		second, err := Run(Draw(seed))
		require.NoError(t, err)
		require.Equal(t, first.Hash, second.Hash, "seed %d", seed)
		require.Equal(t, first.History, second.History, "seed %d", seed)
		require.Equal(t, first.Coverage, second.Coverage, "seed %d", seed)
	}
}

func TestSeedsDiffer(t *testing.T) {
	one, err := Run(Draw(1))
	require.NoError(t, err)
	two, err := Run(Draw(2))
	require.NoError(t, err)
	require.NotEqual(t, one.Hash, two.Hash)
}

func TestFailureSaysHowToReplayIt(t *testing.T) {
	w := New(Draw(7))
	f := w.Try(func() {
		w.RunFor(500)
		w.fail("I5", "made up")
	})
	require.NotNil(t, f)
	require.Equal(t, "I5", f.Invariant)
	story := f.Story()
	require.Contains(t, story, "replay: go run ./cmd/tandem simulate --seed 7\n")
	require.Contains(t, story, "made up")
	require.Greater(t, strings.Count(story, "\n"), 20, "the last events, one a line")
}

func TestReplayTellsWhatIsNotDrawn(t *testing.T) {
	o := Draw(7)
	o.Servers, o.Clients, o.Keys, o.Ops = 4, 9, 7, 1000
	require.NoError(t, o.Faults.Only("crash", "cancel"))
	require.Equal(t, "go run ./cmd/tandem simulate --seed 7 --servers 4 --clients 9 --keys 7 --ops 1000 --faults crash,cancel", o.Replay())
	o.Schedule = new(Schedule)
	require.Contains(t, o.Replay(), "--options options.json")
}

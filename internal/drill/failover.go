package drill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/pause"
	"github.com/tandemkv/tandem/sysmonitor"
)

// Fault is what happens to the primary.
type Fault string

// The faults.
const (
	Kill     Fault = "kill"     // kill -9
	Freeze   Fault = "freeze"   // SIGSTOP, and SIGCONT when another serves
	Shutdown Fault = "shutdown" // it is asked to leave in order
)

// Faults returns all faults.
func Faults() []Fault { return []Fault{Kill, Freeze, Shutdown} }

// FailoverConfig says what trials to make.
type FailoverConfig struct {
	Settings
	Fault       Fault
	Trials      int
	Load        bench.Load // whose Warmup and Duration mean nothing
	Connections bench.Connections

	// Progress, which may be nil, is told how many trials are done, and of what the load
	// tells before.
	Progress func(trials int, p bench.Progress)
}

// Check returns an error that names what is wrong.
func (c *FailoverConfig) Check() error {
	switch {
	case !slices.Contains(Faults(), c.Fault):
		return fmt.Errorf("fault %q: must be %s, %s or %s", c.Fault, Kill, Freeze, Shutdown)
	case c.Trials < 1:
		return fmt.Errorf("%d trials: must be one at least", c.Trials)
	case c.Servers < 2:
		return fmt.Errorf("%d servers: must be two at least", c.Servers)
	case c.Load.Rate != 0:
		return errors.New("a rate: clients must not be idle, or nobody could say how long they had no answer")
	}
	return c.Load.Check()
}

// FailoverResult is what came of the trials.
type FailoverResult struct {
	Fault  Fault      `json:"fault"`
	Load   bench.Load `json:"load"`
	Trials []Trial    `json:"trials"`
	// Interrupted: there should have been more trials, and not everything was read back.
	Interrupted bool `json:"interrupted"`
	// Min to Max are of the trials' gaps.
	Min    time.Duration `json:"min_ns"`
	Median time.Duration `json:"median_ns"`
	P90    time.Duration `json:"p90_ns"`
	Max    time.Duration `json:"max_ns"`
	// Undisturbed is the longest gap in the times between trials, when nothing was
	// wrong: what of a gap is the load's and the machine's.
	Undisturbed time.Duration `json:"undisturbed_ns"`
	PerSecond   float64       `json:"per_second"` // operations, undisturbed
	// OtherViews counts changes of view in those times, for which there was no cause.
	OtherViews uint                      `json:"other_view_changes"`
	Failures   map[string]bench.Failures `json:"failures"`
	Violations bench.Violations          `json:"violations"`
}

// Trial is one fault.
type Trial struct {
	// Gap is the longest time between two answers to one client, of all clients, from the
	// fault until each had an answer from the next primary.
	Gap time.Duration `json:"gap_ns"`
	// Silence is the longest time without an answer to any client.
	Silence time.Duration `json:"silence_ns"`
	// Active is how long after the fault the next view was seen to be active.
	Active time.Duration `json:"active_ns"`
	// Return is how long it took until the server was back and in sync, under load.
	Return time.Duration `json:"return_ns"`
	Views  uint          `json:"views"` // that were made for the fault
	Rules  []string      `json:"rules"` // by which
}

// failover is a run of trials.
type failover struct {
	cfg   FailoverConfig
	group *Group
	load  *bench.Running
	rng   *rand.Rand
	res   *FailoverResult
	calm  calm
}

// Failover makes trials: each waits until a backup is in sync, lets the load go on for a
// moment, does something to the primary, and waits until every client has had an answer
// from the next. Then the load stands still while all is read back that was written, and
// the server returns. When ctx ends after a trial, the result is of those that were made.
// The error is about what keeps it from a trial; what clients were
// told that must not be stands in the result.
func Failover(ctx context.Context, cfg FailoverConfig) (*FailoverResult, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Progress == nil {
		cfg.Progress = func(int, bench.Progress) {}
	}
	f := &failover{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Load.Seed, 1)),
		res: &FailoverResult{Fault: cfg.Fault, Failures: make(map[string]bench.Failures)}}
	var err error
	if f.group, err = Up(ctx, cfg.Settings); err != nil {
		return nil, err
	}
	err = f.perform(ctx)
	if ctx.Err() != nil && len(f.res.Trials) > 0 {
		f.res.Interrupted, err = true, nil
	}
	if err = errors.Join(err, f.group.Kill()); err != nil {
		return nil, err
	}
	f.sum()
	return f.res, nil
}

// perform makes the trials.
func (f *failover) perform(ctx context.Context) error {
	if _, err := f.group.Well(ctx); err != nil {
		return err
	}
	system, err := bench.NewTandem(f.group.Monitor(), f.cfg.Connections)
	if err != nil {
		return err
	}
	defer system.Close()
	f.load, err = bench.Start(ctx, system, f.cfg.Load, func(p bench.Progress) { f.cfg.Progress(len(f.res.Trials), p) })
	if err != nil {
		return err
	}
	defer f.load.Close()
	f.res.Load = f.load.Load()
	for len(f.res.Trials) < f.cfg.Trials {
		f.cfg.Progress(len(f.res.Trials), bench.Progress{Stage: "trials"})
		if err := f.trial(ctx); err != nil {
			return errors.Join(f.load.Err(), fmt.Errorf("trial %d: %w", 1+len(f.res.Trials), err))
		}
		f.res.Violations = f.load.Violations()
	}
	err = f.load.ReadBack(ctx, true)
	f.res.Violations = f.load.Violations()
	return err
}

// trial makes one trial.
func (f *failover) trial(ctx context.Context) error {
	before, err := f.undisturbed(ctx)
	if err != nil {
		return err
	}
	victim := f.group.Find(before.View.Primary)
	if victim == nil {
		return fmt.Errorf("the primary %s is none of the servers", before.View.Primary)
	}
	began := time.Now()
	if err := f.strike(ctx, victim); err != nil {
		return err
	}
	old := before.View.PrimaryServer()
	st, err := f.group.Await(ctx, "another primary", func(st *sysmonitor.Status) bool {
		return st.Active > before.View.Viewnum && st.Active == st.View.Viewnum && st.View.PrimaryServer() != old
	})
	if err != nil {
		return err
	}
	t := Trial{Active: time.Since(began), Views: st.View.Viewnum - before.View.Viewnum, Rules: rulesSince(st, before.View.Viewnum)}
	if err := f.answered(ctx, time.Now()); err != nil {
		return err
	}
	w := f.cut()
	t.Gap, t.Silence = w.LongestGap, w.LongestSilence
	if err := f.load.ReadBack(ctx, false); err != nil {
		return err
	}
	back := time.Now()
	if err := f.mend(ctx, victim); err != nil {
		return err
	}
	if _, err := f.group.Well(ctx); err != nil {
		return err
	}
	t.Return = time.Since(back)
	f.res.Trials = append(f.res.Trials, t)
	return nil
}

// calmLeast is how long the load goes on undisturbed before a fault, at least; up to a
// ping interval comes on top, so that the fault may come at any moment between two pings.
const calmLeast = 300 * time.Millisecond

// undisturbed lets the load go on for a moment in which nothing happens, and returns what
// the view service knows at its end.
func (f *failover) undisturbed(ctx context.Context) (*sysmonitor.Status, error) {
	st, err := f.group.Well(ctx)
	if err != nil {
		return nil, err
	}
	f.cut()
	if err := pause.For(ctx, calmLeast+time.Duration(f.rng.Int64N(int64(st.PingInterval)))); err != nil {
		return nil, err
	}
	now, err := f.group.Well(ctx)
	if err != nil {
		return nil, err
	}
	f.calm.add(f.cut())
	f.res.OtherViews += now.View.Viewnum - st.View.Viewnum
	return now, nil
}

// cut ends a window.
func (f *failover) cut() *bench.Window {
	w := f.load.Cut()
	addFailures(f.res.Failures, w)
	return w
}

// strike does to a server what is to be done.
func (f *failover) strike(ctx context.Context, s *Server) error {
	switch f.cfg.Fault {
	case Kill:
		return s.proc.Kill()
	case Freeze:
		return s.proc.Freeze()
	}
	if err := s.proc.Leave(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not leave in %v", patience))
	defer cancel()
	select {
	case <-s.proc.Done():
		return s.proc.Err()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", s.Name, context.Cause(ctx))
	}
}

// mend brings a server back.
func (f *failover) mend(ctx context.Context, s *Server) error {
	if f.cfg.Fault == Freeze {
		return s.proc.Thaw()
	}
	return f.group.Start(ctx, s)
}

// answered waits until every client has had an answer since a moment.
func (f *failover) answered(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if _, all := f.load.Waiting(since); all {
			return nil
		}
		if err := pause.For(ctx, lookPause); err != nil {
			return fmt.Errorf("wait until every client has an answer from the next primary: %w", err)
		}
	}
}

// rulesSince returns the rules by which the views after one were made.
func rulesSince(st *sysmonitor.Status, number uint) (rules []string) {
	made := number
	for _, c := range st.History {
		if c.View.Viewnum > made {
			made = c.View.Viewnum
			rules = append(rules, c.Rule)
		}
	}
	return rules
}

// calm is what was measured between trials.
type calm struct {
	operations float64
	time       time.Duration
	gap        time.Duration
}

func (c *calm) add(w *bench.Window) {
	c.operations += w.PerSecond * w.Length.Seconds()
	c.time += w.Length
	c.gap = max(c.gap, w.LongestGap)
}

// sum sums the trials up.
func (f *failover) sum() {
	var gaps []time.Duration
	for _, t := range f.res.Trials {
		gaps = append(gaps, t.Gap)
	}
	slices.Sort(gaps)
	r := f.res
	r.Min, r.Max = gaps[0], gaps[len(gaps)-1]
	r.Median, r.P90 = Quantile(gaps, 0.5), Quantile(gaps, 0.9)
	r.Undisturbed, r.PerSecond = f.calm.gap, f.calm.operations/max(f.calm.time.Seconds(), 1e-9)
}

// Quantile returns the smallest of sorted values that is not less than a share of them
// are; of an even number the median is thus the lower of the two in the middle.
func Quantile[T any](sorted []T, share float64) T {
	at := int(math.Ceil(share*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

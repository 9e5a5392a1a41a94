package torture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tandemkv/tandem/internal/workload"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// run is one run. Its methods are for the goroutine of Run, but violate.
type run struct {
	cfg   Config
	kinds []*kind
	ctx   context.Context // of the caller
	rng   *rand.Rand
	began time.Time

	group       *group
	clients     []*kvservice.KVClient
	clientNames []string
	history     *workload.History
	keys        *workload.Keys

	lastView, firstView sysmonitor.View
	cuts                map[way]int
	lasting             []ending // the faults that are on
	timeline            []Struck // the faults that have ended
	faultsLasted        time.Duration
	cutShort            string // why it ended early; empty: it did not

	mu     sync.Mutex
	broken []string
}

// Run tortures a cluster. The directory has then what is told in Files, and the
// report tells the rest. If the context ends, it ends early: what was done so far is
// judged. The error is about what keeps it from beginning, such as a wrong Config, or
// processes that cannot be started; nothing runs any more in any case.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	kinds, err := cfg.kinds()
	if err != nil {
		return nil, err
	}
	r := &run{
		cfg: cfg, kinds: kinds, ctx: ctx, rng: rand.New(rand.NewPCG(cfg.Seed, 0)), began: time.Now(),
		keys: workload.NewKeys(max(4, cfg.Clients)), cuts: make(map[way]int),
	}
	if err := r.perform(); err != nil {
		return nil, err
	}
	j := r.history.Judge(context.WithoutCancel(ctx), judges, func(judged, keys int) {
		r.progress("judging what the clients were told: %d of %d keys", judged, keys)
	})
	return r.report(j), nil
}

// judges is how many keys are judged at once.
const judges = 2

// perform is all but the judgement.
func (r *run) perform() (err error) {
	words, err := os.Create(filepath.Join(r.cfg.Dir, "clients.log"))
	if err != nil {
		return fmt.Errorf("make the log of the clients: %w", err)
	}
	defer words.Close()
	r.group, err = newGroup(&r.cfg)
	defer func() {
		if stopped := r.group.stop(); err == nil {
			r.must(stopped)
		}
	}()
	if err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	defer r.closeClients()
	r.makeClients(slog.New(&watchful{Handler: slog.NewTextHandler(words, nil), r: r}))
	r.torment()
	return nil
}

// begin starts everything, and waits until it is well.
func (r *run) begin() error {
	for _, p := range r.group.all() {
		if err := r.group.start(r.ctx, p); err != nil {
			return err
		}
	}
	if !r.waitWell(r.ctx) {
		return errors.Join(r.ctx.Err(), fmt.Errorf("no backup came to be in sync within %v", patience))
	}
	r.firstView = r.lastView
	return nil
}

// torment has clients work, under faults for a time; then under none, until all is
// answered.
func (r *run) torment() {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	r.history = workload.NewHistory()
	w := workload.Start(ctx, workload.Load{History: r.history, Keys: r.keys, Seed: r.cfg.Seed, Clients: r.workers()})
	defer w.Wait()
	defer cancel() // if this ends early

	for r.now() < r.cfg.Duration && r.goesOn() {
		r.step(ctx)
		r.progress("%v of %v: %d operations, %d faults, view %d", r.now().Round(time.Second), r.cfg.Duration,
			r.history.Counts().All(), len(r.timeline), r.lastView.Viewnum)
	}
	r.faultsLasted = r.now()
	r.progress("all faults end")
	r.healAll(ctx)
	w.Stop()
	if !r.wait(ctx, func() bool { return w.Running() == 0 }) && r.goesOn() {
		r.violate("P1: all faults have ended, and %d clients wait for an answer longer than %v", w.Running(), patience)
	}
	cancel()
	w.Wait()
	r.lastReads()
	r.lookAfter()
	if r.ctx.Err() != nil {
		r.cutShortBy("it was interrupted")
	}
}

// goesOn reports whether nothing has happened that ends the run.
func (r *run) goesOn() bool {
	return r.ctx.Err() == nil && r.cutShort == "" && len(r.violations()) == 0
}

// pauseMax is how long it takes at most from one fault to another.
const pauseMax = 400 * time.Millisecond

// faultsAtOnce is how many may last at the same time.
const faultsAtOnce = 3

// step ends the faults whose time has come, and begins another; now and then it
// ends all of them and waits until the group is well, so that what needs a group in
// sync can happen again.
func (r *run) step(ctx context.Context) {
	r.lookAfter()
	if r.rng.IntN(20) == 0 {
		r.healAll(ctx)
		if !r.waitWell(ctx) && r.goesOn() {
			r.violate("P1: all faults were ended, and no backup is in sync after %v", patience)
		}
		return
	}
	due := time.Now()
	r.end(func(e ending) bool { return e.at.Before(due) })
	if len(r.lasting) < faultsAtOnce {
		k := r.drawKind()
		k.begin(r, k)
	}
	select {
	case <-time.After(r.upTo(pauseMax)):
	case <-ctx.Done():
	}
}

// drawKind draws a kind of fault.
func (r *run) drawKind() *kind {
	all := 0
	for _, k := range r.kinds {
		all += k.weight
	}
	at := r.rng.IntN(all)
	for _, k := range r.kinds {
		if at -= k.weight; at < 0 {
			return k
		}
	}
	panic("a draw beyond all weights")
}

// lookAfter looks whether a process has ended that should not have, and asks for the
// view.
func (r *run) lookAfter() {
	for _, p := range r.group.all() {
		if !p.ending && !p.runs() {
			end, _ := p.proc.Ended()
			r.violate("%s has ended by itself: %v", p, &end)
			p.ending = true // it is told once
		}
	}
	r.ask()
}

// askingMax bounds a question to the view service, which may be frozen.
const askingMax = time.Second

// ask asks the view service what it knows, not over the network, and reports false if
// it does not answer.
func (r *run) ask() (*sysmonitor.Status, bool) {
	if m := r.group.monitor; !m.runs() || m.frozen {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(r.ctx, askingMax)
	defer cancel()
	st, err := r.group.asking.Status(ctx)
	if err != nil {
		return nil, false
	}
	if st.View.Viewnum < r.lastView.Viewnum {
		r.violate("I1: the view service announced view %d, and then view %d", r.lastView.Viewnum, st.View.Viewnum)
	}
	r.lastView = st.View
	return st, true
}

// waitWell waits until a view is active that has a backup, which is then in sync
// (I8), and reports whether it came.
func (r *run) waitWell(ctx context.Context) bool {
	return r.wait(ctx, func() bool {
		r.lookAfter()
		st, ok := r.ask()
		return ok && st.View.Backup != "" && st.Active == st.View.Viewnum
	})
}

// wait polls a condition until it is met, which it reports, or there is no more
// patience, or the run is to end.
func (r *run) wait(ctx context.Context, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		if !r.goesOn() {
			return false
		}
	}
	return true
}

// now is the time since the clients began.
func (r *run) now() time.Duration { return time.Since(r.history.Start()) }

func (r *run) progress(format string, args ...any) {
	if r.cfg.Progress != nil {
		r.cfg.Progress(format, args...)
	}
}

// cutShortBy notes why the run ends early; the first reason counts.
func (r *run) cutShortBy(why string) {
	if r.cutShort == "" {
		r.cutShort = why
	}
}

// violate notes that something is broken. Any goroutine may do it.
func (r *run) violate(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

// violations returns what is broken.
func (r *run) violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.broken...)
}

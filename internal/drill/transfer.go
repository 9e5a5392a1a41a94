package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/pause"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// TransferConfig says what is brought up to date, and under which load.
type TransferConfig struct {
	Settings            // Servers means nothing: there are two
	Load     bench.Load // Keys and ValueSize are those of the store; Warmup and Duration mean nothing
	Share    float64    // of the peak, that the rate is, if Load.Rate is zero
	// Phase is how long is measured before and after, and for the peak.
	Phase time.Duration
	// Absence zero: a new server joins, which has nothing. Otherwise the backup is frozen
	// for so long, and comes back with all that it had.
	Absence     time.Duration
	Connections bench.Connections

	// Progress, which may be nil, is told what is done, and of what the load tells.
	Progress func(stage string, p bench.Progress)
}

// Check returns an error that names what is wrong.
func (c *TransferConfig) Check() error {
	switch {
	case c.Load.Rate == 0 && !(c.Share > 0 && c.Share <= 1):
		return fmt.Errorf("a load of %v of the peak: must be more than 0 and at most 1", c.Share)
	case c.Phase <= 0:
		return fmt.Errorf("phases of %v: must be more than nothing", c.Phase)
	case c.Absence < 0:
		return fmt.Errorf("absence %v: must not be negative", c.Absence)
	}
	return c.Load.Check()
}

// TransferResult is what came of it.
type TransferResult struct {
	Load bench.Load    `json:"load"`
	Peak *bench.Result `json:"peak,omitempty"` // a closed loop before; nil if the rate was given

	// The load before; while the backup was away (nil if a new one joined); from the start
	// or return of the backup until 100 ms after it was in sync, for what began before that
	// has to be answered; and after.
	Before *bench.Window `json:"before"`
	Absent *bench.Window `json:"absent,omitempty"`
	During *bench.Window `json:"during"`
	After  *bench.Window `json:"after"`

	// Frozen is how long the backup was: for the absence, and until it had been taken for
	// dead and the primary served alone. Zero if a new one joined.
	Frozen time.Duration `json:"frozen_ns"`
	Named  time.Duration `json:"named_ns"` // until the server was backup of a view, from its start or return
	Took   time.Duration `json:"took_ns"`  // from then on, until it was in sync

	StoreBytes       uint64 `json:"store_bytes"`       // of keys and values
	OverwrittenKeys  int    `json:"overwritten_keys"`  // from the start or end of the absence, until in sync
	OverwrittenBytes uint64 `json:"overwritten_bytes"` // of their keys and values
	AbsentKeys       int    `json:"absent_keys"`       // overwritten while the backup was away
	Delta            bool   `json:"delta"`             // only what it lacked was sent (T4)

	// Resident bytes of the processes, the most in each phase. Zero where the system does
	// not tell.
	PrimaryBefore uint64 `json:"primary_before_bytes"`
	PrimaryDuring uint64 `json:"primary_during_bytes"`
	PrimaryAfter  uint64 `json:"primary_after_bytes"`
	BackupDuring  uint64 `json:"backup_during_bytes"`

	Failures   map[string]bench.Failures `json:"failures"`
	Violations bench.Violations          `json:"violations"`
}

// PerSecond returns how many bytes of keys and values were brought over in a second; of
// a delta that would mean nothing.
func (r *TransferResult) PerSecond() float64 {
	return float64(r.StoreBytes) / max(r.Took.Seconds(), 1e-9)
}

// transfer is one run.
type transfer struct {
	cfg     TransferConfig
	group   *Group
	primary *Server
	backup  *Server // the one that was killed or frozen, or that is new
	load    *bench.Running
	res     *TransferResult
}

// Transfer fills a store and has a backup brought up to date under load: one that is new,
// or one that was away. Then all is read back. The error is about what keeps it from
// measuring; what clients were told that must not be stands in the result.
func Transfer(ctx context.Context, cfg TransferConfig) (*TransferResult, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string, bench.Progress) {}
	}
	cfg.Servers = 2
	x := &transfer{cfg: cfg, res: &TransferResult{Failures: make(map[string]bench.Failures)}}
	var err error
	if x.group, err = Up(ctx, cfg.Settings); err != nil {
		return nil, err
	}
	err = x.perform(ctx)
	if err = errors.Join(err, x.group.Kill()); err != nil {
		return nil, err
	}
	return x.res, nil
}

func (x *transfer) perform(ctx context.Context) error {
	st, err := x.group.Well(ctx)
	if err != nil {
		return err
	}
	x.primary, x.backup = x.group.Find(st.View.Primary), x.group.Find(st.View.Backup)
	system, err := bench.NewTandem(x.group.Monitor(), x.cfg.Connections)
	if err != nil {
		return err
	}
	defer system.Close()
	if x.cfg.Load.Rate == 0 {
		if err := x.peak(ctx, system); err != nil {
			return err
		}
	}
	if x.cfg.Absence == 0 {
		if err := x.loseBackup(ctx); err != nil {
			return err
		}
	}
	x.load, err = bench.Start(ctx, system, x.cfg.Load, func(p bench.Progress) { x.cfg.Progress(p.Stage, p) })
	if err != nil {
		return err
	}
	defer x.load.Close()
	x.res.Load = x.load.Load()
	if err := x.measure(ctx); err != nil {
		return errors.Join(x.load.Err(), err)
	}
	x.load.Stop()
	err = x.load.ReadBack(ctx, true)
	x.res.Violations = x.load.Violations()
	return err
}

// peakKeys bounds the keys with which the peak is measured.
const peakKeys = 10_000

// peak measures what the pair does at most, and sets the rate to the share of it.
func (x *transfer) peak(ctx context.Context, system bench.System) (err error) {
	l := x.cfg.Load
	l.Keys, l.Warmup, l.Duration = min(l.Keys, max(peakKeys, l.Clients)), x.cfg.Phase/4, x.cfg.Phase
	x.res.Peak, err = bench.Run(ctx, system, l, func(p bench.Progress) { x.cfg.Progress("peak: "+p.Stage, p) })
	if err != nil {
		return fmt.Errorf("measure the peak: %w", err)
	}
	x.cfg.Load.Rate = x.cfg.Share * x.res.Peak.PerSecond
	if x.cfg.Load.Rate == 0 {
		return errors.New("measure the peak: nothing was answered")
	}
	return nil
}

// loseBackup kills the backup, and waits until the primary serves alone.
func (x *transfer) loseBackup(ctx context.Context) error {
	if err := x.backup.proc.Kill(); err != nil {
		return err
	}
	_, err := x.group.Await(ctx, "a primary that serves alone", alone)
	return err
}

func alone(st *sysmonitor.Status) bool {
	return st.View.Backup == "" && st.View.Primary != "" && st.Active == st.View.Viewnum
}

// measure is what happens under load.
func (x *transfer) measure(ctx context.Context) (err error) {
	r := x.res
	l := x.load.Load()
	r.StoreBytes = uint64(l.Keys) * uint64(bench.KeySize+l.ValueSize)
	x.cfg.Progress("before", bench.Progress{})
	if r.Before, r.PrimaryBefore, err = x.phase(ctx); err != nil {
		return err
	}
	deltas, err := x.deltas(ctx)
	if err != nil {
		return err
	}
	if x.cfg.Absence > 0 {
		if err := x.absence(ctx); err != nil {
			return err
		}
	}
	if err := x.catchUp(ctx); err != nil {
		return err
	}
	x.cfg.Progress("after", bench.Progress{})
	if r.After, r.PrimaryAfter, err = x.phase(ctx); err != nil {
		return err
	}
	now, err := x.deltas(ctx)
	r.Delta = now > deltas
	return err
}

// phase measures a time in which nothing happens.
func (x *transfer) phase(ctx context.Context) (*bench.Window, uint64, error) {
	memory := watchMemory(x.primary.proc.Local())
	defer memory.stop()
	x.cut()
	if err := pause.For(ctx, x.cfg.Phase); err != nil {
		return nil, 0, err
	}
	return x.cut(), memory.stop(), x.load.Err()
}

// absence freezes the backup for a time.
func (x *transfer) absence(ctx context.Context) error {
	x.cfg.Progress("absent", bench.Progress{})
	marks := x.load.Mark()
	x.cut()
	if err := x.backup.proc.Freeze(); err != nil {
		return err
	}
	frozen := time.Now()
	if err := pause.For(ctx, x.cfg.Absence); err != nil {
		return err
	}
	if _, err := x.group.Await(ctx, "a primary that serves alone", alone); err != nil {
		return err
	}
	x.res.Frozen, x.res.Absent = time.Since(frozen), x.cut()
	x.res.AbsentKeys = bench.Overwritten(marks, x.load.Mark())
	return nil
}

// settle is how much longer what clients notice counts as noticed of the transfer: what
// began in it is answered by then.
const settle = 100 * time.Millisecond

// catchUp starts a backup, or thaws the one that is frozen, and waits until it is in sync.
func (x *transfer) catchUp(ctx context.Context) (err error) {
	x.cfg.Progress("transfer", bench.Progress{})
	r := x.res
	marks := x.load.Mark()
	primary := watchMemory(x.primary.proc.Local())
	defer primary.stop()
	x.cut()
	began := time.Now()
	if x.cfg.Absence > 0 {
		err = x.backup.proc.Thaw()
	} else {
		x.backup, err = x.group.Add(ctx)
	}
	if err != nil {
		return err
	}
	backup := watchMemory(x.backup.proc.Local())
	defer backup.stop()
	named := func(st *sysmonitor.Status) bool { return st.View.Backup == x.backup.addr }
	if _, err := x.group.Await(ctx, "a view with the backup", named); err != nil {
		return err
	}
	r.Named = time.Since(began)
	if _, err := x.group.Await(ctx, "the backup to be in sync", inSync); err != nil {
		return err
	}
	r.Took = time.Since(began) - r.Named
	if err := pause.For(ctx, settle); err != nil {
		return err
	}
	r.During = x.cut()
	r.PrimaryDuring, r.BackupDuring = primary.stop(), backup.stop()
	r.OverwrittenKeys = bench.Overwritten(marks, x.load.Mark())
	r.OverwrittenBytes = uint64(r.OverwrittenKeys) * r.StoreBytes / uint64(r.Load.Keys)
	return nil
}

// deltas asks the primary how many of its transfers were deltas.
func (x *transfer) deltas(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	st, err := kvservice.ReadStatus(ctx, x.primary.addr)
	return st.Deltas, err
}

// cut ends a window.
func (x *transfer) cut() *bench.Window {
	w := x.load.Cut()
	addFailures(x.res.Failures, w)
	return w
}

// addFailures adds a window's to all.
func addFailures(all map[string]bench.Failures, w *bench.Window) {
	for kind, failures := range w.Failures {
		sum := all[kind]
		sum.Add(failures)
		all[kind] = sum
	}
}

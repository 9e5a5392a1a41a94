package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandemkv/tandem/kvservice"
)

// watch ends a context when nothing has come for as long as the timeout: what moves
// on may take as long as it needs. It is used by one goroutine at a time.
type watch struct {
	ctx   context.Context
	after time.Duration
	timer *time.Timer // nil: it waits for ever
}

// errNothingCame is the cause of a context that a watch has ended.
var errNothingCame = errors.New("nothing came")

// watch returns a watch on a command, which counts from now. It must be cancelled.
func (c *connection) watch(ctx context.Context) (*watch, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{ctx: ctx, after: c.timeout}
	if c.timeout > 0 {
		w.timer = time.AfterFunc(c.timeout, func() { cancel(errNothingCame) })
	}
	return w, func() {
		w.pause()
		cancel(nil)
	}
}

// pause stops counting: it is not the cluster that is waited for.
func (w *watch) pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// resume counts from the beginning.
func (w *watch) resume() {
	if w.timer != nil {
		w.timer.Reset(w.after)
	}
}

// explain returns the error of what was watched; if the watch ended it, with that as
// the reason.
func (w *watch) explain(err error) error {
	if err == nil || !errors.Is(context.Cause(w.ctx), errNothingCame) {
		return err
	}
	if op := new(kvservice.OpError); errors.As(err, &op) && op.Because != nil {
		return fmt.Errorf("%w for %v: %w", errNothingCame, w.after, op.Because)
	}
	return fmt.Errorf("%w for %v: %w", errNothingCame, w.after, err)
}

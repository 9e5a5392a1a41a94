package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// loading is a load under way.
type loading struct {
	flags  *loadFlags
	client *kvservice.KVClient
	meter  *meter

	pairs, bytes atomic.Uint64 // that are in
	uncertain    atomic.Uint64 // puts that may be in
	elapsed      time.Duration
}

// loadItem is a pair on its way into the store.
type loadItem struct {
	key, value string
	line       int
}

// readEnd is how the reading of a dump has ended.
type readEnd struct {
	err error
	cut int // the line that was left out as it is cut short, if one was
}

// run puts all pairs, those of one key in the order in which they stand. When it
// returns, nothing is under way but perhaps a read of standard input. What could be
// read before an error is in.
func (l *loading) run(ctx context.Context, in io.Reader) (cut int, err error) {
	start := time.Now()
	defer func() { l.elapsed = time.Since(start) }()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	lanes := make([]chan loadItem, l.flags.clients)
	var putting sync.WaitGroup
	for i := range lanes {
		lanes[i] = make(chan loadItem, 1)
		putting.Go(func() { l.follow(ctx, lanes[i], fail) })
	}
	read := make(chan readEnd, 1)
	go func() { read <- l.read(ctx, in, lanes) }()
	var end readEnd
	select {
	case end = <-read:
	case <-ctx.Done():
		// The reader may be waiting for standard input, from which nobody can wake it.
		// It will find that all is over.
	}
	putting.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return end.cut, end.err
}

// read hands the pairs of a dump to the lanes, and closes them.
func (l *loading) read(ctx context.Context, in io.Reader, lanes []chan loadItem) readEnd {
	defer func() {
		for _, lane := range lanes {
			close(lane)
		}
	}()
	d := l.flags.reader(in)
	for {
		key, value, err := d.next()
		if errors.Is(err, io.EOF) {
			return readEnd{cut: d.cutLine()}
		}
		if err != nil {
			return readEnd{err: err}
		}
		select {
		case lanes[kv.Hash(key)%uint32(len(lanes))] <- loadItem{key, value, d.line}:
		case <-ctx.Done():
			return readEnd{err: ctx.Err()}
		}
	}
}

// follow puts the pairs of a lane until it is closed or a put fails, here or elsewhere.
func (l *loading) follow(ctx context.Context, lane <-chan loadItem, fail context.CancelCauseFunc) {
	for {
		select {
		case item, ok := <-lane:
			if !ok {
				return
			}
			if err := l.put(ctx, item); err != nil {
				fail(fmt.Errorf("line %d: %w", item.line, err))
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *loading) put(ctx context.Context, item loadItem) error {
	ctx, cancel := l.flags.bound(ctx)
	defer cancel()
	err := l.client.PutContext(ctx, item.key, item.value)
	switch {
	case err == nil:
		l.bytes.Add(uint64(len(item.key) + len(item.value)))
		l.meter.show(l.pairs.Add(1))
	case errors.Is(err, kvservice.ErrOutcomeUnknown):
		l.uncertain.Add(1)
	}
	return err
}

// loaded is what load tells.
type loaded struct {
	Pairs         uint64 `json:"pairs"` // that are in
	Bytes         uint64 `json:"bytes"` // of their keys and values
	ElapsedMillis int64  `json:"elapsed_ms"`
	Whole         bool   `json:"whole"`               // those are all that there were
	Uncertain     uint64 `json:"uncertain,omitempty"` // puts of which nobody knows
	Error         string `json:"error,omitempty"`
}

// conclude tells what became of a load, and returns what the command ends with.
func (l *loading) conclude(cmd *cobra.Command, err error) error {
	err = interruptedOr(cmd.Context(), err)
	r := loaded{Pairs: l.pairs.Load(), Bytes: l.bytes.Load(), ElapsedMillis: l.elapsed.Milliseconds(),
		Whole: err == nil, Uncertain: l.uncertain.Load()}
	if err != nil {
		r.Error = err.Error()
	}
	var told error
	switch {
	case l.flags.json:
		told = writeJSON(cmd.OutOrStdout(), &r)
	case err == nil:
		_, told = fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, in %s\n", countOf(r.Pairs, "pair"), byteCount(r.Bytes), shortDuration(l.elapsed))
	}
	if told != nil {
		return told
	}
	switch in := r.Pairs + r.Uncertain; {
	case err == nil:
		return nil
	case in == 0 && cmd.Context().Err() == nil:
		return failed(err)
	case in == 0:
		return fmt.Errorf("%w; nothing was put", err)
	case r.Uncertain == 0:
		return fmt.Errorf("%w; put: %s; it is safe to load again", err, countOf(r.Pairs, "pair"))
	}
	return fmt.Errorf("%w; put: %s, and up to %s more may be in; it is safe to load again", err, countOf(r.Pairs, "pair"), thousands(r.Uncertain))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/peterh/liner"
)

const shellPrompt = "tandem> "

// howToLeave is told to who seems to want to.
const howToLeave = "Ctrl-D or exit leaves"

// converse carries out the lines that a person types, until they leave.
func (s *shell) converse(ctx context.Context, past *history) error {
	l := liner.NewLiner()
	defer l.Close() // which has the terminal as it was before
	l.SetCtrlCAborts(true)
	l.SetTabCompletionStyle(liner.TabPrints)
	l.SetWordCompleter(func(line string, pos int) (string, []string, string) { return s.complete(ctx, line, pos) })
	lines, err := past.load()
	s.regret(err)
	for _, line := range lines {
		l.AppendHistory(line)
	}
	fmt.Fprintf(s.diagnostics, "view service: %s; help tells the commands, Tab completes, %s\n", s.conn.monitor, howToLeave)
	var running underWay
	defer takeInterrupts(ctx, func() {
		if !running.breakOff() {
			// It came as a signal while a line is awaited: this terminal edits none.
			fmt.Fprintf(s.diagnostics, "\n%s\n%s", howToLeave, shellPrompt)
		}
	})()
	for {
		line, err := ask(ctx, l)
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			fmt.Fprintln(s.diagnostics)
			return nil
		case errors.Is(err, liner.ErrPromptAborted):
			fmt.Fprintln(s.diagnostics, howToLeave)
			continue
		case err != nil:
			return failed(fmt.Errorf("reading what is typed: %w", err))
		}
		l.AppendHistory(line)
		s.regret(past.add(line))
		lineCtx, done := running.begin(ctx)
		err = s.carryOut(lineCtx, "tandem shell", line)
		done()
		var usage *usageError
		switch {
		case errors.Is(err, errLeave):
			return nil
		case errors.As(err, &usage):
			fmt.Fprintln(s.diagnostics, err)
		}
	}
}

// regret tells that history cannot be kept, which is no reason to stop.
func (s *shell) regret(err error) {
	if err != nil {
		fmt.Fprintf(s.diagnostics, "tandem shell: what is typed will not be remembered: %v\n", err)
	}
}

// ask has a person type a line. If the context ends, a goroutine is left behind that
// waits for a key: the process is about to end.
func ask(ctx context.Context, l *liner.State) (string, error) {
	type typed struct {
		line string
		err  error
	}
	got := make(chan typed, 1)
	go func() {
		line, err := l.Prompt(shellPrompt)
		got <- typed{line, err}
	}()
	select {
	case t := <-got:
		return t.line, t.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// underWay is the line that is carried out, if any. It is safe for concurrent use.
type underWay struct {
	mu     sync.Mutex
	cancel context.CancelFunc
}

// begin returns the context of a line, and what ends it.
func (u *underWay) begin(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	u.set(cancel)
	return ctx, func() {
		u.set(nil)
		cancel()
	}
}

func (u *underWay) set(cancel context.CancelFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cancel = cancel
}

// breakOff cancels the line that is carried out, and reports whether there is one.
func (u *underWay) breakOff() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cancel == nil {
		return false
	}
	u.cancel()
	return true
}

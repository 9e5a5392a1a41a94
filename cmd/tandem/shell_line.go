package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// The words of the shell that are no operations.
const (
	keysWord   = "keys"
	statusWord = "status"
	helpWord   = "help"
	exitWord   = "exit"
)

// errLeave is what the word for it comes to.
var errLeave = errors.New("leave")

// shellOperation returns the operation of a name or its short form, nil if there is
// none.
func shellOperation(name string) *operation {
	switch name {
	case "p":
		return &putOperation
	case "g":
		return &getOperation
	}
	for _, op := range operations {
		if op.name == name {
			return op
		}
	}
	return nil
}

// carryOut does what a line says and tells the answer. who stands before diagnostics.
// The error is a usageError, a statusError for what was told and is not done, or
// errLeave.
func (s *shell) carryOut(ctx context.Context, who, line string) error {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	words, err := shellWords(line)
	if err != nil {
		return &usageError{err}
	}
	if len(words) == 0 {
		return nil
	}
	args := make([]string, len(words))
	for i, w := range words {
		if args[i] = w.text; w.open {
			return usageErrorf("the quote of %s is not closed", line[w.start:])
		}
	}
	name, args := args[0], args[1:]
	lower := strings.ToLower(name)
	if op := shellOperation(lower); op != nil {
		return s.operate(ctx, who, op, args)
	}
	switch lower {
	case keysWord:
		return s.keys(ctx, who, args)
	case statusWord:
		return s.status(ctx, who, args)
	case helpWord:
		return s.help()
	case exitWord, "quit":
		return errLeave
	}
	return usageErrorf("there is no command %s; %s tells which there are", strconv.Quote(name), helpWord)
}

// operate does one operation.
func (s *shell) operate(ctx context.Context, who string, op *operation, args []string) error {
	if err := op.takes(args); err != nil {
		return err
	}
	stop := tellWaiting(s.client, s.diagnostics, who)
	start := time.Now()
	a := op.carryOut(ctx, s.conn, s.client, args)
	took := time.Since(start)
	stop()
	if err := s.tell(a, took); err != nil {
		op.lost(a, err)
	}
	status := a.outcome.status()
	switch a.outcome {
	case outcomeDone:
		return nil
	case outcomeAbsent, outcomeDifferent: // which was the answer
		return &statusError{status}
	}
	return s.fail(who, a.why, status)
}

// fail tells a diagnostic, and returns the error that has the status.
func (s *shell) fail(who, why string, status int) error {
	fmt.Fprintf(s.diagnostics, "%s: %s\n", who, why)
	return &statusError{status}
}

// tell writes an answer in a line, none if that is for the diagnostics.
func (s *shell) tell(a *answer, took time.Duration) error {
	text := string(a.outcome)
	switch {
	case s.json:
		return writeJSONLine(s.out, a.json())
	case a.outcome == outcomeFailed || a.outcome == outcomeUnknown:
		return nil
	case a.result.value != nil:
		text = strconv.Quote(*a.result.value)
	}
	return s.print(text, took)
}

// print writes a line of an answer.
func (s *shell) print(text string, took time.Duration) error {
	if s.timed {
		text += fmt.Sprintf("  (%s)", shortDuration(took))
	}
	if _, err := io.WriteString(s.out, text+"\n"); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// keys lists keys.
func (s *shell) keys(ctx context.Context, who string, args []string) error {
	if len(args) > 1 {
		return usageErrorf("%s wants a PREFIX or nothing, and not %s", keysWord, countOf(len(args), "argument"))
	}
	stop := tellWaiting(s.client, s.diagnostics, who)
	start := time.Now()
	out := bufio.NewWriter(s.out)
	n, err := s.conn.scan(ctx, s.client, strings.Join(args, ""), 0, func(key, _ string) error {
		if s.json {
			return writeJSONLine(out, newJSONKey(key))
		}
		_, err := out.WriteString(strconv.Quote(key) + "\n")
		return err
	})
	stop()
	if flushed := out.Flush(); flushed != nil {
		err = fmt.Errorf("writing the answer: %w", flushed)
	}
	switch {
	case err != nil:
		return s.fail(who, fmt.Sprintf("after %s: %s", countOf(n, "key"), s.conn.explain(err)), exitFailed)
	case !s.timed || s.json:
		return nil
	}
	return s.print(countOf(n, "key"), time.Since(start))
}

// status tells who does what in the cluster, as the command of that name does.
func (s *shell) status(ctx context.Context, who string, args []string) error {
	if len(args) > 0 {
		return usageErrorf("%s wants nothing, and not %s", statusWord, countOf(len(args), "argument"))
	}
	opts, err := s.conn.options()
	if err != nil {
		return err
	}
	monitor, err := s.conn.viewService()
	if err != nil {
		return err
	}
	defer monitor.Close()
	r := (&surveyor{asked: s.conn.monitor, monitor: monitor, opts: opts, bound: s.conn.timeout}).ask(ctx).report()
	if ctx.Err() != nil {
		return s.fail(who, errInterrupted.Error(), exitFailed)
	}
	if s.json {
		err = writeJSONLine(s.out, r)
	} else if r.Monitor.Error == "" {
		_, err = io.WriteString(s.out, (&statusFlags{changes: shellChanges}).text(r, newScreen(s.out)))
	}
	if err != nil {
		return s.fail(who, "writing the answer: "+err.Error(), exitFailed)
	}
	var verdict *verdictError
	switch err := r.conclude(); {
	case err == nil:
		return nil
	case errors.As(err, &verdict): // which was the answer
		return &statusError{exitBroken}
	default:
		return s.fail(who, err.Error(), exitFailed)
	}
}

// shellChanges is how many changes of view status tells.
const shellChanges = 3

// help tells the commands.
func (s *shell) help() error {
	w := tabwriter.NewWriter(s.diagnostics, 0, 0, 3, ' ', 0)
	for _, op := range operations {
		fmt.Fprintf(w, "%s\t%s\n", op.usage(), op.short)
	}
	fmt.Fprintf(w, "%s [PREFIX]\tList the keys, or those with a prefix\n", keysWord)
	fmt.Fprintf(w, "%s\tTell who does what in the cluster, and how it is\n", statusWord)
	fmt.Fprintf(w, "%s\tTell this\n", helpWord)
	fmt.Fprintf(w, "%s\tLeave; Ctrl-D does, too\n", exitWord)
	fmt.Fprintf(w, "P KEY VALUE, G KEY\tShort for put and get\n")
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing help: %w", err)
	}
	fmt.Fprintln(s.diagnostics, `
What has spaces in it goes in quotes, with the escapes of Go: put greeting "hello, world\n"`)
	return nil
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit statuses. That of a usage error is EX_USAGE of sysexits.h, so that no
// script takes a mistyped flag for a verdict.
const (
	exitHeld    = 0  // so it is, or it is done
	exitBroken  = 1  // it is not: an invariant is broken, a key absent
	exitUnknown = 2  // nobody can tell
	exitFailed  = 3  // it could not be done, and was not
	exitUsage   = 64 // the command line was not understood
)

// The verdicts, as they stand in JSON.
const (
	held    = "held"
	broken  = "broken"
	unknown = "unknown"
)

// verdictError ends a command that ran to its end: the answer is out, and the
// status says it once more.
type verdictError struct{ verdict string }

// Error returns the verdict.
func (e *verdictError) Error() string { return e.verdict }

// concluded returns the error that a verdict ends a command with, nil for held.
func concluded(verdict string) error {
	if verdict == held {
		return nil
	}
	return &verdictError{verdict}
}

// failedError ends a command that did not do what was asked, for sure.
type failedError struct{ error }

// Unwrap returns why.
func (e *failedError) Unwrap() error { return e.error }

// failed returns the error that ends a command with exitFailed, nil for nil.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failedError{err}
}

// statusError ends a command that has told everything, or the process that it ran in
// its place has, with a status.
type statusError struct{ status int }

// Error returns the status.
func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// usageError is a command line that was understood and makes no sense.
type usageError struct{ error }

// usageErrorf returns a usageError.
func usageErrorf(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// exitStatus returns the status for what a command ended with, and prints errors
// that nobody has been told. Before a command has started an error is about the
// command line.
func exitStatus(cmd *cobra.Command, err error, started bool) int {
	var verdict *verdictError
	var status *statusError
	var usage *usageError
	var failed *failedError
	switch {
	case err == nil:
		return exitHeld
	case errors.As(err, &status):
		return status.status
	case errors.As(err, &verdict) && verdict.verdict == broken:
		return exitBroken
	case errors.As(err, &verdict):
		return exitUnknown
	case errors.As(err, &usage) || !started:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\ntry: %s --help\n", cmd.CommandPath(), err, cmd.CommandPath())
		return exitUsage
	case errors.As(err, &failed):
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.CommandPath(), err)
		return exitFailed
	default:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.CommandPath(), err)
		return exitUnknown
	}
}

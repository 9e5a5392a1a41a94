package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit statuses. That of a usage error is EX_USAGE of sysexits.h, so that no
// script takes a mistyped flag for a verdict.
const (
	exitHeld    = 0
	exitBroken  = 1
	exitUnknown = 2
	exitUsage   = 64
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

// statusError ends a command with the status of the process that it ran in its
// place, which has told everything.
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
	default:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.CommandPath(), err)
		return exitUnknown
	}
}

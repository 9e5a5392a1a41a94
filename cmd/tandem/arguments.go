package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// noArguments is the check of a command that takes no arguments. One that has others
// below it was meant to be followed by one of them.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		return noSuchCommand(cmd, args[0])
	}
	return usageErrorf("%q: %s takes no arguments", args[0], cmd.Name())
}

// noSuchCommand returns the usageError that says so, and what may have been meant.
func noSuchCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2 // in letters; the field's zero is none at all
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		return usageErrorf("unknown command %q; did you mean %s?", name, strings.Join(like, " or "))
	}
	return usageErrorf("unknown command %q", name)
}

// atMostOne returns the check of a command that takes one argument, or none.
func atMostOne(param string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usageErrorf("%s takes one %s, and not %d; what has spaces in it goes in quotes", cmd.Name(), param, len(args))
	}
}

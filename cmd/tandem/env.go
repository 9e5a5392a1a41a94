package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefix begins the name of every environment variable that sets a flag.
const envPrefix = "TANDEM_"

// envUsage stands at the end of a command's help.
const envUsage = `
Each flag can also be set by an environment variable, TANDEM_ and its name in
capitals: --log-level by TANDEM_LOG_LEVEL. A flag on the command line wins.
`

// commandLineOnly marks a flag that the environment does not set: one that confirms
// what cannot be undone is for whoever types it.
const commandLineOnly = "command-line-only"

// envName returns the environment variable that sets a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setFromEnvironment sets the flags of a command that are not on its command line
// to what the environment says. An empty variable says nothing. Then it takes the
// variables away: processes that this one starts are told all by their command lines.
// A request for completion is none of a command, and leaves all to the one that it is
// about.
func setFromEnvironment(cmd *cobra.Command) error {
	if cmd.Name() == cobra.ShellCompRequestCmd {
		return nil
	}
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(envName(f.Name))
		if f.Changed || f.Name == "help" || f.Name == versionFlag || f.Annotations[commandLineOnly] != nil || value == "" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			// pflag's error names the flag and the value.
			errs = append(errs, usageErrorf("%s: %w", envName(f.Name), err))
		}
	})
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
			errs = append(errs, os.Unsetenv(name))
		}
	}
	return errors.Join(errs...)
}

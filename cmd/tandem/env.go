package main

import (
	"errors"
	"fmt"
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
	known := make(map[string]bool)
	noteVariables(cmd.Root(), known)
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		if !known[name] {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s: no command has such a flag, and it is passed over\n", cmd.CommandPath(), name)
		}
		errs = append(errs, os.Unsetenv(name))
	}
	return errors.Join(errs...)
}

// noteVariables notes the environment variables of all commands of a tree.
func noteVariables(cmd *cobra.Command, known map[string]bool) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known[envName(f.Name)] = true })
	for _, sub := range cmd.Commands() {
		noteVariables(sub, known)
	}
}

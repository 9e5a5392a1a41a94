// Command tandem runs Tandem and checks it: each subcommand does one thing, and says
// with --help what its words mean.
//
//	tandem up          runs a whole cluster: a view service and servers
//	tandem monitor     runs a view service
//	tandem server      runs a key/value server
//	tandem get, put, puthash, append, delete, cas, keys
//	                   read and change what a cluster holds
//	tandem shell       does the same at a prompt
//	tandem status      tells who does what in a cluster, and how it is
//	tandem dump, load  write the whole store to JSON Lines, and read it back
//	tandem bench       measures it under load, and while servers fail or join
//	tandem torture     breaks real processes, and judges what clients saw
//	tandem simulate    runs the protocol in a world that goes wrong, from seeds
//	tandem search      looks at every state that it can get into, within bounds
//	tandem mutants     breaks the protocol on purpose and sees whether that shows
//	tandem version     tells what this is built from
//
// # Conventions
//
// Standard output has the answer and nothing else; with --json that is one JSON
// object, or one a line where there are many. Diagnostics, logs and progress go to
// standard error, progress only if that is a terminal or with --progress. The exit
// status is
//
//	0   yes: it is done, or what was asked for is so
//	1   no: a key is absent, a comparison failed, an invariant is broken
//	2   unknown: an update may or may not have run, or a check was stopped
//	3   failed: it could not be done, and was not
//	64  the command line was not understood, and nothing was done
//
// Every flag can be set by an environment variable, TANDEM_ and its name in
// capitals: --monitor by TANDEM_MONITOR.
//
// Ctrl-C ends a check where it stands: what was done so far is told, and the
// verdict is unknown unless something had broken already. It has a server leave in
// order; a second one ends it at once.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(interruptible(context.Background()), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Commands stand in help in the order in which one meets them.
func init() { cobra.EnableCommandSorting = false }

// run carries out a command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root, started := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return exitStatus(cmd, err, *started)
}

// newRootCommand returns the command tree. started comes to be true when a
// command line was understood and its command runs.
func newRootCommand() (root *cobra.Command, started *bool) {
	started = new(bool)
	root = &cobra.Command{
		Use:   "tandem",
		Short: "A replicated key/value store, and the proof that it keeps its promises",
		Long: `Tandem is a replicated key/value store: a view service picks a primary and a
backup, the primary forwards each update to the backup before it answers, and
clients retry until they know that their request ran once.

The words and the rules (V1, A3 ...) are told in docs/protocol.md, how to run it in
docs/operating.md, and how it is checked in docs/checking.md.

Exit status: 0 yes or done; 1 no, or broken; 2 unknown; 3 failed, nothing was done;
64 the command line was not understood.`,
		Example: `  tandem up                    # a cluster on this machine, to play with
  tandem put greeting hello    # in another terminal
  tandem get greeting
  tandem status`,
		Args:              noArguments,
		SilenceErrors:     true,
		SilenceUsage:      true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return setFromEnvironment(cmd) },
	}
	root.SetUsageTemplate(usageTemplate(root))
	root.SetHelpCommand(newHelpCommand())
	addVersionFlag(root)
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"serve", "Run a cluster:", []*cobra.Command{
			newUpCommand(),
			newMonitorCommand(),
			newServerCommand(),
			newStatusCommand(),
		}},
		{"use", "Use it:", []*cobra.Command{
			newGetCommand(),
			newPutCommand(),
			newPutHashCommand(),
			newAppendCommand(),
			newDeleteCommand(),
			newCASCommand(),
			newKeysCommand(),
			newShellCommand(),
			newDumpCommand(),
			newLoadCommand(),
		}},
		{"check", "Measure and check it:", []*cobra.Command{
			newBenchCommand(),
			newTortureCommand(),
			newSimulateCommand(),
			newSearchCommand(),
			newMutantsCommand(),
		}},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, cmd := range group.commands {
			cmd.GroupID = group.id
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newVersionCommand())
	completeFlags(root)
	noteStart(root, started)
	return root, started
}

// noteStart makes every command of a tree note that it started. RunE alone comes
// after all that is checked of a command line.
func noteStart(cmd *cobra.Command, started *bool) {
	if do := cmd.RunE; do != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return do(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteStart(sub, started)
	}
}

// helpWidth is how wide the list of flags is in help, in columns.
const helpWidth = 96

// usageTemplate returns cobra's, with flags that are described in lines of a width
// that one reads, and with what is to be said of the environment.
func usageTemplate(root *cobra.Command) string {
	return strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", fmt.Sprintf("FlagUsagesWrapped %d ", helpWidth)) + envUsage
}

// newHelpCommand returns the command help. Cobra's own takes a topic that is not
// there for understood.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageErrorf("no help about %q: there is no such command", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag() // which Execute adds to a command that it runs
			return topic.Help()
		},
	}
}

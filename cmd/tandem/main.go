// Command tandem checks Tandem, and will in time run it: each subcommand does one
// thing, and says with --help what its words mean.
//
//	tandem simulate    runs the protocol in a world that goes wrong, from seeds
//	tandem search      looks at every state that it can get into, within bounds
//	tandem mutants     breaks the protocol on purpose and sees whether that shows
//
// # Conventions
//
// Standard output has the answer and nothing else; with --json that is one JSON
// object. Diagnostics and progress go to standard error, progress only if that
// is a terminal or with --progress. The exit status is
//
//	0   held: what was asked for is so
//	1   broken: it is not, and the answer says how
//	2   unknown: stopped before it could tell, or something around it failed
//	64  the command line was not understood, and nothing was done
//
// Ctrl-C ends a run where it stands: what was done so far is told, and the
// verdict is unknown unless something had broken already.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an end; a second one is not to be caught any more.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run carries out a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root, started := newRootCommand()
	root.SetArgs(args)
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

The commands here check that. The words and the rules (V1, A3 ...) are told in
docs/protocol.md.

Exit status: 0 held, 1 broken, 2 unknown, 64 the command line was not understood.`,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(newSimulateCommand(), newSearchCommand(), newMutantsCommand())
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

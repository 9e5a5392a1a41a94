package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tandemkv/tandem/simulation/mutants"
)

// mutantFlags are those of a command that can be run on a mutant.
type mutantFlags struct {
	mutant  string // to build, and to run in place of this command
	builtAs string // the mutant that this command is itself
}

// addFlags adds the flags.
func (m *mutantFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.mutant, "mutant", "", "build the product with this deliberate mistake in it, and run that (see tandem mutants --list)")
	var names []string
	for _, mutant := range mutants.All() {
		names = append(names, mutant.Name)
	}
	completeWords(cmd, "mutant", names...)
	cmd.Flags().StringVar(&m.builtAs, "built-as", "", "the mistake that is in this very command")
	_ = cmd.Flags().MarkHidden("built-as") // fails for a flag that is not there
}

// asBuilt makes of a command that replays a run one that does so on the mutant that
// the run was of. Without that a folder tells of a mistake that nobody finds.
func (m *mutantFlags) asBuilt(replay string) string {
	if m.builtAs == "" {
		return replay
	}
	return replay + " --mutant " + m.builtAs
}

// runMutant builds this command with a deliberate mistake in the product, and
// runs it with the same command line, but for the mutant.
func runMutant(cmd *cobra.Command, name string) error {
	all := mutants.All()
	at := slices.IndexFunc(all, func(m mutants.Mutant) bool { return m.Name == name })
	if at < 0 {
		return usageErrorf("--mutant %q: there is none of that name; tandem mutants --list tells them", name)
	}
	root, err := mutants.FindTree(".")
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "tandem-mutant-")
	if err != nil {
		return fmt.Errorf("making a directory to build in: %w", err)
	}
	defer os.RemoveAll(scratch)
	h := &mutants.Harness{Root: root, Scratch: scratch}
	binary, err := h.Build(cmd.Context(), &all[at])
	switch {
	case cmd.Context().Err() != nil:
		return fmt.Errorf("interrupted while %s was built", name)
	case err != nil:
		return err
	}
	defer os.RemoveAll(filepath.Dir(binary))
	fmt.Fprintf(cmd.ErrOrStderr(), "with the mistake %s: %s\n", name, all[at].Story)
	child := exec.CommandContext(cmd.Context(), binary, append(withoutMutant(cmd), "--built-as="+name)...)
	child.Stdin, child.Stdout, child.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	err = child.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended) && ended.Exited():
		if ended.ExitCode() == exitBroken {
			fmt.Fprintf(cmd.ErrOrStderr(), "to replay that, add --mutant %s, as the commands in the answer have it\n", name)
		}
		return &statusError{ended.ExitCode()}
	}
	return fmt.Errorf("running the mutant: %w", err)
}

// withoutMutant returns the command line again, without the mutant.
func withoutMutant(cmd *cobra.Command) []string {
	args := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()))
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "mutant" {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			args = append(args, "--"+f.Name+"="+v)
		}
	})
	return args
}

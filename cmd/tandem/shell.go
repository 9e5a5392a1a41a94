package main

import (
	"io"
	"os"

	"github.com/peterh/liner"
	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

// shellCommand does operations one after the other.
type shellCommand struct {
	connection
	history string
	json    bool
}

func newShellCommand() *cobra.Command {
	c := new(shellCommand)
	cmd := &cobra.Command{
		Use:   "shell",
		Short: "Read and change what a cluster holds, at a prompt",
		Long: `Do one operation after the other at a prompt: get, put, puthash, append, delete, cas,
keys and status, with the words of the commands of these names; help tells them.
P KEY VALUE and G KEY are short for put and get.

A word that has spaces in it, is empty, or holds what cannot be typed goes in double
quotes, with the escapes of Go: put greeting "hello, world\n", put k "". A single - is
just that. Values and keys are printed in the same way, and done, absent, different
(cas changed nothing) without quotes. After each stands how long it took.

Arrows, Ctrl-A and Ctrl-E move; up and down go through what was typed before, Ctrl-R
searches it; Tab completes commands, and keys from the cluster. Ctrl-C breaks off what
is under way, and tells what may have become of it; Ctrl-D or exit leaves.

Where standard input or output is no terminal, it reads a command a line, without
prompt and timings; lines that begin with # are skipped. Answers of no (absent,
different, a group that does not serve) do not stop it. A line that is not understood
does, and so does what failed or has an unknown outcome: what comes after may stand on
it.

Exit status, at a prompt: 0. Otherwise: 0 all is done; 1 at least one answer was no; 2
stopped, as nobody can tell whether an update ran; 3 stopped, as one did not run; 64
stopped at a line that was not understood, or the command line was not.`,
		Example: `  tandem shell
  tandem> P "greeting" "hello, world"
  tandem> G "greeting"
  tandem> cas lock "" alice

  tandem shell < orders.txt
  tandem shell --json < orders.txt > answers.jsonl    # an object for each`,
		Args: noArguments,
		RunE: c.run,
	}
	c.connection.addFlags(cmd)
	cmd.Flags().Lookup("timeout").Usage = "how long to try each operation; 0 for ever"
	cmd.Flags().StringVar(&c.history, "history", defaultHistory(), "`file` to keep in what was typed at the prompt, readable by its owner alone; empty: none")
	cmd.Flags().BoolVar(&c.json, "json", false, "print answers as one JSON object a line, as the commands of these names do")
	return cmd
}

func (c *shellCommand) run(cmd *cobra.Command, _ []string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	s := &shell{conn: &c.connection, client: client, json: c.json, out: cmd.OutOrStdout(), diagnostics: cmd.ErrOrStderr()}
	if _, err := liner.TerminalMode(); err == nil && cmd.InOrStdin() == os.Stdin && isTerminal(s.out) {
		s.timed = true
		return s.converse(cmd.Context(), &history{file: c.history})
	}
	return s.follow(cmd.Context(), cmd.InOrStdin(), cmd.CommandPath())
}

// shell carries out lines.
type shell struct {
	conn        *connection
	client      *kvservice.KVClient
	json        bool
	timed       bool // answers say how long they took
	out         io.Writer
	diagnostics io.Writer
}

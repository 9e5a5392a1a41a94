package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tandemkv/tandem/kvservice"
)

// operation is one thing that a client asks of a cluster: a command of its own, and
// a word at the prompt of the shell. Its first parameter is the key.
type operation struct {
	name    string
	params  []string
	short   string
	long    string
	example string
	reads   bool // it changes nothing

	// result is the name of what comes back, empty if nothing does.
	result string
	// do returns what came back. Its errors are those of a KVClient, and errDifferent.
	do func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error)
}

// operations are all of them, in the order in which help tells them.
var operations = []*operation{&getOperation, &putOperation, &putHashOperation, &appendOperation, &deleteOperation, &casOperation}

// usage is how it is written.
func (op *operation) usage() string {
	return strings.Join(append([]string{op.name}, op.params...), " ")
}

// takes returns a usageError unless there are as many arguments as parameters.
func (op *operation) takes(args []string) error {
	if len(args) == len(op.params) {
		return nil
	}
	return usageErrorf("%s wants %s, and not %s; what has spaces in it goes in quotes",
		op.name, strings.Join(op.params, " and "), countOf(len(args), "argument"))
}

// carryOut does it, and says what came of it.
func (op *operation) carryOut(ctx context.Context, conn *connection, client *kvservice.KVClient, args []string) *answer {
	ctx, cancel := conn.bound(ctx)
	defer cancel()
	value, err := op.do(ctx, client, args)
	a := &answer{key: args[0], outcome: outcomeOf(err)}
	if err != nil {
		a.why = conn.explain(err)
	} else if op.result != "" {
		a.result = result{&value, op.result}
	}
	return a
}

// lost makes of an answer that could not be told one that says why. Of a read nothing
// is left; an update has done what it has done, so it has not failed.
func (op *operation) lost(a *answer, err error) {
	a.outcome, a.why = outcomeFailed, err.Error()
	if !op.reads {
		a.outcome, a.why = outcomeUnknown, fmt.Sprintf("%v; it may have run", err)
	}
}

// operationCommand is an operation as a command.
type operationCommand struct {
	*operation
	connection
	json bool
}

// newOperationCommand returns the command of an operation.
func newOperationCommand(op *operation) *cobra.Command {
	c := &operationCommand{operation: op}
	cmd := &cobra.Command{
		Use:               op.usage(),
		Short:             op.short,
		Long:              op.long,
		Example:           op.example,
		Args:              func(_ *cobra.Command, args []string) error { return op.takes(args) },
		ValidArgsFunction: c.completeKey,
		RunE:              c.run,
	}
	c.connection.addFlags(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "tell the answer as one JSON object, also when it is no")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		if noFlag := new(pflag.NotExistError); errors.As(err, &noFlag) {
			return usageErrorf("%w; a key or a value that begins with a dash goes after --", err)
		}
		return err
	})
	return cmd
}

func (c *operationCommand) run(cmd *cobra.Command, args []string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	args, err = c.fromStandardInput(cmd, args, int(c.maxValue))
	if err != nil {
		return err
	}
	stop := tellWaiting(client, cmd.ErrOrStderr(), cmd.CommandPath())
	a := c.carryOut(cmd.Context(), &c.connection, client, args)
	stop()
	if err := c.tell(cmd.OutOrStdout(), a); err != nil {
		c.lost(a, err)
	}
	if a.why != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), a.why)
	}
	if status := a.outcome.status(); status != exitHeld {
		return &statusError{status}
	}
	return nil
}

// tell writes the answer, which for a person or a script is the bare result.
func (c *operationCommand) tell(w io.Writer, a *answer) error {
	if c.json {
		return writeJSONLine(w, a.json())
	}
	if a.result.value == nil {
		return nil
	}
	text := *a.result.value
	if isTerminal(w) {
		text += "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

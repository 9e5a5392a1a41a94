package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

var casOperation = operation{
	name:   "cas",
	params: []string{"KEY", "OLD", "NEW"},
	short:  "Set the value of a key if it has the one expected (compare and swap)",
	long: `Set the value of a key to NEW if it is OLD now, in one step: of several who try at
once, one succeeds. An absent key counts as the empty value. Nothing is printed; the
exit status tells.

An OLD or a NEW of - stands for standard input, read to its end: every byte of it, a
line break at the end too. Only one of them can be.` + operationJSON + `

Exit status: 0 it was OLD and is NEW; 1 it was another, and stays;` + updateStatus,
	example: `  tandem cas state draft final
  tandem cas lock "" alice && echo alice has it    # take a lock that nobody holds
  tandem cas lock alice ""                         # and give it back`,
	do: func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error) {
		swapped, err := c.CompareAndSwapContext(ctx, args[0], args[1], args[2])
		if err == nil && !swapped {
			err = fmt.Errorf("%w %s, and stays", errDifferent, excerpt(args[1]))
		}
		return "", err
	},
}

func newCASCommand() *cobra.Command { return newOperationCommand(&casOperation) }

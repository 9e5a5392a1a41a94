package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

var deleteOperation = operation{
	name:   "delete",
	params: []string{"KEY"},
	short:  "Remove a key",
	long: `Remove a key and its value. Nothing is printed.` + operationJSON + `

Exit status: 0 it was there and is removed; 1 there was no such key;` + updateStatus,
	example: `  tandem delete greeting
  tandem delete -- -5         # a key that begins with a dash goes after --`,
	do: func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error) {
		return "", c.DeleteContext(ctx, args[0])
	},
}

func newDeleteCommand() *cobra.Command { return newOperationCommand(&deleteOperation) }

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

var getOperation = operation{
	name:   "get",
	params: []string{"KEY"},
	short:  "Print the value of a key",
	long: `Print the value of a key, as it is now: a read is never stale, whichever server it is
read from.

It prints the bytes of the value and nothing else, so that a value that is read into
a file or a pipe is exact. On a terminal it prints a line break after them.` + operationJSON + `

Exit status: 0 the value is printed; 1 there is no such key; 3 it could not be read;
64 the command line was not understood.`,
	example: `  tandem get greeting
  tandem get picture > picture.png         # every byte, and no more
  tandem get draft | tandem put final -    # a copy
  tandem get counter || echo none yet
  tandem get --json greeting               # {"key":"greeting","value":"hello","outcome":"done"}`,
	reads:  true,
	result: presentValue,
	do: func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error) {
		return c.GetContext(ctx, args[0])
	},
}

// operationJSON is what help says of the JSON of every operation.
const operationJSON = `

With --json it prints an object with "key" (in "key_base64" if it is not valid UTF-8),
what comes back likewise, and "outcome": done, absent, different, unknown or failed.`

// updateStatus is what help says of the exit status of every update.
const updateStatus = `
2 nobody can tell whether it ran, or will (no answer came in time, say); 3 it did not
run, and will not; 64 the command line was not understood.`

func newGetCommand() *cobra.Command { return newOperationCommand(&getOperation) }

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

// standardInputHelp is what help says of a VALUE that is -.
const standardInputHelp = `

A VALUE of - stands for standard input, read to its end: every byte of it, a line
break at the end too. To store a single dash, write it there: printf - | tandem put k -`

var putOperation = operation{
	name:   "put",
	params: []string{"KEY", "VALUE"},
	short:  "Set the value of a key",
	long: `Set the value of a key, whether it was there or not. Once this returns with status 0,
the value is on every server that is in sync. It is set once, however often it had
to be sent, and prints nothing.` + standardInputHelp + operationJSON + `

Exit status: 0 it is set;` + updateStatus,
	example: `  tandem put greeting hello
  tandem put greeting "hello, world"
  tandem put picture - < picture.png    # any bytes
  tandem put offset -- -5               # what begins with a dash goes after --`,
	do: func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error) {
		return "", c.PutContext(ctx, args[0], args[1])
	},
}

var putHashOperation = operation{
	name:   "puthash",
	params: []string{"KEY", "VALUE"},
	short:  "Chain a value to a key's, and print the value before",
	long: `Set the value of a key to a hash of its old value followed by VALUE, in decimal, and
print the old value, which is empty if the key was absent. As every value depends on
all that were put before, a chain of them shows whether any was lost, or ran twice.

The old value is printed as by tandem get: its bytes and nothing else, and on a
terminal a line break after them. The hash is 32-bit FNV-1a.` + standardInputHelp + operationJSON + `
What comes back is "previous".

Exit status: 0 it is set;` + updateStatus,
	example: `  tandem puthash chain a    # prints nothing the first time: the old value is empty
  tandem puthash chain b    # prints 3826002220, the hash of "a"`,
	result: previousValue,
	do: func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error) {
		return c.PutHashContext(ctx, args[0], args[1])
	},
}

var appendOperation = operation{
	name:   "append",
	params: []string{"KEY", "VALUE"},
	short:  "Append to the value of a key",
	long: `Append VALUE to the value of a key. If it was absent, VALUE is its value. It is
appended once, however often it had to be sent, and nothing is printed.` + standardInputHelp + operationJSON + `

Exit status: 0 it is appended;` + updateStatus,
	example: `  tandem append log "one more"
  date | tandem append log -`,
	do: func(ctx context.Context, c *kvservice.KVClient, args []string) (string, error) {
		return "", c.AppendContext(ctx, args[0], args[1])
	},
}

func newPutCommand() *cobra.Command     { return newOperationCommand(&putOperation) }
func newPutHashCommand() *cobra.Command { return newOperationCommand(&putHashOperation) }
func newAppendCommand() *cobra.Command  { return newOperationCommand(&appendOperation) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// fromStdin is the argument that stands for standard input.
const fromStdin = "-"

// errInterrupted is why no more is done.
var errInterrupted = errors.New("interrupted")

// interruptedOr returns errInterrupted if that is why there is an error: whoever
// pressed Ctrl-C need not read what it broke off. Otherwise it returns the error.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// fromStandardInput returns the arguments with what standard input has in place of
// a value that stands for it, which may have maxValue bytes. A key is never read.
func (op *operation) fromStandardInput(cmd *cobra.Command, args []string, maxValue int) ([]string, error) {
	at := 0
	for i := 1; i < len(args); i++ {
		if args[i] != fromStdin {
			continue
		}
		if at > 0 {
			return nil, usageErrorf("%s and %s: only one of them can be standard input", op.params[at], op.params[i])
		}
		at = i
	}
	if at == 0 {
		return args, nil
	}
	value, err := readValue(cmd.Context(), cmd.InOrStdin(), maxValue)
	if err != nil {
		return nil, failed(fmt.Errorf("reading %s from standard input: %w; nothing was sent", op.params[at], err))
	}
	args = append([]string(nil), args...)
	args[at] = value
	return args, nil
}

// readValue reads a value to its end, and none that is larger than max bytes. If the context ends first, a goroutine is left
// behind that reads until something comes: a read from a terminal cannot be broken off.
func readValue(ctx context.Context, r io.Reader, max int) (string, error) {
	type read struct {
		value []byte
		err   error
	}
	done := make(chan read, 1)
	go func() {
		value, err := io.ReadAll(io.LimitReader(r, int64(max)+1))
		done <- read{value, err}
	}()
	select {
	case got := <-done:
		if got.err == nil && len(got.value) > max {
			got.err = fmt.Errorf("there is more than %d bytes, the limit of a value", max)
		}
		return string(got.value), got.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

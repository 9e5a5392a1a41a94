package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// loadFlags are the flags of load.
type loadFlags struct {
	output
	connection
	clients int
	partial bool
}

// maxLoadClients is how many updates a client of the cluster has under way at most.
const maxLoadClients = 256

func newLoadCommand() *cobra.Command {
	f := new(loadFlags)
	cmd := &cobra.Command{
		Use:   "load [FILE]",
		Short: "Read a dump back into the store",
		Long: `Load puts every pair of a dump (tandem dump --help tells its form) into the store, from
FILE or from standard input. Keys that are not in the dump stay as they are.

A FILE is read twice: first to see that all of it can be understood and that it is
whole, and nothing is put if it is not. Standard input is put as it comes. A dump
without its last line is refused, as it may have been cut; --partial takes it, and
what is filtered, or put together from several: lines that tell the end are passed over,
and so is a last line that is cut short.

A pair is counted when its put was acknowledged. A load that is interrupted leaves in
what it has put; loading again is safe, since it puts the same values.

Standard output has how many pairs are in; with --json an object with pairs, bytes (of
keys and values), elapsed_ms, whole (whether that is all), and if not, uncertain (puts
that may be in as well) and error.

Exit status: 0 all pairs are in; 2 stopped or failed on the way, and some may be in; 3
failed, and nothing was put; 64 usage.`,
		Example: `  tandem load store.jsonl
  gunzip < store.jsonl.gz | tandem load
  tandem dump --monitor 10.0.0.1:7000 | tandem load --monitor 10.1.0.1:7000
  head -100 store.jsonl | tandem load --partial`,
		Args:              atMostOne("FILE"),
		ValidArgsFunction: completeFile,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, fileArg(args)) },
	}
	f.connection.addFlags(cmd)
	f.output.addFlags(cmd)
	cmd.Flags().Lookup("timeout").Usage = "how long to try each put; 0 for ever"
	cmd.Flags().IntVar(&f.clients, "clients", 16, "put so many pairs at once")
	cmd.Flags().BoolVar(&f.partial, "partial", false, "take what is no whole dump, too")
	return cmd
}

func (f *loadFlags) run(cmd *cobra.Command, file string) error {
	if f.clients < 1 || f.clients > maxLoadClients {
		return usageErrorf("--clients %d: must be from 1 to %d", f.clients, maxLoadClients)
	}
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.Close()
	defer tellWaiting(client, cmd.ErrOrStderr(), cmd.CommandPath())()
	in, total, err := f.open(cmd, file)
	if err != nil && cmd.Context().Err() != nil {
		return fmt.Errorf("%w; nothing was put", interruptedOr(cmd.Context(), err))
	}
	if err != nil {
		return failed(err)
	}
	defer in.Close()
	p := f.newProgress(cmd.ErrOrStderr())
	l := &loading{flags: f, client: client, meter: newMeter(p, "pair", total)}
	cut, err := l.run(cmd.Context(), in)
	p.clear()
	if cut > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: line %d is cut short, and left out\n", cmd.CommandPath(), cut)
	}
	return l.conclude(cmd, err)
}

// open returns what to load from and how many pairs are in it, zero if that cannot be
// told yet. All of a file has been understood.
func (f *loadFlags) open(cmd *cobra.Command, name string) (_ io.ReadCloser, total uint64, err error) {
	if name == standardStream {
		return io.NopCloser(cmd.InOrStdin()), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		if total, err = f.check(cmd.Context(), file); err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return file, total, nil
}

// check reads a dump, and returns how many pairs are in it.
func (f *loadFlags) check(ctx context.Context, r io.Reader) (pairs uint64, err error) {
	d := f.reader(r)
	for ctx.Err() == nil {
		_, _, err := d.next()
		if errors.Is(err, io.EOF) {
			return d.pairs, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, ctx.Err()
}

func (f *loadFlags) reader(r io.Reader) *dumpReader {
	d := newDumpReader(r)
	d.partial = f.partial
	return d
}

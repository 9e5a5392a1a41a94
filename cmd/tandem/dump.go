package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	kv "github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// dumpFlags are the flags of dump.
type dumpFlags struct {
	output
	connection
	prefix string
	server string
}

func newDumpCommand() *cobra.Command {
	f := new(dumpFlags)
	cmd := &cobra.Command{
		Use:   "dump [FILE]",
		Short: "Write the whole store to JSON Lines",
		Long: `Dump writes every key and its value, as of one moment, to FILE or to standard output:
one JSON object a line, in the order of the keys, and a line more that tells the dump
is whole.

  {"key":"planet/4","value":"Mars"}
  {"key":"raw","value_base64":"/wA="}
  {"end":true,"pairs":2}

A key or value that is not valid UTF-8 stands under key_base64 or value_base64, so that
every byte comes back with tandem load. The store goes on serving; updates that come
while the dump is written are not in it.

FILE gets its name when all of it is on the disk: there is what was before, or the
whole dump, for its owner alone to read. Should the server be lost that holds the
moment, the dump begins again; on standard output it cannot, and fails.

With --server it is what that one server has, whether it is primary, backup or idle,
and no other server or view service is asked: to compare servers, or to save what one
holds when the group is down. Nothing is promised of how old that is.

When FILE is written, standard output has how many pairs are in it; with --json as an
object with file, pairs, bytes (of keys and values) and elapsed_ms.

Exit status: 0 the dump is whole; 2 stopped; 3 failed; 64 usage. After 2 and 3 FILE is
as it was, and what went to standard output has no last line.`,
		Example: `  tandem dump store.jsonl
  tandem dump --prefix planet/ | jq -r 'select(.end | not) | .key'
  tandem dump | gzip > store.jsonl.gz

  # what one server holds, when the group is down
  tandem dump --server 10.0.0.2:7001 salvaged.jsonl`,
		Args:              atMostOne("FILE"),
		ValidArgsFunction: completeFile,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, fileArg(args)) },
	}
	f.connection.addFlags(cmd)
	f.output.addFlags(cmd)
	cmd.Flags().Lookup("timeout").Usage = "how long to wait while nothing comes; 0 for ever"
	cmd.Flags().StringVar(&f.prefix, "prefix", "", "only keys that begin with `P`")
	cmd.Flags().StringVar(&f.server, "server", "", "`address` of the one server whose table to write as it stands there")
	return cmd
}

// standardStream stands for standard input or output in place of a file's name.
const standardStream = "-"

// fileArg returns the file that a command line names, standardStream if none.
func fileArg(args []string) string {
	if len(args) == 0 {
		return standardStream
	}
	return args[0]
}

// dumped is what dump tells of a file.
type dumped struct {
	File          string `json:"file"`
	Pairs         uint64 `json:"pairs"`
	Bytes         uint64 `json:"bytes"` // of keys and values
	ElapsedMillis int64  `json:"elapsed_ms"`
}

func (f *dumpFlags) run(cmd *cobra.Command, file string) error {
	source, done, err := f.source(cmd)
	if err != nil {
		return err
	}
	defer done()
	start := time.Now()
	d, err := f.dump(cmd, source, file)
	if err != nil && cmd.Context().Err() != nil {
		return interruptedOr(cmd.Context(), err)
	}
	if err != nil || file == standardStream {
		return failed(err)
	}
	r := dumped{file, d.pairs, d.bytes, time.Since(start).Milliseconds()}
	if f.json {
		return writeJSON(cmd.OutOrStdout(), r)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, in %s\n", countOf(r.Pairs, "pair"), byteCount(r.Bytes), file)
	return err
}

// tableSource calls visit with pairs in the order of their keys, all as of one moment.
type tableSource func(ctx context.Context, prefix string, visit func(key, value string) bool) error

// source returns where the pairs come from; done is to be called when that is over.
func (f *dumpFlags) source(cmd *cobra.Command) (_ tableSource, done func(), err error) {
	opts, err := f.options()
	if err != nil {
		return nil, nil, err
	}
	if f.server != "" {
		if err := checkDialled("--server", f.server); err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context, prefix string, visit func(key, value string) bool) error {
			err := kvservice.ReadTable(ctx, f.server, prefix, visit, opts...)
			if err != nil && errors.Is(context.Cause(ctx), errNothingCame) {
				return fmt.Errorf("no answer from %s", f.server)
			}
			return err
		}, func() {}, nil
	}
	client, err := f.client()
	if err != nil {
		return nil, nil, err
	}
	tellNoMore := tellWaiting(client, cmd.ErrOrStderr(), cmd.CommandPath())
	return client.ScanContext, func() { tellNoMore(); client.Close() }, nil
}

// dumpAttempts bounds how often a dump to a file is begun.
const dumpAttempts = 5

// dump writes the dump, again from the start if the moment is lost and it can be.
func (f *dumpFlags) dump(cmd *cobra.Command, source tableSource, file string) (d *dumpWriter, err error) {
	p := f.newProgress(cmd.ErrOrStderr())
	defer p.clear()
	m := newMeter(p, "pair", 0)
	if p != nil && f.prefix == "" {
		m.total = f.keys(cmd.Context())
	}
	fill := func(w io.Writer) error {
		d = newDumpWriter(w)
		return f.fill(cmd.Context(), source, d, m)
	}
	if file == standardStream {
		return d, fill(cmd.OutOrStdout())
	}
	for attempt := 1; ; attempt++ {
		err = writeWholeFile(file, fill)
		if !errors.Is(err, kv.ErrScanLost) || attempt == dumpAttempts {
			return d, err
		}
		p.clear()
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v; beginning again\n", cmd.CommandPath(), err)
	}
}

// fill writes all pairs and the end. The timeout bounds the waits between them.
func (f *dumpFlags) fill(ctx context.Context, source tableSource, d *dumpWriter, m *meter) error {
	w, cancel := f.watch(ctx)
	defer cancel()
	var err error
	scanErr := source(w.ctx, f.prefix, func(key, value string) bool {
		w.pause() // a disk or a reader may be as slow as it likes
		defer w.resume()
		err = d.put(key, value)
		m.show(d.pairs)
		return err == nil
	})
	if err = errors.Join(err, w.explain(scanErr)); err != nil {
		return err
	}
	return d.end()
}

// keys returns how many there are, for the bar; zero if nobody can tell.
func (f *dumpFlags) keys(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	opts, err := f.options()
	if err != nil {
		return 0
	}
	addr := f.server
	if addr == "" {
		monitor, err := f.viewService()
		if err != nil {
			return 0
		}
		defer monitor.Close()
		reply, err := monitor.Wait(ctx, kv.ViewArgs{})
		if err != nil {
			return 0
		}
		addr = reply.View.Primary
	}
	st, err := kvservice.ReadStatus(ctx, addr, opts...)
	if err != nil {
		return 0
	}
	return st.Keys
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
)

// keysCommand lists keys.
type keysCommand struct {
	connection
	values bool
	null   bool
	json   bool
	limit  int
}

func newKeysCommand() *cobra.Command {
	c := new(keysCommand)
	cmd := &cobra.Command{
		Use:   "keys [PREFIX]",
		Short: "List the keys, or those with a prefix",
		Long: `List the keys that begin with PREFIX, or all of them, in the order of their bytes, a
line each. All are as of one moment. None at all is no error.

A key that would not be one plain line (it is empty, holds a line break or bytes that
are no text, begins or ends with a space, or begins with a quote) is printed in
quotes, with the escapes of Go: "two\nlines". With --values the value follows after a
tab, written by the same rule. For programs there are --json, an object a line as
tandem dump writes them, and --null, which prints keys as they are.

Exit status: 0 they are listed; 3 they could not be read, or not to the end; 64 the
command line was not understood.`,
		Example: `  tandem keys
  tandem keys user/ --values
  tandem keys --limit 10
  tandem keys --null user/ | xargs -0 -n1 tandem delete --    # whatever the keys hold`,
		Args:              atMostOne("PREFIX"),
		ValidArgsFunction: c.completeKey,
		RunE:              c.run,
	}
	c.connection.addFlags(cmd)
	cmd.Flags().Lookup("timeout").Usage = "how long to wait while nothing comes; 0 for ever"
	cmd.Flags().BoolVar(&c.values, "values", false, "print the values too")
	cmd.Flags().BoolVarP(&c.null, "null", "0", false, "print keys as they are, with a zero byte after each in place of a line break")
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object a line")
	cmd.Flags().IntVar(&c.limit, "limit", 0, "how many to list at most; 0 for all")
	cmd.MarkFlagsMutuallyExclusive("null", "json")
	cmd.MarkFlagsMutuallyExclusive("null", "values")
	return cmd
}

func (c *keysCommand) run(cmd *cobra.Command, args []string) error {
	if c.limit < 0 {
		return usageErrorf("--limit %d: must not be negative", c.limit)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	prefix := strings.Join(args, "") // of which there is one at most
	out := bufio.NewWriter(cmd.OutOrStdout())
	stop := tellWaiting(client, cmd.ErrOrStderr(), cmd.CommandPath())
	n, err := c.scan(cmd.Context(), client, prefix, c.limit, func(key, value string) error { return c.write(out, key, value) })
	stop()
	if flushed := out.Flush(); flushed != nil {
		err = fmt.Errorf("writing the answer: %w", flushed)
	}
	if err != nil && n > 0 {
		return failed(fmt.Errorf("after %s: %s; there may be more", countOf(n, "key"), c.explain(err)))
	}
	if err != nil {
		return failed(errors.New(c.explain(err)))
	}
	return nil
}

// write writes a key, and perhaps its value, as the flags say. Its errors are those of
// the writer.
func (c *keysCommand) write(w io.Writer, key, value string) error {
	text := plainLine(key) + "\n"
	switch {
	case c.json && c.values:
		return writeJSONLine(w, newJSONPair(key, value))
	case c.json:
		return writeJSONLine(w, newJSONKey(key))
	case c.null:
		text = key + "\x00"
	case c.values:
		text = plainLine(key) + "\t" + plainLine(value) + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// scan visits the pairs whose keys begin with a prefix, limit of them at most unless
// that is zero, and returns how many it visited. The timeout bounds the waits for
// servers, and not the whole.
func (c *connection) scan(ctx context.Context, client *kvservice.KVClient, prefix string, limit int, visit func(key, value string) error) (int, error) {
	w, cancel := c.watch(ctx)
	defer cancel()
	n := 0
	var failure error
	err := client.ScanContext(w.ctx, prefix, func(key, value string) bool {
		w.pause()
		defer w.resume()
		if failure = visit(key, value); failure != nil {
			return false
		}
		n++
		return limit == 0 || n < limit
	})
	return n, errors.Join(failure, w.explain(err))
}

// plainLine returns a text that is one line: the string itself if that is one, and
// reads as nothing else, or the string in quotes, with the escapes of Go.
func plainLine(s string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if s == "" || s[0] == '"' || strings.TrimSpace(s) != s || !utf8.ValidString(s) || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

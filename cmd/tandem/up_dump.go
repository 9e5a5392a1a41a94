package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tandemkv/tandem/internal/cluster"
	"github.com/tandemkv/tandem/kvservice"
)

// tableFile returns the name of the file for the table of a server, by its place
// among them.
func tableFile(i int) string { return fmt.Sprintf("server-%d.jsonl", i+1) }

// dumpTables writes the table of each server to a file in a directory, and tells of
// each. A server whose table cannot be read does not keep the others from it; the
// error names all that failed.
func dumpTables(ctx context.Context, s *cluster.Supervisor, dir string, tell func(string)) error {
	var errs []error
	for i, m := range s.Servers() {
		if m.Ready.Addr == "" {
			errs = append(errs, fmt.Errorf("%s does not run, and has no table", m.Name))
			continue
		}
		path := filepath.Join(dir, tableFile(i))
		pairs, err := dumpTable(ctx, m.Ready.Reach(), path)
		if err != nil {
			errs = append(errs, fmt.Errorf("table of %s: %w", m.Name, err))
			continue
		}
		tell(fmt.Sprintf("%s (pid %d): %s, in %s", m.Name, m.Ready.PID, countOf(pairs, "pair"), path))
	}
	return errors.Join(errs...)
}

// dumpTable writes the table of the server at an address to a file, as a dump, and
// returns how many pairs it has: none if the server has never held any state. On an
// error there is no file.
func dumpTable(ctx context.Context, addr, path string) (pairs uint64, err error) {
	fill := func(w io.Writer) error {
		d := newDumpWriter(w)
		var failed error
		err := kvservice.ReadTable(ctx, addr, "", func(key, value string) bool {
			failed = d.put(key, value)
			return failed == nil
		})
		if errors.Is(err, kvservice.ErrNoState) {
			err = nil
		}
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		pairs = d.pairs
		return d.end()
	}
	return pairs, writeWholeFile(path, fill)
}

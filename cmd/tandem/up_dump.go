package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
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
		path := filepath.Join(dir, tableFile(i))
		pairs, err := dumpTable(ctx, m.Ready.Reach(), path)
		switch {
		case m.Ready.Addr == "":
			errs = append(errs, fmt.Errorf("%s does not run: it has no table", m.Name))
		case err != nil:
			errs = append(errs, fmt.Errorf("table of %s: %w", m.Name, err))
		default:
			tell(fmt.Sprintf("%s (pid %d): %s pairs written to %s", m.Name, m.Ready.PID, thousands(uint64(pairs)), path))
		}
	}
	return errors.Join(errs...)
}

// dumpTable writes the table of the server at an address to a new file, as JSON
// Lines, and returns how many pairs it has. A server that has never held any state
// has none. On an error there is no file.
func dumpTable(ctx context.Context, addr, path string) (pairs int, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	w := bufio.NewWriter(f)
	var failed error
	err = kvservice.ReadTable(ctx, addr, "", func(key, value string) bool {
		failed = writeJSONLine(w, newJSONPair(key, value))
		pairs++
		return failed == nil
	})
	if errors.Is(err, kvservice.ErrNoState) {
		err = nil
	}
	if err = errors.Join(err, failed, w.Flush()); err != nil {
		return 0, err
	}
	return pairs, f.Sync()
}

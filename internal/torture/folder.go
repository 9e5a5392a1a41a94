package torture

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// File is a file that is left behind.
type File struct{ Name, About string }

// Files are those that Run and Write leave in the directory.
var Files = []File{
	{"faults.jsonl", "what struck whom, from when to when, a fault a line, as they ended"},
	{"history.jsonl", "what the clients asked for and were told, an operation a line, key by key"},
	{"picture.html", "porcupine's picture of the keys that are bad, if some are"},
	{"monitor.log, server-N.log", "what the processes logged, life after life"},
	{"clients.log", "what the clients logged"},
	{"data", "what the view service kept"},
}

// Write writes history, faults, and the picture if there is something bad to be
// seen, into a directory.
func (r *Report) Write(dir string) error {
	err := errors.Join(write(dir, "faults.jsonl", r.writeFaults), write(dir, "history.jsonl", r.history.WriteJSON))
	if len(r.bad) > 0 {
		err = errors.Join(err, write(dir, "picture.html", func(w io.Writer) error { return r.history.WritePicture(r.bad, w) }))
	}
	return err
}

func write(dir, name string, content func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return errors.Join(content(f), f.Close())
}

func (r *Report) writeFaults(to io.Writer) error {
	w := bufio.NewWriter(to)
	enc := json.NewEncoder(w)
	for _, f := range r.timeline {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("write the faults: %w", err)
		}
	}
	return w.Flush()
}

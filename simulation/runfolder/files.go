package runfolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file of a folder.
type File struct {
	Name    string
	About   string // what it is, in a line
	Content []byte
}

// ErrNotEmpty is what WriteFiles returns, wrapped, when there is something in
// the directory already.
var ErrNotEmpty = errors.New("the directory is not empty")

// WriteFiles makes a directory, and what is missing above it, with these files in
// it. They are written under another name beside it, which the directory then
// gets, so that it is there with all of them or not at all. A directory that has
// something in it is left alone: the error is ErrNotEmpty.
func WriteFiles(dir string, files []File) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the run folder %s: %w", dir, err)
		}
	}()
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err = free(dir); err != nil {
		return err
	}
	if err = os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".partial-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	for _, f := range files {
		if err = os.WriteFile(filepath.Join(partial, f.Name), f.Content, 0o644); err != nil {
			return err
		}
	}
	if err = os.Chmod(partial, 0o755); err != nil { // which MkdirTemp made for us alone
		return err
	}
	// An empty directory makes way. If something has come into it since, this fails.
	if err = os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(partial, dir)
}

// free returns nil if a directory is empty or not there.
func free(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return ErrNotEmpty
	}
	return nil
}

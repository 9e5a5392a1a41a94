package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// writeWholeFile has fill write a file, which gets its name when everything is on
// the disk: under that name there is what was before, or all of it. The file is its
// owner's alone to read. Until then it is beside, as .NAME.partial-*; that is what a
// process that is killed leaves behind. What is no regular file, such as a pipe, is
// written to as it is.
//
// The error names the file, and wraps that of fill.
func writeWholeFile(name string, fill func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", name, err)
		}
	}()
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("that is a directory")
	case !info.Mode().IsRegular():
		return writeInto(name, fill)
	default:
		// A link stays, and what it leads to is replaced.
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	}
	dir := filepath.Dir(name)
	partial, err := os.CreateTemp(dir, "."+filepath.Base(name)+".partial-")
	if err != nil {
		return err
	}
	if err = errors.Join(fillAndSync(partial, fill), partial.Close()); err == nil {
		err = os.Rename(partial.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial.Name()))
	}
	return syncDir(dir)
}

func fillAndSync(f *os.File, fill func(io.Writer) error) error {
	if err := fill(f); err != nil {
		return err
	}
	return f.Sync()
}

func writeInto(name string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // where directories cannot be opened, and names need no help
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

package sysmonitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/tandemkv/tandem/internal/filelock"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// The files of a data directory. The record of a cluster that was given up stays
// beside, as abandonedFile with the cluster's id and the number of its last view.
const (
	recordFile    = "views"      // the last durable record
	partFile      = "views.part" // a record on its way to be that
	lockFile      = "lock"       // whose lock stands for the use of the directory
	abandonedFile = "views.abandoned-"
)

// lockPatience bounds the wait for a lock: a monitor that was killed a moment ago
// may still be ending.
const lockPatience = time.Second

// ErrDataInUse is wrapped by the error about a data directory that another monitor
// uses.
var ErrDataInUse = errors.New("another monitor uses it")

// ErrNoData is wrapped by the error about a directory that holds no views.
var ErrNoData = errors.New("no views are kept there")

// files is what keeping a record takes of the file system, and where tests come
// between.
type files interface {
	write(path string, b []byte) error // the content is durable, its name perhaps not
	rename(from, to string) error
	syncDir(dir string) error // makes the names in it durable
}

// dataDir is a directory in which a view service keeps its last record (rule
// V10). Whoever has one has it alone, until close.
type dataDir struct {
	dir   string
	files files
	lock  *os.File
	last  *view.Record // as it was found, nil if there was none
}

// openData opens a data directory that exists. Errors name the directory or file.
func openData(dir string, files files) (*dataDir, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	d := &dataDir{dir: dir, files: files, lock: lock}
	if err := d.load(); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// load takes the lock and reads what is there.
func (d *dataDir) load() error {
	switch err := filelock.Lock(d.lock, lockPatience); {
	case errors.Is(err, filelock.ErrLocked):
		return fmt.Errorf("data directory %s: %w", d.dir, ErrDataInUse)
	case err != nil:
		return fmt.Errorf("lock data directory %s: %w", d.dir, err)
	}
	// What an interrupted write left behind nobody was told of.
	if err := os.Remove(d.path(partFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := readData(d.path(recordFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%s: %w", d.path(recordFile), err)
	case err != nil:
		return err
	}
	d.last = &r
	// It is going to be announced as it is. Whoever wrote it may have been killed after
	// the rename, and before that was durable.
	return d.files.syncDir(d.dir)
}

// makeData opens a data directory, and makes it first if it is missing.
func makeData(dir string, files files) (*dataDir, error) {
	// Where there is a lock, the directory was durable before that was made.
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err != nil {
		if err := makeDir(filepath.Clean(dir), files); err != nil {
			return nil, err
		}
	}
	return openData(dir, files)
}

// makeDir makes a directory and those above it, durably.
func makeDir(dir string, files files) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case err == nil:
		return syncFound(dir, files)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent, files); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return files.syncDir(parent)
}

// syncFound makes the name of a directory durable that is there already: who made it may
// have been killed before he came to that. Where names of others cannot be synced,
// they are taken for durable.
func syncFound(dir string, files files) error {
	err := files.syncDir(filepath.Dir(dir))
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

func (d *dataDir) path(name string) string { return filepath.Join(d.dir, name) }

// keep replaces the record. When it returns nil the new one is durable; after an
// error the old one or the new one is, whole.
func (d *dataDir) keep(r view.Record) error {
	b, err := encodeData(r)
	if err != nil {
		return err
	}
	if err := d.files.write(d.path(partFile), b); err != nil {
		return err
	}
	if err := d.files.rename(d.path(partFile), d.path(recordFile)); err != nil {
		return err
	}
	return d.files.syncDir(d.dir)
}

// close ends the use of the directory.
func (d *dataDir) close() { d.lock.Close() }

// osFiles is the file system itself.
type osFiles struct{}

func (osFiles) write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (osFiles) rename(from, to string) error { return os.Rename(from, to) }

func (osFiles) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot be asked for, and is not needed
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

package sysmonitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tandemkv/tandem/sysmonitor/view"
)

// Data is the data directory of a view service that does not run, in use by
// whoever opened it. It is not safe for concurrent use.
type Data struct {
	data   *dataDir
	record view.Record
}

// OpenData opens a data directory that a view service has kept its views in. It is
// in use, and no view service can be started on it, until Close. The error wraps
// ErrNoData, ErrDataInUse or ErrDamaged, or is the file system's, and names the
// directory or file.
func OpenData(dir string) (*Data, error) { return openForRepair(dir, osFiles{}) }

func openForRepair(dir string, files files) (*Data, error) {
	none := fmt.Errorf("data directory %s: %w", dir, ErrNoData)
	switch _, err := os.Stat((&dataDir{dir: dir}).path(recordFile)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, none
	case err != nil:
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	data, err := openData(dir, files)
	if err != nil {
		return nil, err
	}
	if data.last == nil {
		data.close()
		return nil, none
	}
	return &Data{data, *data.last}, nil
}

// View returns the last view that was kept and the last number that was activated.
// Its number is zero if a cluster was given up (StartOver) and no other has formed.
func (d *Data) View() (v View, active uint) { return d.record.View, d.record.Active }

// InSync returns the servers that hold all the data, as far as is on record: when
// the group is down, it waits for one of them.
func (d *Data) InSync() []Server { return append([]Server(nil), d.record.InSync...) }

// StartOver gives the cluster up, with all that its servers hold: the next view
// service on this directory begins a new, empty cluster, and refuses the old one's
// servers and clients with ErrWrongCluster (rule V0). The record of the old one
// stays in a file beside, whose path is returned. After an error the cluster is as
// it was, or given up.
func (d *Data) StartOver() (kept string, err error) {
	v := d.record.View
	if v.Viewnum == 0 {
		return "", fmt.Errorf("data directory %s: the cluster was given up already, and no other has formed", d.data.dir)
	}
	b, err := encodeData(d.record)
	if err != nil {
		return "", err
	}
	kept = d.data.path(fmt.Sprintf("%s%x-%d", abandonedFile, v.Cluster, v.Viewnum))
	if err := d.data.files.write(kept, b); err != nil {
		return "", err
	}
	r := d.record.StartOver()
	if err := d.data.keep(r); err != nil { // makes the name of the other file durable, too
		return "", err
	}
	d.record = r
	return kept, nil
}

// Close ends the use of the directory.
func (d *Data) Close() { d.data.close() }

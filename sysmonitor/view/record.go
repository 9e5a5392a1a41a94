package view

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tandemkv/tandem"
)

// Record is what must be durable before it is announced (rule V10): all that a
// Service needs to go on after a restart. Each replaces the one before.
type Record struct {
	Number uint64 // counts the records, from 1; it is what Durable is told

	View   tandem.View
	Active uint            // the last number that was activated
	InSync []tandem.Server // rule V3, less those that restarted (rule V6)
	// BackupLost: the view's backup restarted under its name and is to be
	// dropped (rule V6) as soon as the primary is live.
	BackupLost bool

	// Abandoned holds the ids of the clusters that were given up here (rule V0),
	// the oldest first, AbandonedMax of them at most. See StartOver.
	Abandoned []uint64
}

// StartOver returns the record from which a new cluster begins in the place of
// this one's, which is given up with all its data: there is no view, and the id
// is among the abandoned ones, so that servers which still ping with it are
// refused for what they are and do not read as memory lost (rule V0).
func (r Record) StartOver() Record {
	abandoned := append([]uint64(nil), r.Abandoned...)
	if r.View.Cluster != 0 {
		abandoned = append(abandoned, r.View.Cluster)
	}
	if n := len(abandoned); n > AbandonedMax {
		abandoned = abandoned[n-AbandonedMax:]
	}
	return Record{Number: r.Number + 1, View: tandem.View{Group: r.View.Group}, Abandoned: abandoned}
}

// recordVersion is the first byte of an encoded Record.
const recordVersion = 2

// ErrBadRecord is wrapped by every error about a record that cannot be one.
var ErrBadRecord = errors.New("not a record of the view service")

// AppendBinary appends the record's encoding. It carries a version and no
// checksum: whoever keeps it adds one. The error is always nil.
func (r Record) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, r.Number)
	b = appendView(b, r.View)
	b = binary.AppendUvarint(b, uint64(r.Active))
	b = appendServers(b, r.InSync)
	b = appendBool(b, r.BackupLost)
	return appendIDs(b, r.Abandoned), nil
}

// MarshalBinary returns the record's encoding; see AppendBinary.
func (r Record) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote. Anything else is an error that
// wraps ErrBadRecord, and leaves the record as it was. It checks the form; that
// the record makes sense is checked by Restore.
func (r *Record) UnmarshalBinary(b []byte) error {
	d := decoder{rest: b}
	if v := d.byte(); v != recordVersion {
		return fmt.Errorf("%w: version %d", ErrBadRecord, v)
	}
	var got Record
	got.Number = d.uvarint()
	got.View = d.view()
	got.Active = d.uint()
	got.InSync = d.servers()
	got.BackupLost = d.bool()
	got.Abandoned = d.ids()
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("%w: %d bytes, malformed", ErrBadRecord, len(b))
	}
	*r = got
	return nil
}

// check returns an error unless the record is one that a Service can have made.
func (r Record) check() error {
	v := r.View
	bad := func(what string) error { return fmt.Errorf("%w: %s in view %s", ErrBadRecord, what, viewText(v)) }
	switch {
	case r.Number == 0:
		return bad("record number 0")
	case v.Viewnum == 0:
		return r.checkStartOver()
	case v.Primary == "" || v.Primary == v.Backup || v.Backup == "" && v.BackupIncarnation != 0:
		return bad("impossible roles")
	case v.Cluster == 0:
		return bad("no cluster id")
	case r.Active > v.Viewnum:
		return bad(fmt.Sprintf("activation of view %d", r.Active))
	case len(v.Primary) > AddrMax || len(v.Backup) > AddrMax:
		return bad("an address too long")
	case r.Active == 0 && (len(r.InSync) > 0 || v.Backup != ""):
		return bad("a backup or an in-sync set before the first activation")
	case r.BackupLost && v.Backup == "":
		return bad("no backup to be lost")
	}
	for i, m := range r.InSync {
		if m.Addr == "" || len(m.Addr) > AddrMax || i > 1 || i == 1 && m.Addr == r.InSync[0].Addr {
			return bad("impossible in-sync set " + serversText(r.InSync))
		}
		if r.Active == v.Viewnum && m != v.PrimaryServer() && m != v.BackupServer() {
			return bad("an in-sync server that is no member, " + name(m))
		}
	}
	return r.checkAbandoned()
}

// checkStartOver is check for a record without a view, which StartOver alone makes.
func (r Record) checkStartOver() error {
	if r.View != (tandem.View{Group: r.View.Group}) || r.Active != 0 || len(r.InSync) > 0 || r.BackupLost || len(r.Abandoned) == 0 {
		return fmt.Errorf("%w: it holds no view, and is not where a cluster was given up", ErrBadRecord)
	}
	return r.checkAbandoned()
}

func (r Record) checkAbandoned() error {
	for i, id := range r.Abandoned {
		if id == 0 || id == r.View.Cluster || i >= AbandonedMax {
			return fmt.Errorf("%w: cluster %x cannot be the %d. to be given up", ErrBadRecord, id, i+1)
		}
	}
	return nil
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendServer(b []byte, s tandem.Server) []byte {
	return binary.AppendUvarint(appendString(b, s.Addr), s.Incarnation)
}

func appendServers(b []byte, list []tandem.Server) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendServer(b, s)
	}
	return b
}

func appendIDs(b []byte, ids []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendUvarint(b, id)
	}
	return b
}

func appendView(b []byte, v tandem.View) []byte {
	b = binary.AppendUvarint(b, uint64(v.Viewnum))
	b = appendServer(b, v.PrimaryServer())
	b = appendServer(b, v.BackupServer())
	b = binary.AppendUvarint(b, v.Cluster)
	return binary.AppendUvarint(b, uint64(v.Group))
}

// decoder reads an encoding. Once something is wrong it is bad for good and
// reads zeroes, so that only the end needs a check.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, nil }

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	v := d.rest[0]
	d.rest = d.rest[1:]
	return v
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	// A number has one encoding: the shortest. So a record has one, too.
	if n <= 0 || n > 1 && d.rest[n-1] == 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) uint() uint {
	v := d.uvarint()
	if uint64(uint(v)) != v {
		d.fail()
		return 0
	}
	return uint(v)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > AddrMax || n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	v := string(d.rest[:n])
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) server() tandem.Server {
	addr := d.string()
	return tandem.Server{Addr: addr, Incarnation: d.uvarint()}
}

func (d *decoder) servers() []tandem.Server {
	n := d.uvarint()
	if n > 2 { // an in-sync set has two members at most
		d.fail()
	}
	var list []tandem.Server
	for i := uint64(0); i < n && !d.bad; i++ {
		list = append(list, d.server())
	}
	return list
}

func (d *decoder) ids() []uint64 {
	n := d.uvarint()
	if n > AbandonedMax {
		d.fail()
	}
	var ids []uint64
	for i := uint64(0); i < n && !d.bad; i++ {
		ids = append(ids, d.uvarint())
	}
	return ids
}

func (d *decoder) view() tandem.View {
	v := tandem.View{Viewnum: d.uint()}
	p, b := d.server(), d.server()
	v.Primary, v.PrimaryIncarnation = p.Addr, p.Incarnation
	v.Backup, v.BackupIncarnation = b.Addr, b.Incarnation
	v.Cluster = d.uvarint()
	group := d.uvarint()
	if group > 1<<32-1 {
		d.fail()
	}
	v.Group = uint32(group)
	return v
}

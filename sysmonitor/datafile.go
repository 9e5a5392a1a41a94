package sysmonitor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/tandemkv/tandem/sysmonitor/view"
)

// A data file holds one record of the view service, and nothing else:
//
//	8 bytes   "tdmviews"
//	2 bytes   version, big-endian, as all numbers here
//	4 bytes   length of the record
//	          the record, as package view encodes it
//	4 bytes   CRC-32C of everything before
//
// It is only ever replaced whole, so a file that does not check was not torn by a
// crash; somebody or something damaged it.
const (
	dataMagic   = "tdmviews"
	dataVersion = 1
	dataHeader  = len(dataMagic) + 2 + 4
	// dataMax bounds a file, in bytes: a record is a few addresses.
	dataMax = 64 << 10
)

// ErrDamaged is wrapped by the errors about data that was kept and does not check.
var ErrDamaged = errors.New("the data is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeData returns the file that holds a record.
func encodeData(r view.Record) ([]byte, error) {
	record, err := r.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), dataMagic...)
	b = binary.BigEndian.AppendUint16(b, dataVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(record)))
	b = append(b, record...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// decodeData returns the record that a file holds. The error wraps ErrDamaged.
func decodeData(b []byte) (view.Record, error) {
	damaged := func(format string, args ...any) (view.Record, error) {
		return view.Record{}, fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
	}
	if len(b) < dataHeader+4 {
		return damaged("%d bytes are too few", len(b))
	}
	if len(b) > dataMax {
		return damaged("more than %d bytes", dataMax)
	}
	if magic := string(b[:len(dataMagic)]); magic != dataMagic {
		return damaged("it begins with %q, not %q", magic, dataMagic)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return damaged("the checksum is %08x, and the content's %08x", sum, got)
	}
	if v := binary.BigEndian.Uint16(b[len(dataMagic):]); v != dataVersion {
		return damaged("version %d is not known, only %d", v, dataVersion)
	}
	record := body[dataHeader:]
	if n := binary.BigEndian.Uint32(b[len(dataMagic)+2:]); uint64(n) != uint64(len(record)) {
		return damaged("a record of %d bytes is announced, and there are %d", n, len(record))
	}
	var r view.Record
	if err := r.UnmarshalBinary(record); err != nil {
		return damaged("%w", err)
	}
	return r, nil
}

// readData reads a data file. The error is of the file system and names the file,
// or wraps ErrDamaged and does not.
func readData(path string) (view.Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return view.Record{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, dataMax+1))
	if err != nil {
		return view.Record{}, err
	}
	return decodeData(b)
}

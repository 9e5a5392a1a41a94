package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tandemkv/tandem"
)

// getQuery asks for the value of a key.
type getQuery struct {
	key string
}

func (q *getQuery) append(b []byte) []byte {
	return appendString(append(b, version, tagGet), q.key)
}

func (r *reader) getQuery() getQuery {
	return getQuery{key: r.string()}
}

// scanQuery asks for a page of the pairs with a prefix.
type scanQuery struct {
	prefix string
	limit  int // pairs at most; zero leaves it to Limits.PagePairs
	// scan is the index as of which to go on; zero starts a scan.
	scan uint64
	// after is the key to go on after. It is looked at if scan is not zero, or
	// if it is not empty: a scan can also be started half-way. (A first page
	// may end with the empty key, and then the second goes on after "".)
	after string
}

func (q *scanQuery) append(b []byte) []byte {
	b = append(b, version, tagScan)
	b = appendString(b, q.prefix)
	b = binary.AppendUvarint(b, uint64(q.limit))
	b = binary.AppendUvarint(b, q.scan)
	return appendString(b, q.after)
}

func (r *reader) scanQuery() scanQuery {
	q := scanQuery{prefix: r.string()}
	limit := r.uvarint()
	if limit > math.MaxInt32 {
		r.fail(fmt.Errorf("has limit %d", limit))
	}
	q.limit = int(limit)
	q.scan = r.uvarint()
	q.after = r.string()
	return q
}

func appendGetReply(b []byte, p *tandem.GetReply) []byte {
	b = append(b, version, tagGetReply)
	b = appendCode(b, p.Err)
	return appendString(b, p.Value)
}

// minPair is the least a pair takes when encoded.
const minPair = 2

func appendScanReply(b []byte, p *tandem.ScanReply) []byte {
	b = append(b, version, tagScanReply)
	b = appendCode(b, p.Err)
	b = binary.AppendUvarint(b, p.Scan)
	b = binary.AppendUvarint(b, p.Index)
	b = appendBool(b, p.More)
	b = binary.AppendUvarint(b, uint64(len(p.Pairs)))
	for _, pair := range p.Pairs {
		b = appendString(b, pair.Key)
		b = appendString(b, pair.Value)
	}
	return b
}

// Stats are what a store holds.
type Stats struct {
	Index      uint64 // of the last entry applied
	TimeMillis int64  // of the last entry applied
	Keys       uint64
	Bytes      uint64 // of keys and values
	Sessions   uint64
	ReplyBytes uint64 // of the replies stored with the sessions
	Cursors    uint64 // snapshots held for scans; not replicated
}

func (p *Stats) append(b []byte) []byte {
	b = append(b, version, tagStatsReply)
	b = binary.AppendUvarint(b, p.Index)
	b = binary.AppendVarint(b, p.TimeMillis)
	for _, v := range [...]uint64{p.Keys, p.Bytes, p.Sessions, p.ReplyBytes, p.Cursors} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

package store

import (
	"slices"
	"strings"

	"github.com/tandemkv/tandem"
)

// cursor is a snapshot of the data that scans go on reading from.
//
// A cursor is named by the index that it shows, and scans that began at the
// same index share one. A name given out by a server that has since restarted,
// or by another, can then do no harm: whoever knows a state by that index knows
// the same state (I5).
type cursor struct {
	index uint64
	data  *tree // never written to
	idle  int   // ticks since it was last read from
}

// Tick implements replica.Machine: it drops the cursors that nobody has read
// from for Limits.CursorTicks.
func (s *Store) Tick() {
	for i := range s.cursors {
		s.cursors[i].idle++
	}
	s.cursors = slices.DeleteFunc(s.cursors, func(c cursor) bool { return c.idle >= s.limits.CursorTicks })
}

// Read implements replica.Machine. It answers the queries of GetQuery,
// ScanQuery and StatsQuery, and anything else with nil, which none of the
// functions that decode replies accepts.
func (s *Store) Read(query []byte) []byte {
	r := reader{b: query}
	switch r.header() {
	case tagGet:
		if q := r.getQuery(); r.done() == nil {
			return s.readGet(&q)
		}
	case tagScan:
		if q := r.scanQuery(); r.done() == nil {
			return s.readScan(&q)
		}
	case tagStats:
		if r.done() == nil {
			stats := s.Stats()
			return stats.append(nil)
		}
	}
	return nil
}

func (s *Store) readGet(q *getQuery) []byte {
	p := tandem.GetReply{Err: tandem.OK}
	var ok bool
	if p.Value, ok = s.Get(q.key); !ok {
		p.Err = tandem.ErrNoKey
	}
	return appendGetReply(make([]byte, 0, len(p.Value)+16), &p)
}

// readScan answers with a page. The pages of a scan are all as of one index:
// the first page that is not the last opens a cursor, and the others name it.
// The cursor outlives the last page, whose reply may be lost and asked for
// again; it goes by age, or when others need the room.
func (s *Store) readScan(q *scanQuery) []byte {
	var p tandem.ScanReply
	if q.scan == 0 || q.scan == s.index {
		p = s.page(s.data, q)
		p.Index = s.index
		if p.More || q.scan != 0 {
			p.Scan = s.index
			s.useCursor(s.index)
		}
	} else if data := s.useCursor(q.scan); data != nil {
		p = s.page(data, q)
		p.Index, p.Scan = q.scan, q.scan
	} else {
		p.Err = tandem.ErrScanLost
	}
	return appendScanReply(nil, &p)
}

// useCursor returns the data as of an index, nil if it is not held. A cursor at
// the present index is opened if there is none, at the cost of the one that has
// gone unused longest if there are too many.
func (s *Store) useCursor(index uint64) *tree {
	var c cursor
	if i := slices.IndexFunc(s.cursors, func(c cursor) bool { return c.index == index }); i >= 0 {
		c = s.cursors[i]
		s.cursors = slices.Delete(s.cursors, i, i+1)
	} else if index == s.index {
		c = cursor{index: index, data: s.data.Copy()}
	} else {
		return nil
	}
	if len(s.cursors) >= s.limits.MaxCursors {
		s.cursors = slices.Delete(s.cursors, 0, 1)
	}
	c.idle = 0
	s.cursors = append(s.cursors, c)
	return c.data
}

// page reads a page of the pairs with a prefix: at least one, if there is one,
// and then as many as the limits of pairs and bytes allow.
func (s *Store) page(data *tree, q *scanQuery) tandem.ScanReply {
	p := tandem.ScanReply{Err: tandem.OK}
	limit := s.limits.PagePairs
	if q.limit > 0 {
		limit = min(limit, q.limit)
	}
	following := q.scan != 0 || q.after != ""
	start := q.prefix
	if following {
		start = max(start, q.after)
	}
	size := 0
	data.ascend(start, func(r record) bool {
		key, value := r.key(), r.value()
		if following && key <= q.after {
			return true
		}
		if !strings.HasPrefix(key, q.prefix) {
			return false
		}
		size += len(key) + len(value)
		if n := len(p.Pairs); n > 0 && (n >= limit || size > s.limits.PageBytes) {
			p.More = true
			return false
		}
		p.Pairs = append(p.Pairs, tandem.Pair{Key: key, Value: value})
		return true
	})
	return p
}

package replica

import (
	"math"
	"slices"
)

// log is the part of the one global log that this server still holds, in runs of
// entries. What stands in a run is never written over or cleared, so messages and
// clones may share it; and as runs are small, no step takes longer for a log that
// holds more.
//
//	runs are gapless, none is empty, and the last ends with the last entry
type log struct {
	base      uint64 // index of the entry before the first held
	baseEpoch uint64 // that entry's epoch and time; zero for the beginning
	baseTime  int64
	runs      []run // the first may begin at or before base
	bytes     int   // of the entries held
}

// run is some entries that follow one another.
type run struct {
	before  int // bytes of the entries before it, counted from some entry on
	bytes   int // of its own
	entries []Entry
}

// A run is full at either bound: what is trimmed of a run lives on until the whole
// of it goes.
const (
	runEntries = 256
	runBytes   = 256 << 10
)

func (u *run) first() uint64 { return u.entries[0].Index }
func (u *run) last() uint64  { return u.first() + uint64(len(u.entries)) - 1 }
func (u *run) full() bool    { return len(u.entries) >= runEntries || u.bytes >= runBytes }

func (l *log) last() uint64 {
	if len(l.runs) == 0 {
		return l.base
	}
	return l.runs[len(l.runs)-1].last()
}

// find returns the run that holds an index.
func (l *log) find(index uint64) int {
	n := len(l.runs) - 1
	if l.runs[n].first() <= index {
		return n // mostly: what is new is at the end
	}
	if l.runs[0].last() >= index {
		return 0 // or it is what is trimmed
	}
	i, _ := slices.BinarySearchFunc(l.runs, index, func(u run, index uint64) int {
		if u.last() < index {
			return -1
		}
		return 1
	})
	return i
}

func (l *log) at(index uint64) Entry {
	u := &l.runs[l.find(index)]
	return u.entries[index-u.first()]
}

// stamp returns the epoch and time of the entry at index, which is held or is
// the base.
func (l *log) stamp(index uint64) (epoch uint64, time int64) {
	if index == l.base {
		return l.baseEpoch, l.baseTime
	}
	e := l.at(index)
	return e.Epoch, e.Time
}

func (l *log) add(e Entry) {
	n := len(l.runs)
	if n == 0 || l.runs[n-1].full() {
		var u run
		if n > 0 {
			before := &l.runs[n-1]
			u = run{before: before.before + before.bytes, entries: make([]Entry, 0, len(before.entries))}
		}
		l.runs = append(l.runs, u)
		n++
	}
	u := &l.runs[n-1]
	u.entries = append(u.entries, e)
	u.bytes += entrySize(e)
	l.bytes += entrySize(e)
}

// bytesOf returns the bytes of entries.
func bytesOf(entries []Entry) int {
	n := 0
	for i := range entries {
		n += entrySize(entries[i])
	}
	return n
}

// slice returns the entries from index on, as many as fit in max bytes and at least
// one.
func (l *log) slice(from uint64, max int) []Entry {
	i := l.find(from)
	u := &l.runs[i]
	entries := u.entries[from-u.first():]
	size := 0
	for j := range entries {
		if size += entrySize(entries[j]); j > 0 && size > max {
			return entries[:j:j]
		}
	}
	entries = slices.Clip(entries)
	for _, u := range l.runs[i+1:] {
		for j := range u.entries {
			if size += entrySize(u.entries[j]); size > max {
				return append(entries, u.entries[:j]...)
			}
		}
		entries = append(entries, u.entries...)
	}
	return entries
}

// between returns the entries after one index up to another, as many as fit in max
// bytes, and if there are any, at least one.
func (l *log) between(after, last uint64, max int) []Entry {
	if after >= last {
		return nil
	}
	entries := l.slice(after+1, max)
	n := min(uint64(len(entries)), last-after)
	return entries[:n:n]
}

// held returns all entries.
func (l *log) held() []Entry { return l.between(l.base, l.last(), math.MaxInt) }

// trim forgets the entries up to index.
func (l *log) trim(index uint64) {
	l.baseEpoch, l.baseTime = l.stamp(index)
	for l.base < index {
		u := &l.runs[0]
		to := min(index, u.last())
		for _, e := range u.entries[l.base+1-u.first() : to+1-u.first()] {
			l.bytes -= entrySize(e)
		}
		l.base = to
		if to == u.last() {
			*u = run{} // or it would live as long as the array
			l.runs = l.runs[1:]
		}
	}
}

// cut drops the entries after index.
func (l *log) cut(index uint64) {
	l.bytes -= l.bytesAfter(index)
	for len(l.runs) > 0 {
		n := len(l.runs) - 1
		u := &l.runs[n]
		if u.last() <= index {
			return
		}
		if u.first() <= index {
			held := int(index - u.first() + 1)
			for _, e := range u.entries[held:] {
				u.bytes -= entrySize(e)
			}
			u.entries = u.entries[:held:held] // what follows may be shared
			return
		}
		*u = run{}
		l.runs = l.runs[:n]
	}
}

// bytesAfter returns the bytes of the entries after index.
func (l *log) bytesAfter(index uint64) int {
	if index >= l.last() {
		return 0
	}
	u := &l.runs[l.find(index+1)]
	end := &l.runs[len(l.runs)-1]
	bytes := end.before + end.bytes - u.before - u.bytes
	for _, e := range u.entries[index+1-u.first():] {
		bytes += entrySize(e)
	}
	return bytes
}

// clone returns a log that is equal and independent.
func (l *log) clone() log {
	c := *l
	c.runs = slices.Clone(l.runs)
	if n := len(c.runs); n > 0 {
		c.runs[n-1].entries = slices.Clip(c.runs[n-1].entries) // both may add to it
	}
	return c
}

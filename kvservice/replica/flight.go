package replica

import (
	"cmp"
	"iter"
	"slices"
)

// pending is who waits for an entry that was ordered here.
type pending struct {
	index uint64
	name  requestName
	waits bool     // somebody waits, under this id:
	id    uint64   // the first's, mostly the only one
	more  []uint64 // of duplicates that joined (rule S3)
}

// ids returns the ids of those that wait, in the order in which they came.
func (p *pending) ids() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		if !p.waits || !yield(p.id) {
			return
		}
		for _, id := range p.more {
			if !yield(id) {
				return
			}
		}
	}
}

// count returns how many wait.
func (p *pending) count() int {
	if !p.waits {
		return 0
	}
	return 1 + len(p.more)
}

func (p *pending) join(id uint64) {
	if !p.waits {
		p.waits, p.id = true, id
		return
	}
	p.more = append(p.more, id)
}

// forget removes the ids that are gone, and returns how many those are.
func (p *pending) forget(gone func(id uint64) bool) (n int) {
	before := p.count()
	p.more = slices.DeleteFunc(p.more, gone)
	if p.waits && gone(p.id) {
		if p.waits = len(p.more) > 0; p.waits {
			p.id, p.more = p.more[0], p.more[1:]
		}
	}
	return before - p.count()
}

// flight is a queue of what was ordered here and is not applied yet, by rising
// index. It is taken in the order in which it was added, so in the steady state it
// allocates nothing.
type flight struct {
	queue []pending
	taken int // from the front of queue
}

func (f *flight) len() int { return len(f.queue) - f.taken }

// all returns what is in flight; it must not be kept.
func (f *flight) all() []pending { return f.queue[f.taken:] }

func (f *flight) add(p pending) {
	if len(f.queue) == cap(f.queue) && f.taken > len(f.queue)/2 {
		n := copy(f.queue, f.all())
		clear(f.queue[n:])
		f.queue, f.taken = f.queue[:n], 0
	}
	f.queue = append(f.queue, p)
}

// take removes what waits for an index, if that is the first.
func (f *flight) take(index uint64) (p pending, ok bool) {
	if f.len() == 0 || f.queue[f.taken].index != index {
		return pending{}, false
	}
	p = f.queue[f.taken]
	f.queue[f.taken] = pending{}
	if f.taken++; f.taken == len(f.queue) {
		f.queue, f.taken = f.queue[:0], 0
	}
	return p, true
}

// at returns what waits for an index that is in flight.
func (f *flight) at(index uint64) *pending {
	i, _ := slices.BinarySearchFunc(f.all(), index, func(p pending, index uint64) int { return cmp.Compare(p.index, index) })
	return &f.all()[i]
}

// forget removes the ids that are gone wherever they wait, and returns how many those
// are.
func (f *flight) forget(gone func(id uint64) bool) (n int) {
	for i := range f.all() {
		n += f.all()[i].forget(gone)
	}
	return n
}

func (f *flight) clone() flight {
	c := flight{queue: slices.Clone(f.all())}
	for i := range c.queue {
		c.queue[i].more = slices.Clone(c.queue[i].more)
	}
	return c
}

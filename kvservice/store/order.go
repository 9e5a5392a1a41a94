package store

import "slices"

// order is a doubly linked list of some rows of a table, by their places: a row is
// added at the end, and removed from wherever it is, in O(1).
type order struct {
	links []link // of each row, in it or not
	head  int32  // a place from 1, as in links; zero is none
	tail  int32
}

// link is a row's neighbours.
type link struct{ before, after int32 }

func (o *order) clone() order {
	c := *o
	c.links = slices.Clone(o.links)
	return c
}

// grow makes room for one more row.
func (o *order) grow() { o.links = append(o.links, link{}) }

// push adds row i at the end.
func (o *order) push(i int) {
	at := int32(i) + 1
	o.links[i] = link{before: o.tail}
	if o.tail == 0 {
		o.head = at
	} else {
		o.links[o.tail-1].after = at
	}
	o.tail = at
}

// remove removes row i, which must be in it.
func (o *order) remove(i int) {
	l := o.links[i]
	if l.before == 0 {
		o.head = l.after
	} else {
		o.links[l.before-1].after = l.after
	}
	if l.after == 0 {
		o.tail = l.before
	} else {
		o.links[l.after-1].before = l.before
	}
	o.links[i] = link{}
}

// first returns the first row.
func (o *order) first() (i int, ok bool) { return int(o.head) - 1, o.head != 0 }

// next returns the row after row i.
func (o *order) next(i int) (after int, ok bool) {
	n := o.links[i].after
	return int(n) - 1, n != 0
}

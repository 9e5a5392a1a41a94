// Package numbered has a map for what is numbered in turn.
package numbered

import "iter"

// Map holds things by numbers that are given out one after another, and of which few are
// in use at a time, as a rule: those cost a look into an array. More are held as in any
// map. The zero Map is empty. It is not safe for concurrent use.
//
//	n is in near[n%places], or else in far
type Map[N ~uint64, T any] struct {
	near  [places]entry[N, T]
	far   map[N]*T
	count int
}

const places = 8

type entry[N ~uint64, T any] struct {
	n N
	t *T // nil: the place is free
}

// Put adds a thing, which is not nil, under a number that is not in use.
func (m *Map[N, T]) Put(n N, t *T) {
	m.count++
	if e := &m.near[n%places]; e.t == nil {
		*e = entry[N, T]{n, t}
		return
	}
	if m.far == nil {
		m.far = make(map[N]*T)
	}
	m.far[n] = t
}

// Get returns the thing with a number, nil if there is none.
func (m *Map[N, T]) Get(n N) *T {
	if e := &m.near[n%places]; e.n == n && e.t != nil {
		return e.t
	}
	if len(m.far) == 0 {
		return nil
	}
	return m.far[n]
}

// Delete takes the thing with a number out and returns it, nil if there was none.
func (m *Map[N, T]) Delete(n N) *T {
	if e := &m.near[n%places]; e.n == n && e.t != nil {
		t := e.t
		e.t = nil
		m.count--
		return t
	}
	if len(m.far) == 0 {
		return nil
	}
	t := m.far[n]
	if t != nil {
		delete(m.far, n)
		m.count--
	}
	return t
}

// Len returns how many there are.
func (m *Map[N, T]) Len() int { return m.count }

// All walks over them, in no order. Meanwhile the map must not change.
func (m *Map[N, T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range m.near {
			if t := m.near[i].t; t != nil && !yield(t) {
				return
			}
		}
		for _, t := range m.far {
			if !yield(t) {
				return
			}
		}
	}
}

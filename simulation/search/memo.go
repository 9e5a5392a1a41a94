package search

import (
	"sync"
	"sync/atomic"
)

// memo remembers what a key came to. It is safe for concurrent use, and reading
// takes no lock, for nearly every step of a search is one that was made before.
type memo[T any] struct {
	mu    sync.Mutex
	table atomic.Pointer[memoTable[T]]
}

// memoTable is an open hash table, at most half full.
type memoTable[T any] struct {
	slots []memoSlot[T]
	used  int
}

// memoSlot is free while val is nil; key is written before val is.
type memoSlot[T any] struct {
	key uint64
	val atomic.Pointer[T]
}

// get returns what was put under the key, nil if nothing was.
func (m *memo[T]) get(key uint64) *T {
	t := m.table.Load()
	if t == nil {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := scatter(key) & mask; ; i = (i + 1) & mask {
		v := t.slots[i].val.Load()
		if v == nil || t.slots[i].key == key {
			return v
		}
	}
}

// put remembers val under the key and returns it, or what another had put there
// first.
func (m *memo[T]) put(key uint64, val *T) *T {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	if t == nil || 2*(t.used+1) > len(t.slots) {
		t = t.grown()
		m.table.Store(t)
	}
	return t.insert(key, val)
}

func (t *memoTable[T]) grown() *memoTable[T] {
	if t == nil {
		return &memoTable[T]{slots: make([]memoSlot[T], 8)}
	}
	g := &memoTable[T]{slots: make([]memoSlot[T], 2*len(t.slots))}
	for i := range t.slots {
		if v := t.slots[i].val.Load(); v != nil {
			g.insert(t.slots[i].key, v)
		}
	}
	return g
}

func (t *memoTable[T]) insert(key uint64, val *T) *T {
	mask := uint64(len(t.slots) - 1)
	for i := scatter(key) & mask; ; i = (i + 1) & mask {
		v := t.slots[i].val.Load()
		if v == nil {
			t.slots[i].key = key
			t.slots[i].val.Store(val)
			t.used++
			return val
		}
		if t.slots[i].key == key {
			return v
		}
	}
}

// scatter is the finalizer of MurmurHash3, a bijection.
func scatter(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// interned gives each different value, told by its key, one object and one
// number. It is safe for concurrent use.
type interned[T any] struct {
	mu    sync.RWMutex
	byKey map[string]*T
	list  []*T
	all   atomic.Pointer[[]*T] // the list as of some time, for reading without a lock
}

// of returns the object with this key, made if there is none yet; create is
// given its number.
func (n *interned[T]) of(key []byte, create func(id uint32) *T) *T {
	n.mu.RLock()
	v := n.byKey[string(key)]
	n.mu.RUnlock()
	if v != nil {
		return v
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := n.byKey[string(key)]; v != nil {
		return v
	}
	if n.byKey == nil {
		n.byKey = make(map[string]*T)
	}
	v = create(uint32(len(n.list)))
	n.byKey[string(key)] = v
	n.list = append(n.list, v)
	now := n.list
	n.all.Store(&now)
	return v
}

// at returns the object with this number.
func (n *interned[T]) at(id uint32) *T { return (*n.all.Load())[id] }

// count returns how many there are.
func (n *interned[T]) count() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.list)
}

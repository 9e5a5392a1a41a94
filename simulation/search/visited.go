package search

import "sync"

// visited is the set of the keys of all states found. States are told apart by
// 128 bits that are mixed from the numbers of their parts: among n states two
// are taken for one with a probability of about n*n/2^129.
type visited struct {
	shards [64]struct {
		mu    sync.Mutex
		slots []key
		used  int
		_     [24]byte
	}
}

// add adds a key and tells whether it was new.
func (v *visited) add(k key) bool {
	if k == (key{}) {
		k[0] = 1 // the zero key marks a free slot
	}
	s := &v.shards[k[0]>>58]
	s.mu.Lock()
	defer s.mu.Unlock()
	if 4*(s.used+1) > 3*len(s.slots) {
		old := s.slots
		s.slots = make([]key, max(64, 2*len(old)))
		for _, o := range old {
			if o != (key{}) {
				s.slots[place(s.slots, o)] = o
			}
		}
	}
	i := place(s.slots, k)
	if s.slots[i] == k {
		return false
	}
	s.slots[i] = k
	s.used++
	return true
}

// place returns where a key is, or belongs.
func place(slots []key, k key) uint64 {
	mask := uint64(len(slots) - 1)
	i := k[1] & mask
	for slots[i] != (key{}) && slots[i] != k {
		i = (i + 1) & mask
	}
	return i
}

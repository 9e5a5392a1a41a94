package store

import "encoding/binary"

// tags are a byte of each record of a leaf, made of its key. They stand side by side,
// where the keys are all over the memory: who looks for a key compares eight at once,
// and then few keys but its own.
type tags [room]uint8

// tagOf returns the tag of a key, which depends on all of its bytes.
func tagOf(key string) uint8 {
	const odd = 0x9e3779b97f4a7c15
	h := uint64(len(key))
	for ; len(key) >= 8; key = key[8:] {
		h = (h ^ word(key)) * odd
		h ^= h >> 32
	}
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * odd
	}
	return uint8(h >> 56)
}

// word returns the first eight bytes of a string.
func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// same returns eight bytes of tags, of which those that are tag have the highest bit
// set. So may others be, after one that is.
func (t *tags) same(at int, tag uint8) uint64 {
	const ones = 0x0101010101010101
	x := binary.LittleEndian.Uint64(t[at:]) ^ uint64(tag)*ones
	return (x - ones) &^ x & (ones << 7)
}

// insert makes room for a tag before the i-th of n.
func (t *tags) insert(i, n int, tag uint8) {
	copy(t[i+1:n+1], t[i:n])
	t[i] = tag
}

// delete takes out the i-th tag of n.
func (t *tags) delete(i, n int) { copy(t[i:n-1], t[i+1:n]) }

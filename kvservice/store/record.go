package store

// record is a pair in one string: its key and its value as appendString encodes
// them, which is how they stand in commands and snapshots. None is "".
type record string

func makeRecord(key, value string) record {
	b := make([]byte, 0, stringSize(len(key))+stringSize(len(value)))
	return record(appendString(appendString(b, key), value))
}

func (r record) key() string {
	n, at := r.length(0)
	return string(r[at : at+n])
}

func (r record) value() string {
	n, at := r.length(0)
	n, at = r.length(at + n)
	return string(r[at : at+n])
}

// size returns the bytes of the key and the value.
func (r record) size() uint64 {
	k, at := r.length(0)
	v, _ := r.length(at + k)
	return uint64(k + v)
}

// length decodes the length that stands at a place, and returns where what has that
// length begins.
func (r record) length(at int) (n, next int) {
	if c := r[at]; c < 0x80 {
		return int(c), at + 1
	}
	for shift := 0; ; shift += 7 {
		c := r[at]
		at++
		if n |= int(c&0x7f) << shift; c < 0x80 {
			return n, at
		}
	}
}

// record returns the next pair as a record of its own; "" after an error.
func (r *reader) record() record {
	from := r.b
	r.raw()
	r.raw()
	if r.err != nil {
		return ""
	}
	return record(from[:len(from)-len(r.b)])
}

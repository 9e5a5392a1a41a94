package store

import (
	"math/bits"
	"slices"
	"strings"
)

// tree is a B+ tree of records in the order of their keys, whose copies cost O(1):
// a node is written to only by the tree that made it since it was last copied, and
// otherwise copied first. Nodes that a copy can reach therefore never change, and a
// copy may be read while the original is written to.
//
// It is here, and no tree of somebody else's, because a pair is one string in it: a
// slot takes 16 bytes, which are what a write copies of its neighbours while there is
// a snapshot, and the collector follows one pointer for each pair.
type tree struct {
	root  *node
	count int
	owner *owner
}

// owner marks the nodes that a tree made since it was last copied. (It has a size,
// since pointers to things without one may be equal.)
type owner struct{ _ byte }

// node is a leaf, with records, or an inner node, with children:
//
//	len(children) = len(keys) + 1
//	keys in children[i] < keys[i] <= keys in children[i+1]
type node struct {
	owner    *owner
	records  []record
	tags     tags     // of the records
	keys     []string // as short as they can be, and no part of a record, which they would keep alive
	children []*node
}

const (
	maxItems = 63           // records or children of a node
	room     = maxItems + 1 // for the one that makes it split
	// A node below minItems is merged with a neighbour, if both are within
	// mergedItems: what was merged is not to be split by the next insertion.
	minItems    = maxItems / 4
	mergedItems = maxItems * 3 / 4
)

func newTree() *tree { return &tree{owner: new(owner)} }

// Copy returns an equal and independent tree.
func (t *tree) Copy() *tree {
	c := *t
	t.owner, c.owner = new(owner), new(owner)
	return &c
}

func (t *tree) Len() int { return t.count }

// get returns the record with a key, "" if there is none.
func (t *tree) get(key string) record {
	n := t.root
	if n == nil {
		return ""
	}
	for n.children != nil {
		n = n.children[n.child(key)]
	}
	if i, found := n.lookup(key); found {
		return n.records[i]
	}
	return ""
}

// child returns which child of an inner node a key belongs to.
func (n *node) child(key string) int {
	low, high := 0, len(n.keys)
	for low < high {
		if h := int(uint(low+high) / 2); n.keys[h] <= key {
			low = h + 1
		} else {
			high = h
		}
	}
	return low
}

// lookup returns where in a leaf a key stands, if it does.
func (n *node) lookup(key string) (i int, found bool) {
	tag := tagOf(key)
	for at := 0; at < len(n.records); at += 8 {
		for same := n.tags.same(at, tag); same != 0; same &= same - 1 {
			i := at + bits.TrailingZeros64(same)/8
			if i < len(n.records) && n.records[i].key() == key {
				return i, true
			}
		}
	}
	return 0, false
}

// place returns where in a leaf a key stands, or would.
func (n *node) place(key string) int {
	low, high := 0, len(n.records)
	for low < high {
		if h := int(uint(low+high) / 2); n.records[h].key() < key {
			low = h + 1
		} else {
			high = h
		}
	}
	return low
}

// items returns how many a node holds of what maxItems bounds.
func (n *node) items() int { return max(len(n.records), len(n.children)) }

// write returns the node that a place in a tree refers to, made the tree's own.
func (t *tree) write(at **node) *node {
	n := *at
	if n.owner != t.owner {
		c := &node{owner: t.owner}
		if n.children == nil {
			c.records = append(make([]record, 0, room), n.records...)
			c.tags = n.tags
		} else {
			c.keys = append(make([]string, 0, room), n.keys...)
			c.children = append(make([]*node, 0, room), n.children...)
		}
		n, *at = c, c
	}
	return n
}

// set adds a record, or replaces the one with its key, which it returns; "" is none.
func (t *tree) set(r record) (old record) {
	if t.root == nil {
		t.root = &node{owner: t.owner}
	}
	root := t.write(&t.root)
	if old = t.insert(root, r, true); old == "" {
		t.count++
	}
	if root.items() > maxItems {
		key, right := root.split(true)
		t.root = &node{owner: t.owner, keys: []string{key}, children: []*node{root, right}}
	}
	return old
}

// insert is set below a node that may be written to, and that may have one item too
// many afterwards. last tells that the node is the last of its level.
func (t *tree) insert(n *node, r record, last bool) (old record) {
	key := r.key()
	if n.children == nil {
		if i, found := n.lookup(key); found {
			old, n.records[i] = n.records[i], r
			return old
		}
		i := n.place(key)
		n.tags.insert(i, len(n.records), tagOf(key))
		n.records = slices.Insert(n.records, i, r)
		return ""
	}
	i := n.child(key)
	last = last && i == len(n.children)-1
	c := t.write(&n.children[i])
	old = t.insert(c, r, last)
	if c.items() > maxItems {
		middle, right := c.split(last)
		n.keys = slices.Insert(n.keys, i, middle)
		n.children = slices.Insert(n.children, i+1, right)
	}
	return old
}

// split moves the second half of a node into one of its own, and returns that and
// what parts them. Of the last node of its level it moves only what was added, so that
// pairs that come in order fill their nodes.
func (n *node) split(last bool) (key string, right *node) {
	right = &node{owner: n.owner}
	if n.children == nil {
		at := len(n.records) / 2
		if last {
			at = len(n.records) - 1
		}
		right.records = append(make([]record, 0, room), n.records[at:]...)
		copy(right.tags[:], n.tags[at:])
		clear(n.records[at:])
		n.records = n.records[:at]
		return parting(n.records[at-1].key(), right.records[0].key()), right
	}
	at := len(n.children) / 2
	if last {
		at = len(n.children) - 2
	}
	key = n.keys[at-1]
	right.keys = append(make([]string, 0, room), n.keys[at:]...)
	right.children = append(make([]*node, 0, room), n.children[at:]...)
	clear(n.keys[at-1:])
	clear(n.children[at:])
	n.keys, n.children = n.keys[:at-1], n.children[:at]
	return key, right
}

// parting returns the shortest string that is above one key and not above the next.
func parting(before, after string) string {
	i := 0
	for i < len(before) && before[i] == after[i] {
		i++
	}
	return strings.Clone(after[:i+1])
}

// delete removes the record with a key and returns it; "" is none.
func (t *tree) delete(key string) (old record) {
	if t.get(key) == "" {
		return "" // and no node is copied for it
	}
	t.count--
	old = t.remove(t.write(&t.root), key)
	for len(t.root.children) == 1 {
		t.root = t.root.children[0]
	}
	if t.count == 0 {
		t.root = nil
	}
	return old
}

// remove is delete below a node that may be written to, of a key that is there.
func (t *tree) remove(n *node, key string) (old record) {
	if n.children == nil {
		i, _ := n.lookup(key)
		old = n.records[i]
		n.tags.delete(i, len(n.records))
		n.records = slices.Delete(n.records, i, i+1)
		return old
	}
	i := n.child(key)
	old = t.remove(t.write(&n.children[i]), key)
	switch items := n.children[i].items(); {
	case items == 0:
		n.drop(i)
	case items < minItems:
		t.merge(n, max(i-1, 0))
		t.merge(n, i)
	}
	return old
}

// drop takes a child that is empty out of a node, which may be empty then, too.
func (n *node) drop(i int) {
	n.children = slices.Delete(n.children, i, i+1)
	if at := max(i-1, 0); len(n.keys) > 0 {
		n.keys = slices.Delete(n.keys, at, at+1)
	}
}

// merge puts a child and the next one together, if there is one and they fit.
func (t *tree) merge(n *node, i int) {
	if i+1 >= len(n.children) || n.children[i].items()+n.children[i+1].items() > mergedItems {
		return
	}
	left, right := t.write(&n.children[i]), n.children[i+1]
	if left.children == nil {
		copy(left.tags[len(left.records):], right.tags[:len(right.records)])
		left.records = append(left.records, right.records...)
	} else {
		left.keys = append(append(left.keys, n.keys[i]), right.keys...)
		left.children = append(left.children, right.children...)
	}
	n.keys = slices.Delete(n.keys, i, i+1)
	n.children = slices.Delete(n.children, i+1, i+2)
}

// ascend calls visit with the records from a key on, in order, until it returns
// false.
func (t *tree) ascend(from string, visit func(record) bool) {
	if t.root != nil {
		t.root.ascend(from, visit)
	}
}

func (n *node) ascend(from string, visit func(record) bool) bool {
	if n.children == nil {
		for _, r := range n.records[n.place(from):] {
			if !visit(r) {
				return false
			}
		}
		return true
	}
	for _, c := range n.children[n.child(from):] {
		if !c.ascend(from, visit) {
			return false
		}
	}
	return true
}

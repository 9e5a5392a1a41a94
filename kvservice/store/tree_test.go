package store

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// check says what is wrong with a tree: the order of its keys, the depth of its
// leaves, what its nodes hold.
func (t *tree) check() error {
	if t.root == nil {
		if t.count != 0 {
			return fmt.Errorf("counts %d and holds none", t.count)
		}
		return nil
	}
	n, _, err := t.root.check("", "", true)
	if err == nil && n != t.count {
		err = fmt.Errorf("counts %d and holds %d", t.count, n)
	}
	return err
}

// check checks what is below a node: keys from one on, and below another, which is ""
// if there is none.
func (n *node) check(from, below string, root bool) (count, depth int, err error) {
	if n.items() > maxItems || n.items() == 0 {
		return 0, 0, fmt.Errorf("a node holds %d", n.items())
	}
	if n.children == nil {
		for i, r := range n.records {
			if r.key() < from || (below != "" && r.key() >= below) || (i > 0 && r.key() <= n.records[i-1].key()) {
				return 0, 0, fmt.Errorf("key %q is in the wrong place", r.key())
			}
			if at, found := n.lookup(r.key()); !found || at != i {
				return 0, 0, fmt.Errorf("key %q is not found by its tag", r.key())
			}
		}
		return len(n.records), 0, nil
	}
	if len(n.children) != len(n.keys)+1 || len(n.records) != 0 || (root && len(n.keys) == 0) {
		return 0, 0, fmt.Errorf("a node has %d children, %d keys, %d records", len(n.children), len(n.keys), len(n.records))
	}
	for i, c := range n.children {
		low, high := from, below
		if i > 0 {
			low = n.keys[i-1]
		}
		if i < len(n.keys) {
			high = n.keys[i]
		}
		held, deep, err := c.check(low, high, false)
		if err != nil {
			return 0, 0, err
		}
		if i > 0 && deep != depth {
			return 0, 0, fmt.Errorf("leaves %d and %d below one node", deep, depth)
		}
		count, depth = count+held, deep
	}
	return count, depth + 1, nil
}

// TestTreesAreMaps: a tree does what a map does, and so do its copies (rule T2),
// whichever of them is written to.
func TestTreesAreMaps(t *testing.T) {
	type twins struct {
		tree *tree
		data map[string]string
	}
	rapid.Check(t, func(t *rapid.T) {
		all := []twins{{newTree(), map[string]string{}}}
		keys := rapid.SampledFrom([]int{10, 200, 5000}).Draw(t, "keys")
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p := rapid.SampledFrom(all).Draw(t, "tree")
			first := rapid.IntRange(0, keys).Draw(t, "first")
			stride := rapid.SampledFrom([]int{1, 7, -1, 0}).Draw(t, "stride")
			remove := rapid.IntRange(0, 2).Draw(t, "remove") == 0
			for i := range rapid.IntRange(1, 500).Draw(t, "writes") {
				key := strconv.Itoa((first + i*stride + keys*500) % keys)
				want, present := p.data[key]
				var old record
				if remove {
					old = p.tree.delete(key)
					delete(p.data, key)
				} else {
					p.data[key] = fmt.Sprint(key, "=", i)
					old = p.tree.set(makeRecord(key, p.data[key]))
				}
				if present != (old != "") || (present && old.value() != want) {
					t.Fatalf("%q was %q, want %q", key, old, want)
				}
			}
			if len(all) < 5 && rapid.Bool().Draw(t, "copy") {
				all = append(all, twins{p.tree.Copy(), maps.Clone(p.data)})
			}
		}
		from := strconv.Itoa(rapid.IntRange(0, keys).Draw(t, "from"))
		for _, p := range all {
			require.NoError(t, p.tree.check())
			require.Equal(t, len(p.data), p.tree.Len())
			var got []string
			p.tree.ascend(from, func(r record) bool {
				require.Equal(t, p.data[r.key()], r.value())
				require.Equal(t, r, p.tree.get(r.key()))
				got = append(got, r.key())
				return true
			})
			want := slices.DeleteFunc(slices.Sorted(maps.Keys(p.data)), func(k string) bool { return k < from })
			require.True(t, slices.Equal(want, got), "%q, want %q", got, want)
		}
	})
}

// Pairs that come in order fill their nodes, also beyond one level of them.
func TestPairsInOrderFillTheTree(t *testing.T) {
	tree := newTree()
	const n = maxItems * maxItems * 3
	for i := range n {
		tree.set(makeRecord(fmt.Sprintf("%08d", i), ""))
	}
	require.NoError(t, tree.check())
	leaves := 0
	var count func(n *node)
	count = func(n *node) {
		if n.children == nil {
			leaves++
		}
		for _, c := range n.children {
			count(c)
		}
	}
	count(tree.root)
	require.LessOrEqual(t, leaves, n/maxItems+1)
}

// Nodes that are emptied between full ones go, and those above them.
func TestEmptiedNodesAreDropped(t *testing.T) {
	const n = maxItems * maxItems * 2
	key := func(i int) string { return fmt.Sprintf("%08d", i) }
	tree := newTree()
	for i := range n {
		tree.set(makeRecord(key(i), ""))
	}
	frozen := tree.Copy()
	for i := maxItems; i < n-maxItems; i++ {
		require.NotEmpty(t, tree.delete(key(i)))
		if i%7 == 0 || i%maxItems <= 1 {
			require.NoError(t, tree.check())
		}
	}
	require.NoError(t, tree.check())
	for i := range n {
		require.Equal(t, i < maxItems || i >= n-maxItems, tree.delete(key(i)) != "")
	}
	require.NoError(t, tree.check())
	require.Nil(t, tree.root)
	require.NoError(t, frozen.check())
	require.Equal(t, n, frozen.Len())
}

// What was deleted leaves no nodes behind, and nothing that keeps it alive.
func TestDeletedPairsLeaveLittle(t *testing.T) {
	tree := newTree()
	const n = 20_000
	for i := range n {
		tree.set(makeRecord(strconv.Itoa(i*7919%n), ""))
	}
	for i := range n - 10 {
		require.NotEmpty(t, tree.delete(strconv.Itoa(i*7919%n)))
	}
	require.NoError(t, tree.check())
	require.Equal(t, 10, tree.Len())
	require.Nil(t, tree.root.children)
	for _, r := range tree.root.records[tree.Len():cap(tree.root.records)] {
		require.Empty(t, r, "beyond the end")
	}
}

func TestRecordsAreAnyPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Map(rapid.SampledFrom([]int{0, 1, 127, 128, 16383, 16384, 70000}), func(n int) string { return string(make([]byte, n)) })
		key, value := some.Draw(t, "key"), some.Draw(t, "value")
		r := makeRecord(key, value)
		require.Equal(t, key, r.key())
		require.Equal(t, value, r.value())
		require.Equal(t, uint64(len(key)+len(value)), r.size())
		read := reader{b: append([]byte(r), 1)}
		require.Equal(t, r, read.record())
		require.Equal(t, []byte{1}, read.b)
	})
}

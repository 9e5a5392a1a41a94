package bench

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// every returns a function that is true once in n calls for a kind.
func every(n int, kind Kind) func(Kind, string) bool {
	var mu sync.Mutex
	calls := 0
	return func(k Kind, _ string) bool {
		mu.Lock()
		defer mu.Unlock()
		if k == kind {
			calls++
		}
		return k == kind && calls%n == 0
	}
}

// TestViolationsAreFound gives a store one fault at a time. Reads are few, so that it is
// the end that finds what is not noticed at once.
func TestViolationsAreFound(t *testing.T) {
	lost := func(v Violations) uint64 { return v.Lost }
	duplicated := func(v Violations) uint64 { return v.Duplicated }
	for name, c := range map[string]struct {
		kind   Kind
		faults func(*memory)
		count  func(Violations) uint64
	}{
		"a put is lost":        {Put, func(m *memory) { m.lose = every(50, Put) }, lost},
		"a swap is lost":       {CompareAndSwap, func(m *memory) { m.lose = every(20, CompareAndSwap) }, lost},
		"an append is lost":    {Append, func(m *memory) { m.lose = every(20, Append) }, lost},
		"an append runs twice": {Append, func(m *memory) { m.twice = every(20, Append) }, duplicated},
		"a puthash is lost":    {PutHash, func(m *memory) { m.lose = every(20, PutHash) }, lost},
		"a puthash runs twice": {PutHash, func(m *memory) { m.twice = every(20, PutHash) }, duplicated},
		"a delete is lost":     {Delete, func(m *memory) { m.lose = every(7, Delete) }, lost},
		"a read finds an old value": {Get, func(m *memory) {
			first := make(map[string]string)
			m.old = func(key, value string) string {
				if _, ok := first[key]; !ok {
					first[key] = value
				}
				return first[key]
			}
		}, func(v Violations) uint64 { return v.Stale }},
		"a read finds another key's value": {Get, func(m *memory) {
			m.old = func(string, string) string { return m.data["bench-0000000001"] }
		}, func(v Violations) uint64 { return v.Wrong }},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			mix := Mix{Put: 10, Get: 1}
			mix[c.kind] = 10
			l := Load{Clients: 2, Keys: 40, Mix: mix, Patience: time.Second}
			r, err := Start(t.Context(), m, l, nil)
			require.NoError(t, err)
			defer r.Close()
			require.NoError(t, r.ReadBack(t.Context(), true))
			require.False(t, violated(r), "before there is a fault")
			stand(r, func() { c.faults(m) })
			require.Eventually(t, func() bool {
				require.NoError(t, r.ReadBack(t.Context(), false))
				return c.count(r.Violations()) > 0
			}, 10*time.Second, time.Millisecond)
			assert.NotEmpty(t, r.Violations().Examples)
		})
	}
}

func violated(r *Running) bool {
	v := r.Violations()
	return v.Any()
}

// stand does something while no operation is under way.
func stand(r *Running, do func()) {
	r.gate.Lock()
	defer r.gate.Unlock()
	do()
}

// TestFailuresAreNoViolations: some operations fail before they run, some after it, and
// of some that do not run nobody knows.
func TestFailuresAreNoViolations(t *testing.T) {
	m := newMemory()
	l := Load{Clients: 4, Keys: 40_000, Mix: everything}
	r, err := Start(t.Context(), m, l, nil)
	require.NoError(t, err)
	defer r.Close()
	lost, refused, cut := failing(211, errLost), failing(223, ErrDidNotRun), failing(227, errLost)
	stand(r, func() {
		m.before = func(_ context.Context, k Kind, key string) error { return errors.Join(refused(k, key), lost(k, key)) }
		m.after = cut
	})
	require.Eventually(t, func() bool {
		w := r.Cut()
		return slices.ContainsFunc(slices.Collect(maps.Values(w.Failures)), func(f Failures) bool { return f.Unknown > 1 && f.DidNotRun > 1 })
	}, 10*time.Second, 50*time.Millisecond)
	stand(r, func() { m.before, m.after = nil, nil })
	require.NoError(t, r.ReadBack(t.Context(), true))
	assert.Zero(t, r.Violations())
	require.NoError(t, r.Err())
}

var errLost = errors.New("the connection is lost")

// failing returns a function that fails once in n calls of each kind.
func failing(n int, err error) func(Kind, string) error {
	var due [kinds]func(Kind, string) bool
	for _, k := range Kinds() {
		due[k] = every(n, k)
	}
	return func(k Kind, key string) error {
		if due[k](k, key) {
			return err
		}
		return nil
	}
}

// TestNoKeyIsLeft: nothing can be written safely any more.
func TestNoKeyIsLeft(t *testing.T) {
	m := newMemory()
	r, err := Start(t.Context(), m, Load{Clients: 1, Keys: 3}, nil)
	require.NoError(t, err)
	defer r.Close()
	stand(r, func() { m.after = func(Kind, string) error { return errLost } })
	require.Eventually(t, func() bool { return r.Err() != nil }, 10*time.Second, time.Millisecond)
	assert.ErrorIs(t, r.Err(), errNoKey)
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tandemkv/tandem"
)

// extras are the keys of one client that are neither read nor put by others: its
// ledgers, its chain, and the key that it deletes.
type extras struct {
	name   string // of the load and the client
	filler string // what chains are put, of a value's size
	size   int    // of a full ledger, in entries

	ledgers []ledger // the last is appended to; those before are complete
	checked int      // how many of those before have been read back
	chain   chain
	mortal  mortal
}

// ledger is a key to which numbers are appended, from 1 up.
type ledger struct {
	key     string
	acked   int  // the last that was acknowledged
	unknown bool // whether the next one ran, too
}

func entry(number int) string { return fmt.Sprintf("%08x;", number) }

const entrySize = 9

// append appends the next number.
func (e *extras) append(ctx context.Context, c Extended) error {
	last := len(e.ledgers) - 1
	if last < 0 || e.ledgers[last].unknown || e.ledgers[last].acked == e.size {
		last++
		e.ledgers = append(e.ledgers, ledger{key: fmt.Sprintf("bench-ledger-%s-%d", e.name, last)})
	}
	l := &e.ledgers[last]
	err := c.Append(ctx, l.key, entry(l.acked+1))
	switch {
	case err == nil:
		l.acked++
	case !errors.Is(err, ErrDidNotRun):
		l.unknown = true
	}
	return err
}

// readBack looks whether a ledger has what was acknowledged, once each and in order.
func (l *ledger) readBack(ctx context.Context, c Client, found *found) error {
	value, _, err := c.Get(ctx, l.key)
	if err != nil {
		return err
	}
	at, rest := 0, value
	for len(rest) > 0 {
		next := rest[:min(entrySize, len(rest))]
		rest = rest[len(next):]
		switch n, err := strconv.ParseUint(strings.TrimSuffix(next, ";"), 16, 31); {
		case err != nil || len(next) != entrySize:
			found.wrong("%s has %q, which nobody appended", l.key, next)
			return nil
		case int(n) == at+1:
			at++
		case int(n) <= at:
			found.duplicated("%s has number %d again after %d", l.key, n, at)
		default:
			found.lost("%s has number %d after %d", l.key, n, at)
			at = int(n)
		}
	}
	switch {
	case at < l.acked:
		found.lost("%s ends with number %d, and %d was acknowledged", l.key, at, l.acked)
	case at > l.acked+1 || (at == l.acked+1 && !l.unknown):
		found.wrong("%s ends with number %d, and %d was appended last", l.key, at, l.acked)
	}
	return nil
}

// chain is a key whose every value comes of the one before.
type chain struct {
	key     string
	links   int    // chains that there were
	value   string // its present one
	unknown bool
}

// putHash adds a link.
func (e *extras) putHash(ctx context.Context, c Extended, found *found) error {
	h := &e.chain
	if h.key == "" || h.unknown {
		*h = chain{key: e.chainKey(h.links), links: h.links + 1}
	}
	old, err := c.PutHash(ctx, h.key, e.filler)
	if err != nil {
		h.unknown = !errors.Is(err, ErrDidNotRun)
		return err
	}
	switch old {
	case h.value:
	case hashed(h.value, e.filler):
		found.duplicated("PutHash of %s returned %q, as if it had run before, on %q", h.key, old, h.value)
	default:
		found.lost("PutHash of %s returned %q, and %q was there", h.key, old, h.value)
	}
	h.value = hashed(old, e.filler)
	return nil
}

func hashed(old, value string) string { return strconv.Itoa(int(tandem.Hash(old + value))) }

// readBack looks whether the chain ends as it was told.
func (h *chain) readBack(ctx context.Context, c Client, filler string, found *found) error {
	if h.key == "" || h.unknown {
		return nil
	}
	value, _, err := c.Get(ctx, h.key)
	switch {
	case err != nil:
		return err
	case value == h.value:
	case value == hashed(h.value, filler):
		found.duplicated("%s has %q, as if its last PutHash had run twice, after which %q was there", h.key, value, h.value)
	default:
		found.lost("%s has %q, and its last PutHash was acknowledged, after which %q was there", h.key, value, h.value)
	}
	return nil
}

// mortal is a key that is put and deleted in turn.
type mortal struct {
	key     string
	lives   int // keys that there were
	there   bool
	unknown bool
}

// putOrDelete puts the key if it is absent, or else deletes it, and returns which.
func (e *extras) putOrDelete(ctx context.Context, c Extended, found *found) (Kind, error) {
	m := &e.mortal
	if m.key == "" || m.unknown {
		*m = mortal{key: e.mortalKey(m.lives), lives: m.lives + 1}
	}
	kind, was, err := Put, true, error(nil)
	if m.there {
		kind = Delete
		was, err = c.Delete(ctx, m.key)
	} else {
		err = c.Put(ctx, m.key, e.filler)
	}
	switch {
	case err == nil:
		m.there = !m.there
		if !was {
			found.lost("Delete of %s did not find it, and its Put was acknowledged", m.key)
		}
	case !errors.Is(err, ErrDidNotRun):
		m.unknown = true
	}
	return kind, err
}

// readBack looks whether the key is there if it should be.
func (m *mortal) readBack(ctx context.Context, c Client, found *found) error {
	if m.key == "" || m.unknown {
		return nil
	}
	_, ok, err := c.Get(ctx, m.key)
	if err != nil {
		return err
	}
	if ok != m.there {
		found.lost("%s is there: %v, and its last change was acknowledged, after which it is there: %v", m.key, ok, m.there)
	}
	return nil
}

// readBack looks at all of them, or at those that were written since the last time.
func (e *extras) readBack(ctx context.Context, c Client, all bool, found *found) error {
	if all {
		e.checked = 0
	}
	for ; e.checked < len(e.ledgers); e.checked++ {
		if err := e.ledgers[e.checked].readBack(ctx, c, found); err != nil {
			return err
		}
	}
	e.checked = max(0, e.checked-1) // the last is not complete
	return errors.Join(e.chain.readBack(ctx, c, e.filler, found), e.mortal.readBack(ctx, c, found))
}

// keys returns the keys that there may be.
func (e *extras) keys() (names []string) {
	for i := range e.ledgers {
		names = append(names, e.ledgers[i].key)
	}
	for i := range e.chain.links {
		names = append(names, e.chainKey(i))
	}
	for i := range e.mortal.lives {
		names = append(names, e.mortalKey(i))
	}
	return names
}

func (e *extras) chainKey(i int) string  { return fmt.Sprintf("bench-chain-%s-%d", e.name, i) }
func (e *extras) mortalKey(i int) string { return fmt.Sprintf("bench-mortal-%s-%d", e.name, i) }

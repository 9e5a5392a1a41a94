package clerk

import "github.com/tandemkv/tandem"

// memory is what a clerk keeps to use it again. None of it is state.
type memory struct {
	out      Effects    // what Take has returned
	gone     []*request // since then; somebody may still walk over them
	requests []*request
	puts     []*tandem.PutArgs
	gets     []*tandem.GetArgs
}

// maxSpare bounds how many of a kind are kept.
const maxSpare = 256

// Take returns the effects that have collected, and forgets them. They are good until
// the next Take.
func (c *Clerk) Take() Effects {
	out := c.out
	c.out = c.spare.out.emptied()
	c.spare.out = out
	for _, r := range c.spare.gone {
		c.spare.requests = keep(c.spare.requests, r)
	}
	c.spare.gone = emptied(c.spare.gone)
	return out
}

// emptied returns no effects, in the memory of those that were.
func (e *Effects) emptied() Effects {
	return Effects{emptied(e.Calls), emptied(e.Abandon), emptied(e.Ask), emptied(e.Done)}
}

func emptied[E any](s []E) []E {
	if cap(s) > maxSpare {
		return nil
	}
	clear(s) // it keeps nothing alive
	return s[:0]
}

// Recycle gives the arguments of a call back that nobody looks at any more. Whoever does
// not know that need not do it.
func (c *Clerk) Recycle(call *Call) {
	switch {
	case call.Put != nil:
		c.spare.puts = keep(c.spare.puts, call.Put)
	case call.Get != nil:
		c.spare.gets = keep(c.spare.gets, call.Get)
	}
}

func keep[T any](spare []*T, t *T) []*T {
	if len(spare) == maxSpare {
		return spare
	}
	*t = *new(T) // it keeps nothing alive
	return append(spare, t)
}

// spared returns something to be overwritten.
func spared[T any](spare *[]*T) *T {
	last := len(*spare) - 1
	if last < 0 {
		return new(T)
	}
	t := (*spare)[last]
	*spare = (*spare)[:last]
	return t
}

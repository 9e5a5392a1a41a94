package search

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// oracle is what no single server knows: the one global log of what anybody has
// committed, what clients asked for and were told, and what of the bounds has
// been used up. It is part of a State.
type oracle struct {
	fold     *fold
	submits  [OpsMax]uint8
	answered uint8 // updates, by bit
	refused  uint8 // updates whose only attempt was refused as not run, by bit
	reads    [ReadsMax]read
	crashes  uint8
	resends  uint8
}

// read is where a read has got to.
type read struct {
	asked, done bool
	need        uint8 // entries committed when it was asked
}

// budget and clients are the oracle, but for its fold, in numbers.
func (o *oracle) budget() uint64 {
	b := uint64(o.crashes)<<8 | uint64(o.resends)
	for _, n := range o.submits {
		b = b<<8 | uint64(n)
	}
	return b
}

func (o *oracle) clients(answered bool) uint64 {
	c := uint64(o.refused)
	if answered { // somebody asks for it: a goal, an invariant of the caller's
		c |= uint64(o.answered) << 8
	}
	for _, r := range o.reads {
		c = c<<10 | uint64(r.need)
		if r.asked {
			c |= 1 << 8
		}
		if r.done {
			c |= 1 << 9
		}
	}
	return c
}

// fold is a global log and what it comes to, folded by a store of the search's
// own. Equal logs are one fold.
type fold struct {
	id     uint32
	index  int     // entries
	prefix []*fold // that of every length below this one's
	entry  *entry  // the last

	store  *store.Store
	copies sync.Mutex // held while store is copied
	hash   uint64
	first  [OpsMax][]byte // the reply of each update's first execution
	answer []byte         // to a read
	twice  string         // an update that took effect twice; empty: none

	next memo[fold]
}

// then returns the fold with one more entry.
func (x *explorer) then(f *fold, e *entry) *fold {
	if g := f.next.get(uint64(e.id)); g != nil {
		return g
	}
	g := &fold{index: f.index + 1, entry: e, first: f.first}
	g.prefix = append(append(g.prefix, f.prefix...), f)
	f.copies.Lock() // see server.copy
	g.store = f.store.Clone().(*store.Store)
	f.copies.Unlock()
	reply := g.store.Apply(e.Entry)
	if op, ok := x.operation[string(e.Payload)]; ok && g.first[op] == nil {
		g.first[op] = reply
	}
	x.finishFold(g)
	return f.next.put(uint64(e.id), g)
}

func (x *explorer) finishFold(f *fold) {
	f.id = x.folds.Add(1)
	f.hash = hash(f.store)
	f.answer = f.store.Clone().Read(x.query)
	value, _ := f.store.Get(theKey)
	for op := range x.cfg.Ops {
		if strings.Count(value, letter(op)) > 1 {
			f.twice = fmt.Sprintf("update %d took effect twice: the value is %q", op+1, value)
		}
	}
}

// at returns the fold of the first so many entries.
func (f *fold) at(index int) *fold {
	if index == f.index {
		return f
	}
	return f.prefix[index]
}

// The one key that everything is about, and what the updates append to it.
const theKey = "k"

func letter(op int) string { return string(rune('A' + op)) }

// The numbers of requests: of updates, of reads, and of what opens sessions.
const (
	opID      = 1
	readID    = 100
	sessionID = 200
)

// append returns the request that an update is.
func (x *explorer) update(op int) replica.Request {
	args := &tandem.PutArgs{Op: tandem.OpAppend, Key: theKey, Value: letter(op)}
	if !x.cfg.Fresh {
		args.Session, args.Number = uint64(op+1), 1
	}
	payload, err := store.PutCommand(args, store.Limits{})
	if err != nil {
		panic(err)
	}
	return replica.Request{ID: opID + uint64(op), Kind: replica.Update, Payload: payload, Session: args.Session, Number: args.Number}
}

// violation is an invariant that broke.
type violation struct{ invariant, detail string }

func broken(invariant, format string, args ...any) *violation {
	return &violation{invariant, fmt.Sprintf(format, args...)}
}

// follow tells the oracle what a step of a server brought about.
func (x *explorer) follow(o *oracle, was, is *server, replies []replica.Reply) *violation {
	if v := x.commit(o, was, is); v != nil {
		return v
	}
	for _, r := range replies {
		var v *violation
		switch {
		case r.ID >= sessionID:
		case r.ID >= readID:
			v = o.readDone(is, int(r.ID-readID), r)
		default:
			v = x.updateDone(o, is, int(r.ID-opID), r)
		}
		if v != nil {
			return v
		}
	}
	return nil
}

// commit adds to the global log what a server has committed (I5).
func (x *explorer) commit(o *oracle, was, is *server) *violation {
	commit := int(is.status.Commit)
	for i := int(was.status.Commit) + 1; i <= commit; i++ {
		e := is.has(uint64(i))
		switch {
		case i <= o.fold.index && (e == nil || e == o.fold.at(i).entry):
		case e == nil:
			return broken("I12", "%s installed a state as of %d, and %d entries are committed", name(is.self), commit, o.fold.index)
		case i <= o.fold.index:
			return broken("I5", "%s committed entry %d of epoch %d, and the one of epoch %d was committed before", name(is.self), i, e.Epoch, o.fold.at(i).entry.Epoch)
		default:
			o.fold = x.then(o.fold, e)
			if o.fold.twice != "" {
				return broken("I10", "%s", o.fold.twice)
			}
		}
	}
	for op := range x.cfg.Ops {
		if o.refused&(1<<op) != 0 && o.fold.first[op] != nil {
			return broken("S5", "update %d was refused as not run, and %s has committed it", op+1, name(is.self))
		}
	}
	return nil
}

// updateDone looks at the answer to an update (I9, I10, S5).
func (x *explorer) updateDone(o *oracle, s *server, op int, r replica.Reply) *violation {
	if r.Err != tandem.OK {
		if r.Outcome == tandem.DidNotRun && o.submits[op] == 1 && x.cfg.Retries == 0 {
			o.refused |= 1 << op
		}
		return nil
	}
	first := o.fold.first[op]
	switch {
	case first == nil:
		return broken("I9", "%s answered update %d, and it is not committed", name(s.self), op+1)
	case !bytes.Equal(first, r.Payload):
		return broken("I10", "%s answered update %d with %q, and its execution came to %q", name(s.self), op+1, r.Payload, first)
	}
	o.answered |= 1 << op
	return nil
}

// readDone looks at the answer to a read (I11): it is that of a state that
// includes all that was committed when the read was asked.
func (o *oracle) readDone(s *server, number int, r replica.Reply) *violation {
	need := int(o.reads[number].need)
	o.reads[number] = read{asked: true, done: true}
	if r.Err != tandem.OK {
		return nil
	}
	for i := need; i <= o.fold.index; i++ {
		if bytes.Equal(r.Payload, o.fold.at(i).answer) {
			return nil
		}
	}
	return broken("I11", "%s answered a read with %q; %d entries were committed when it was asked", name(s.self), r.Payload, need)
}

func name(s tandem.Server) string {
	if s.Addr == "" {
		return "none"
	}
	return fmt.Sprintf("%s/%d", s.Addr, s.Incarnation)
}

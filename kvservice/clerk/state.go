package clerk

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/numbered"
)

// Clone returns a clerk that is equal and independent, effects that have not
// been taken included. What requests point to is shared, for it never changes.
// The observer is not: a clone is silent.
func (c *Clerk) Clone() *Clerk {
	d := *c
	d.config.Observe, d.spare = nil, memory{}
	d.out = Effects{
		Calls:   slices.Clone(c.out.Calls),
		Abandon: slices.Clone(c.out.Abandon),
		Ask:     slices.Clone(c.out.Ask),
		Done:    slices.Clone(c.out.Done),
	}
	d.first, d.last = nil, nil
	d.requests, d.calls = numbered.Map[RequestID, request]{}, numbered.Map[CallID, request]{}
	d.sessions = make(map[uint64]*session, len(c.sessions))
	for r := range c.inOrder() {
		d.takeOver(*r)
	}
	d.free = slices.Clone(c.free)
	for i, s := range d.free {
		free := *s
		d.free[i], d.sessions[s.id] = &free, &free
	}
	d.waiting = slices.Clone(c.waiting)
	for i, r := range d.waiting {
		d.waiting[i] = d.requests.Get(r.id)
	}
	return &d
}

// takeOver enters a request of the clerk that is cloned, and its session.
func (c *Clerk) takeOver(r request) {
	r.prev, r.next = nil, nil
	c.append(&r)
	if r.kind != open {
		c.requests.Put(r.id, &r)
	}
	if r.call != 0 {
		c.calls.Put(r.call, &r)
	}
	if r.session != nil {
		s := *r.session
		s.owner = &r
		r.session, c.sessions[s.id] = &s, &s
	}
}

// AppendState appends a canonical encoding of the state, in which names that
// mean nothing (the numbers of calls, places in the order) are left out or
// counted anew: clerks whose encodings are equal do the same from here on. Call
// ids must then be told apart by Awaits alone, and the effects have been taken.
func (c *Clerk) AppendState(b []byte) []byte {
	b = appendBool(b, c.closed)
	b = appendView(b, &c.view)
	b = appendBool(b, c.ask.wanted)
	b = appendBool(b, c.ask.underway)
	b = appendBool(b, c.ask.doubt)
	b = appendInt(b, c.ask.wait, c.ask.failures)
	b = binary.AppendUvarint(b, c.random)

	all := c.requests.Len() + c.opening
	ranks := make(map[*request]int, all)
	b = appendInt(b, all)
	for r := range c.inOrder() {
		ranks[r] = len(ranks) + 1
		b = c.appendRequest(b, r)
	}
	b = appendInt(b, len(c.waiting))
	for _, r := range c.waiting {
		b = appendInt(b, ranks[r])
	}
	b = appendInt(b, len(c.sessions))
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		s := c.sessions[id]
		b = binary.AppendUvarint(b, id)
		b = binary.AppendUvarint(b, s.number)
		b = appendInt(b, ranks[s.owner])
	}
	for _, s := range c.free {
		b = binary.AppendUvarint(b, s.id)
	}
	return b
}

func (c *Clerk) appendRequest(b []byte, r *request) []byte {
	b = append(b, byte(r.kind))
	b = binary.AppendUvarint(b, uint64(r.id))
	switch r.kind {
	case update:
		sent := contentOf(r.req.Put)
		b = append(b, byte(sent.op))
		b = appendBool(b, sent.doHash)
		b = appendString(b, sent.key)
		b = appendString(b, sent.value)
		b = appendString(b, sent.expected)
	case get:
		b = appendString(b, r.req.Get.Key)
	case scan:
		args := r.req.Scan
		b = appendString(b, args.Prefix)
		b = appendInt(b, args.Limit)
		b = binary.AppendUvarint(b, args.Scan)
		b = appendString(b, args.After)
		b = appendString(b, r.req.Origin.Addr)
		b = binary.AppendUvarint(b, r.req.Origin.Cluster)
	}
	session := uint64(0)
	if r.session != nil {
		session = r.session.id
	}
	b = binary.AppendUvarint(b, session)
	b = binary.AppendUvarint(b, r.number)
	b = appendInt(b, r.sent, r.left, r.doubt, r.wait, r.failures, r.expired)
	b = appendBool(b, r.call != 0)
	if r.call != 0 {
		b = appendString(b, r.server.Addr)
		b = binary.AppendUvarint(b, r.server.Incarnation)
		b = binary.AppendUvarint(b, uint64(r.viewnum))
	}
	return b
}

// Equal reports whether two clerks have the same state, by AppendState.
func (c *Clerk) Equal(d *Clerk) bool {
	return bytes.Equal(c.AppendState(nil), d.AppendState(nil))
}

// Hash returns a hash of the state, the same for equal states.
func (c *Clerk) Hash() uint64 {
	h := fnv.New64a()
	h.Write(c.AppendState(nil))
	return h.Sum64()
}

func appendView(b []byte, v *tandem.View) []byte {
	b = binary.AppendUvarint(b, uint64(v.Viewnum))
	b = appendString(b, v.Primary)
	b = appendString(b, v.Backup)
	b = binary.AppendUvarint(b, v.PrimaryIncarnation)
	b = binary.AppendUvarint(b, v.BackupIncarnation)
	b = binary.AppendUvarint(b, v.Cluster)
	return binary.AppendUvarint(b, uint64(v.Group))
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendInt(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.AppendVarint(b, int64(v))
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

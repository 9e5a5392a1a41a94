package replica

import (
	"slices"

	"github.com/tandemkv/tandem"
)

// RequestKind is the kind of a Request.
type RequestKind uint8

const (
	// Update is ordered, committed and applied.
	Update RequestKind = iota
	// Read is answered from applied state once that is known to be fresh
	// (rules R1, R2).
	Read
	// Local is answered at once from whatever this server holds. It suits what
	// was fixed earlier, such as the next page of a scan.
	Local
)

// Request is what a client asks for.
type Request struct {
	ID      uint64 // names the request in its Reply; unique among those that wait
	Kind    RequestKind
	Payload []byte // a command or a query of the Machine's

	Session, Number uint64 // of an Update (rule S1); session 0: none (rule S6)
	tandem.Target          // for whom the client means it
}

// Reply answers the Request with its ID. With OK in Err the payload is the
// Machine's reply, and the operation ran; otherwise Outcome says what is known.
type Reply struct {
	ID      uint64
	Err     tandem.Err
	Outcome tandem.Outcome
	Payload []byte
}

// requests is everything that clients wait for.
type requests struct {
	// inFlight holds who waits for entries that were ordered here, and bySession
	// finds such an entry's index (rule S3: a duplicate joins).
	inFlight  flight
	bySession map[requestName]uint64
	waiters   int // ids in inFlight; more than entries, if duplicates joined

	uncommittedBytes int // at a primary, of the entries not yet applied

	reads  []read   // in order of arrival, in which neither index nor seq falls
	parked []parked // in order of arrival

	waitingBytes int // of reads and parked
	answerBytes  int // of the replies given and not gone yet, if there is a bound
	portion      int // of those given since effects were last taken
}

type requestName struct{ session, number uint64 }

// read is a read that waits to be known fresh.
type read struct {
	id    uint64
	query []byte
	index uint64 // to be applied first
	seq   uint64 // a message with at least this number must be acknowledged first (rule R2)

	leased bool   // read by lease, which is still to be seen to hold (rule R3)
	value  []byte // what was read
}

// parked is a request that waits for authority, for room in the log, or for a
// view of which the client has heard and this server has not.
type parked struct {
	Request
	ticks int // left until it is refused
}

func (q *requests) init() {
	q.inFlight = flight{}
	q.bySession = make(map[requestName]uint64)
	q.waiters = 0
}

// Submit takes a request. Its Reply comes among the effects, now or later,
// unless Forget comes first.
func (r *Replica) Submit(req Request) {
	if (req.Cluster != 0 && r.view.Viewnum != 0 && req.Cluster != r.view.Cluster) || req.Group != r.cfg.Group {
		r.note("V0", 0, "refused a request for another cluster or group")
		r.refuse(req.ID, tandem.ErrWrongCluster, tandem.DidNotRun)
		return
	}
	if r.full() {
		r.park(req)
		return
	}
	if req.Kind == Local {
		r.reply(req.ID, r.machine.Read(req.Payload))
		return
	}
	// Rule S3: a stored reply is the truth wherever it is found, for it is of
	// applied state. Everything else is decided when the entry is applied.
	if req.Kind == Update && req.Session != 0 {
		if stored, ok := r.machine.Duplicate(req.Session, req.Number); ok {
			r.note("S3", 0, "answered a duplicate from the stored reply")
			r.reply(req.ID, stored)
			return
		}
		if index, ok := r.requests.bySession[requestName{req.Session, req.Number}]; ok {
			if r.mayWait(req) {
				r.note("S3", index, "joined a duplicate to the request in flight")
				r.requests.inFlight.at(index).join(req.ID)
				r.requests.waiters++
			}
			return
		}
	}
	switch {
	case !r.isPrimary():
		if req.Viewnum <= r.view.Viewnum {
			r.refuse(req.ID, tandem.ErrWrongServer, tandem.DidNotRun)
			return
		}
		if r.park(req); len(r.requests.parked) == 1 {
			r.Ping() // the client has heard of a view that this server has not
		}
	case r.draining():
		r.refuse(req.ID, tandem.ErrWrongServer, tandem.DidNotRun)
	case r.authority == None:
		r.park(req)
	case req.Kind == Read:
		r.takeRead(req)
	case len(r.requests.parked) > 0 || !r.roomToOrder(len(req.Payload)+EntryOverhead):
		r.park(req) // rule L5: at the bound requests wait
	default:
		r.takeUpdate(req)
	}
	r.check()
}

// Forget tells that nobody waits for the replies to these requests any more. What
// was ordered runs all the same, and a Reply that is among the effects already
// stays there. It looks once at what waits, however many requests it is told of.
func (r *Replica) Forget(ids ...uint64) {
	q := &r.requests
	ids = slices.Clone(ids)
	slices.Sort(ids)
	left := len(ids)
	gone := func(id uint64) bool {
		if left == 0 {
			return false
		}
		_, found := slices.BinarySearch(ids, id)
		if found {
			left--
		}
		return found
	}
	waited := len(q.parked)
	q.parked = slices.DeleteFunc(q.parked, func(p parked) bool {
		if !gone(p.ID) {
			return false
		}
		q.waitingBytes -= len(p.Payload)
		return true
	})
	waited -= len(q.parked)
	q.reads = slices.DeleteFunc(q.reads, func(w read) bool {
		if !gone(w.id) {
			return false
		}
		q.waitingBytes -= len(w.query)
		r.unread(&w)
		return true
	})
	q.waiters -= q.inFlight.forget(gone)
	if waited > 0 {
		r.unpark() // one of them may have been what there was no room for
	}
	r.leaveIfDrained()
}

func (r *Replica) reply(id uint64, payload []byte) {
	r.charge(len(payload))
	r.give(id, payload)
}

func (r *Replica) give(id uint64, payload []byte) {
	r.out.Replies = append(r.out.Replies, Reply{ID: id, Err: tandem.OK, Outcome: tandem.DidRun, Payload: payload})
}

// charge counts the bytes of an answer, from when it is made; uncharge takes that
// back for one that is not given after all.
func (r *Replica) charge(bytes int) {
	if r.cfg.MaxAnswerBytes > 0 {
		r.requests.answerBytes += bytes
		r.requests.portion += bytes
	}
}

func (r *Replica) uncharge(bytes int) {
	if r.cfg.MaxAnswerBytes > 0 {
		r.requests.answerBytes -= bytes
	}
}

// AnswersGone tells that replies of so many bytes have left, or never will: they
// take no memory any more.
func (r *Replica) AnswersGone(bytes int) {
	if r.cfg.MaxAnswerBytes == 0 {
		return
	}
	if r.requests.answerBytes -= bytes; r.requests.answerBytes < 0 {
		r.broken("answerBytes", "%d bytes more of replies are gone than were given", -r.requests.answerBytes)
	}
	r.serveReads()
	r.unpark()
	r.leaveIfDrained()
	r.check()
}

// full tells whether the replies given take as much memory as they may.
func (r *Replica) full() bool {
	return r.cfg.MaxAnswerBytes > 0 && r.requests.answerBytes >= r.cfg.MaxAnswerBytes
}

// answerPortions is into how many portions MaxAnswerBytes is divided: what waits
// is answered a portion at a time, for making a hundred large replies at one go
// would keep pings waiting for longer than a server may be silent.
const answerPortions = 16

// paused tells whether what waits has to go on waiting: the replies given take as
// much as they may, or as much as is given before the effects are next taken. In
// either case AnswersGone lets it go on.
func (r *Replica) paused() bool {
	return r.full() || (r.cfg.MaxAnswerBytes > 0 && r.requests.portion > r.cfg.MaxAnswerBytes/answerPortions)
}

func (r *Replica) refuse(id uint64, err tandem.Err, outcome tandem.Outcome) {
	r.out.Replies = append(r.out.Replies, Reply{ID: id, Err: err, Outcome: outcome})
}

// takeUpdate orders an update.
func (r *Replica) takeUpdate(req Request) {
	p := pending{index: r.order(req.Payload), waits: true, id: req.ID}
	if req.Session != 0 {
		p.name = requestName{req.Session, req.Number}
		r.requests.bySession[p.name] = p.index
	}
	r.requests.inFlight.add(p)
	r.requests.waiters++
}

// answerUpdate gives the reply of an applied entry to whoever waits for it (rule
// L4: only now).
func (r *Replica) answerUpdate(e Entry, reply []byte) {
	if !r.isPrimary() {
		return // what it once ordered itself was answered by A7
	}
	r.requests.uncommittedBytes -= entrySize(e)
	p, ok := r.requests.inFlight.take(e.Index)
	if !ok {
		return
	}
	if p.name.session != 0 {
		delete(r.requests.bySession, p.name)
	}
	for id := range p.ids() {
		r.requests.waiters--
		r.reply(id, reply)
	}
}

// takeRead serves a read, or notes what it must wait for.
func (r *Replica) takeRead(req Request) {
	w := r.bound(read{id: req.ID, query: req.Payload})
	if r.fresh(w) {
		r.reply(w.id, r.machine.Read(w.query))
	} else if r.mayWait(req) {
		r.readByLease(&w)
		r.requests.reads = append(r.requests.reads, w)
		r.requests.waitingBytes += len(w.query)
	}
}

// bound sets what a read must wait for in this epoch. Entries below the solo
// barrier may have been committed by an earlier primary, so they count as
// committed even before they are durable here.
func (r *Replica) bound(w read) read {
	w.index = max(r.commit, r.soloBarrier)
	w.seq = r.peer.sent + 1
	return w
}

// boundReads makes the reads that wait start over: what they waited for was of
// another epoch, or less than a new solo primary has to commit.
func (r *Replica) boundReads() {
	for i, w := range r.requests.reads {
		r.requests.reads[i] = r.bound(w)
	}
}

// fresh tells whether all that was committed when the read arrived is sure to be
// applied here: solo by rule R1, joint by rule R2.
func (r *Replica) fresh(w read) bool {
	switch r.authority {
	case Solo:
		return w.index <= r.applied
	case Joint:
		return w.index <= r.applied && w.seq <= r.peer.acknowledged
	}
	return false
}

// serveReads answers the reads that have become fresh.
func (r *Replica) serveReads() {
	q := &r.requests
	n := 0
	for n < len(q.reads) && r.fresh(q.reads[n]) && !r.paused() {
		r.unread(&q.reads[n])
		r.reply(q.reads[n].id, r.machine.Read(q.reads[n].query))
		q.waitingBytes -= len(q.reads[n].query)
		n++
	}
	q.reads = slices.Delete(q.reads, 0, n)
}

// roomToOrder tells whether an entry of this size may be ordered now: the bound
// on what is in flight (rule L5), which always lets one entry through, however large,
// and on what is kept for a transfer (T5), which does not: it waits for the transfer.
func (r *Replica) roomToOrder(size int) bool {
	inFlight := r.log.last() - r.applied
	if inFlight > 0 && (inFlight >= uint64(r.cfg.MaxInFlight) || r.requests.uncommittedBytes+size > r.cfg.MaxInFlightBytes) {
		return false
	}
	t := r.peer.transfer
	return t == nil || t.room(size, r.cfg.MaxTransferBytes)
}

// mayWait tells whether one more request may wait, and refuses it if not. What
// was ordered has a bound of its own (rule L5).
func (r *Replica) mayWait(req Request) bool {
	q := &r.requests
	if len(q.parked)+len(q.reads)+q.waiters-q.inFlight.len() < r.cfg.MaxWaiting && q.waitingBytes+len(req.Payload) <= r.cfg.MaxWaitingBytes {
		return true
	}
	r.refuse(req.ID, tandem.ErrBusy, tandem.DidNotRun)
	return false
}

// park makes a request wait, if there is room for it.
func (r *Replica) park(req Request) {
	if q := &r.requests; r.mayWait(req) {
		q.waitingBytes += len(req.Payload)
		q.parked = append(q.parked, parked{req, r.cfg.ParkTicks})
	}
}

// unpark lets go on, in order of arrival, what waited and need not any more.
func (r *Replica) unpark() {
	q := &r.requests
	if len(q.parked) == 0 || r.paused() || (r.isPrimary() && r.authority == None) {
		return
	}
	waiting := q.parked
	q.parked = nil
	for i, p := range waiting {
		if r.paused() || (r.isPrimary() && p.Kind == Update && !r.roomToOrder(len(p.Payload)+EntryOverhead)) {
			// No room: it and everything behind it go on waiting.
			clear(waiting[:i]) // they keep nothing alive
			if len(q.parked) == 0 {
				q.parked = waiting[i:]
			} else {
				q.parked = append(q.parked, waiting[i:]...)
			}
			return
		}
		q.waitingBytes -= len(p.Payload)
		before := len(q.parked)
		r.Submit(p.Request)
		if len(q.parked) > before {
			q.parked[before].ticks = p.ticks
		}
	}
}

// tickRequests refuses what has waited for too long: its client had better look
// for another server. Waiting for room is not bounded, for a request at its
// primary would find no better place.
func (r *Replica) tickRequests() {
	q := &r.requests
	if r.authority != None {
		return
	}
	rest := q.parked[:0]
	for _, p := range q.parked {
		if p.ticks--; p.ticks > 0 {
			rest = append(rest, p)
			continue
		}
		q.waitingBytes -= len(p.Payload)
		r.refuse(p.ID, tandem.ErrWrongServer, tandem.DidNotRun)
	}
	clear(q.parked[len(rest):])
	q.parked = rest
}

// refuseParked refuses everything that never entered the log.
func (r *Replica) refuseParked() {
	q := &r.requests
	for _, p := range q.parked {
		q.waitingBytes -= len(p.Payload)
		r.refuse(p.ID, tandem.ErrWrongServer, tandem.DidNotRun)
	}
	q.parked = nil
}

// refuseInFlight answers what is in the log and not yet applied: its outcome is
// unknown, for the entry stays and may yet be committed (rules A7, S5).
func (r *Replica) refuseInFlight() {
	q := &r.requests
	for _, p := range q.inFlight.all() {
		for id := range p.ids() {
			r.refuse(id, tandem.ErrWrongServer, tandem.OutcomeUnknown)
		}
	}
	q.init()
	q.uncommittedBytes = 0
}

// refuseReads refuses the reads that wait; reads have no effect to be unsure of.
func (r *Replica) refuseReads() {
	q := &r.requests
	r.askInstead()
	for _, w := range q.reads {
		q.waitingBytes -= len(w.query)
		r.refuse(w.id, tandem.ErrWrongServer, tandem.DidNotRun)
	}
	q.reads = nil
}

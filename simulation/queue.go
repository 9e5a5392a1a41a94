package simulation

// eventKind is the kind of an event.
type eventKind uint8

const (
	evTick    eventKind = iota + 1 // of a node's clock
	evDeliver                      // of a message
	evLost                         // a server learns that a message to its peer is lost
	evDurable                      // a disk, or the view service's, confirms
	evDrain                        // a server carries out effects that collected
	evRestart                      // a crashed node comes back without its memory
	evHeal                         // a partition ends
	evFast                         // a link is no longer slow
	evClock                        // a node's clocks run right again
	evStay                         // a server takes its leaving back
	evThink                        // a client goes on with its next operation
	evAbandon                      // a client's connection breaks under a call
	evChaos                        // the faults that come of themselves
	evGiveUp                       // a Get that waits at the view service is over
	evRefused                      // a dial of the view service's is refused
	numEventKinds
)

var eventNames = [numEventKinds]string{"", "tick", "deliver", "lost", "durable", "drain",
	"restart", "heal", "fast again", "clocks right", "stay", "think", "abandon", "chaos", "give up", "refused"}

func (k eventKind) String() string { return eventNames[k] }

// ofTheWorld tells whether it happens to a node from outside, frozen or not.
func (k eventKind) ofTheWorld() bool {
	switch k {
	case evChaos, evHeal, evFast, evClock, evRestart:
		return true
	}
	return false
}

// event is something that will happen to a node.
type event struct {
	at   int64  // virtual time, in milliseconds
	tie  uint32 // orders events of one time; drawn, for messages and ticks
	kind eventKind
	node int    // whom it happens to
	life uint64 // to which life of the node; zero: to any
	env  *envelope
	a, b uint64
}

// queue is a heap of events, the earliest first. What moves about in the heap are
// places, which have no pointers that the collector would have to hear of.
type queue struct {
	heap   []place
	events []event
	free   []uint32 // in events
	seq    uint64
}

// place is where an event is, and what orders it.
type place struct {
	at    int64
	tie   uint32
	event uint32 // in queue.events
	seq   uint64 // orders the rest: first scheduled, first to happen
}

func (a *place) before(b *place) bool {
	switch {
	case a.at != b.at:
		return a.at < b.at
	case a.tie != b.tie:
		return a.tie < b.tie
	}
	return a.seq < b.seq
}

func (q *queue) push(e event) {
	q.seq++
	p := place{at: e.at, tie: e.tie, seq: q.seq}
	if n := len(q.free); n > 0 {
		p.event = q.free[n-1]
		q.free = q.free[:n-1]
		q.events[p.event] = e
	} else {
		p.event = uint32(len(q.events))
		q.events = append(q.events, e)
	}
	q.heap = append(q.heap, p)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !p.before(&q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = p
}

func (q *queue) pop() event {
	top := q.heap[0].event
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap = q.heap[:n]
	i := 0
	for {
		least := 2*i + 1
		if least >= n {
			break
		}
		if right := least + 1; right < n && q.heap[right].before(&q.heap[least]) {
			least = right
		}
		if !q.heap[least].before(&last) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	if n > 0 {
		q.heap[i] = last
	}
	e := q.events[top]
	q.events[top].env = nil
	q.free = append(q.free, top)
	return e
}

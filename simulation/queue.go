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
	numEventKinds
)

var eventNames = [numEventKinds]string{"", "tick", "deliver", "lost", "durable", "drain",
	"restart", "heal", "fast again", "clocks right", "stay", "think", "abandon", "chaos", "give up"}

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
	tie  uint32 // orders events of one time; drawn, if the network reorders
	seq  uint64 // orders the rest: first scheduled, first to happen
	kind eventKind
	node int    // whom it happens to
	life uint64 // to which life of the node; zero: to any
	env  *envelope
	a, b uint64
}

// queue is a heap of events, the earliest first.
type queue struct {
	heap []event
	seq  uint64
}

func (a *event) before(b *event) bool {
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
	e.seq = q.seq
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !q.heap[i].before(&q.heap[up]) {
			break
		}
		q.heap[i], q.heap[up] = q.heap[up], q.heap[i]
		i = up
	}
}

func (q *queue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	q.heap[0] = q.heap[n]
	q.heap[n] = event{}
	q.heap = q.heap[:n]
	i := 0
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if least == i {
			return top
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}

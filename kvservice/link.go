package kvservice

import (
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/replica"
)

const (
	// linkWindow is how many Replicate calls to a peer may be under way; what
	// the core makes meanwhile travels together in the next.
	linkWindow = 4
	// maxBatchBytes is what a batch aims at; one larger message still goes.
	maxBatchBytes = 4 << 20
	// maxLinkBytes bounds what waits for a call to return. Messages beyond it
	// are lost, which the core can bear as it bears the network.
	maxLinkBytes = 128 << 20
)

// inlineBatch is up to how many bytes a batch is encoded by whoever has the turn to step the core.
const inlineBatch = 64 << 10

// Batch is the argument and the reply of KVServer.Replicate: the messages that
// one server has for another.
type Batch struct {
	Messages []replica.Message

	arrival *arrival // at the receiving end, set in the order of arrival
}

func (b *Batch) size() int {
	n := 0
	for i := range b.Messages {
		n += b.Messages[i].Size()
	}
	return n
}

// arrival is a Replicate call that waits for the core to have seen it.
type arrival struct {
	from    string
	replies []replica.Message

	done chan struct{} // closed when replies is complete, if net/rpc carries the call out
	h    *handler      // or else whom to answer
	seq  uint64
}

// answerArrival answers a Replicate call with what the core had to say to it.
func (l *loop) answerArrival(a *arrival) {
	if a.done != nil {
		close(a.done)
		return
	}
	a.h.conn.Answer(a.seq, &Batch{Messages: a.replies}, nil)
	l.toFlush(a.h)
}

// linkName: a peer, and which of its two connections. Chunks of a transfer have
// one of their own, so that forwards do not wait behind them.
type linkName struct {
	addr string
	lane string
}

const transferLane = "transfer"

// link carries messages to one peer in order. It belongs to whoever has
// the turn.
type link struct {
	name       linkName
	underWay   map[uint64]*rpcnet.Pending // calls by their number
	lastCall   uint64
	queue      []replica.Message
	queueBytes int
}

// send puts a message on its way: as the answer to a call that its receiver has
// made and that is to be answered now, or else in a call of our own.
func (l *loop) send(m replica.Message) {
	for i := len(l.arrivals) - 1; i >= 0; i-- {
		if a := l.arrivals[i]; a.from == m.To.Addr {
			a.replies = append(a.replies, m)
			return
		}
	}
	name := linkName{addr: m.To.Addr}
	if m.Kind == replica.Chunk {
		name.lane = transferLane
	}
	k := l.links[name]
	if k == nil {
		k = &link{name: name, underWay: make(map[uint64]*rpcnet.Pending)}
		l.links[name] = k
	}
	if size := m.Size(); k.queueBytes == 0 || k.queueBytes+size <= maxLinkBytes {
		k.queue = append(k.queue, m)
		k.queueBytes += size
	}
	l.flush(k)
}

// flush starts calls as far as the window goes.
func (l *loop) flush(k *link) {
	window := linkWindow
	if l.server.opts.dialPerCall {
		window = 1 // calls on different connections would overtake each other
	}
	for len(k.queue) > 0 && len(k.underWay) < window {
		n, size := 0, 0
		for n < len(k.queue) && (n == 0 || size+k.queue[n].Size() <= maxBatchBytes) {
			size += k.queue[n].Size()
			n++
		}
		batch := &Batch{Messages: k.queue[:n:n]}
		if k.queue = k.queue[n:]; len(k.queue) == 0 {
			k.queue = nil // or its array would keep what was sent alive
		}
		k.queueBytes -= size
		l.call(k, batch)
	}
}

func (l *loop) call(k *link, batch *Batch) {
	s := l.server
	k.lastCall++
	n := k.lastCall
	send := rpcnet.Queue[Batch]
	if batch.size() > inlineBatch {
		send = rpcnet.Start[Batch] // let another goroutine encode it
	}
	p, err := send(s.transport.Lane(k.name.lane), k.name.addr, replicateMethod, batch,
		func(reply *Batch, err error) {
			s.news.add(event{do: func(l *loop) { l.returned(k, n, reply, err) }}) // and then OnSettled
		})
	if err != nil {
		l.core.Lost()
		return
	}
	k.underWay[n] = p
}

// returned takes the answer to a Replicate call.
func (l *loop) returned(k *link, n uint64, reply *Batch, err error) {
	if l.links[k.name] != k {
		return // of a view that is over; the core would ignore it, too
	}
	delete(k.underWay, n)
	if err != nil {
		l.core.Lost()
	} else {
		for i := range reply.Messages {
			l.deliver(reply.Messages[i])
		}
	}
	l.flush(k)
}

// resetLinks gives up everything that is on its way to peers.
func (l *loop) resetLinks() {
	for name, k := range l.links {
		for _, p := range k.underWay {
			p.Abandon()
		}
		delete(l.links, name)
	}
}

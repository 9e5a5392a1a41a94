package kvservice

import (
	"errors"
	"sync"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// handler serves the RPCs of one connection. What comes in compact frames it takes
// itself (direct.go); of the rest net/rpc calls its methods on a goroutine each.
type handler struct {
	server *KVServer
	conn   *rpcnet.Conn

	mu      sync.Mutex
	charges map[any]int // bytes that large replies take until they have left

	direct        // used by the connection's reading goroutine
	answered bool // belongs to whoever has the turn: the connection is to be flushed
}

var errGone = errors.New("the caller is gone")

// submit hands a request to the core and waits for the answer, for as long as
// the caller does.
func (h *handler) submit(req replica.Request) (replica.Reply, error) {
	s := h.server
	answer := make(chan replica.Reply, 1)
	if !s.inbox.post(event{request: req, waiter: waiter{handler: h, answer: answer}}) {
		return replica.Reply{}, ErrStopped
	}
	s.turn.offerTogether()
	select {
	case r := <-answer:
		return r, nil
	case <-h.conn.Done():
		s.post(func(l *loop) { l.forget(h, answer) })
		return replica.Reply{}, errGone
	case <-s.ctx.Done():
		return replica.Reply{}, ErrStopped
	}
}

// smallAnswer is below which a reply counts as gone once it is given, in bytes:
// so small ones are bounded well enough by their number.
const smallAnswer = 4 << 10

// charge notes what a reply takes until Released (rule L5: what clients are slow
// to take in is bounded, too).
func (h *handler) charge(reply any, r replica.Reply) {
	n := len(r.Payload)
	if n < smallAnswer {
		h.server.answersGone.Add(int64(n))
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.charges == nil {
		h.charges = make(map[any]int)
	}
	h.charges[reply] = n
}

// Released takes back what a reply was charged with.
func (h *handler) Released(reply any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n, ok := h.charges[reply]; ok {
		delete(h.charges, reply)
		h.server.answersGone.Add(int64(n))
	}
}

// answered decodes the core's answer into the reply of a call.
func answered[R any](h *handler, reply *R, r replica.Reply, decode func([]byte) (R, error)) error {
	h.charge(reply, r)
	decoded, err := decode(r.Payload)
	if err != nil {
		h.Released(reply) // net/rpc will not hand it on
		return err
	}
	*reply = decoded
	return nil
}

// code returns the code by which a definite refusal travels.
func code(err error) tandem.Err {
	var c tandem.Err
	if errors.As(err, &c) {
		return c
	}
	return tandem.ErrBadRequest
}

func updateRequest(args *tandem.PutArgs, command []byte) replica.Request {
	return replica.Request{
		Kind: replica.Update, Payload: command,
		Session: args.Session, Number: args.Number, Target: args.Target,
	}
}

// Put is the RPC for every update.
func (h *handler) Put(args *tandem.PutArgs, reply *tandem.PutReply) error {
	command, err := store.PutCommand(args, h.server.limits)
	if err != nil {
		*reply = tandem.PutReply{Err: code(err), Outcome: tandem.DidNotRun}
		return nil
	}
	r, err := h.submit(updateRequest(args, command))
	if err != nil {
		return err
	}
	if r.Err != tandem.OK {
		*reply = tandem.PutReply{Err: r.Err, Outcome: r.Outcome}
		return nil
	}
	return answered(h, reply, r, store.PutReply)
}

// Get is the RPC for reading a key.
func (h *handler) Get(args *tandem.GetArgs, reply *tandem.GetReply) error {
	query, err := store.GetQuery(args, h.server.limits)
	if err != nil {
		reply.Err = code(err)
		return nil
	}
	r, err := h.submit(replica.Request{Kind: replica.Read, Payload: query, Target: args.Target})
	if err != nil {
		return err
	}
	if r.Err != tandem.OK {
		reply.Err = r.Err
		return nil
	}
	return answered(h, reply, r, store.GetReply)
}

// Scan is the RPC for a page of the keys with a prefix. The first page is a read
// like any other; later ones show what the first was taken from, so they need no
// confirmation that it is fresh.
func (h *handler) Scan(args *tandem.ScanArgs, reply *tandem.ScanReply) error {
	kind := replica.Read
	if args.Scan != 0 {
		kind = replica.Local
	}
	return h.scan(args, kind, reply)
}

func (h *handler) scan(args *tandem.ScanArgs, kind replica.RequestKind, reply *tandem.ScanReply) error {
	query, err := store.ScanQuery(args, h.server.limits)
	if err != nil {
		reply.Err = code(err)
		return nil
	}
	r, err := h.submit(replica.Request{Kind: kind, Payload: query, Target: args.Target})
	if err != nil {
		return err
	}
	if r.Err != tandem.OK {
		reply.Err = r.Err
		return nil
	}
	return answered(h, reply, r, store.ScanReply)
}

// Arrived hands the messages of a Replicate call to the core in the order in
// which they arrived; net/rpc starts the calls' methods in any order.
func (h *handler) Arrived(_ string, args any) {
	b, ok := args.(*Batch)
	if !ok {
		return
	}
	b.arrival = &arrival{done: make(chan struct{})}
	h.arrive(b.arrival, b.Messages)
	h.Served()
}

func (h *handler) arrive(a *arrival, messages []replica.Message) {
	if len(messages) > 0 {
		a.from = messages[0].From.Addr
	}
	h.arrived = true
	h.server.news.post(event{do: func(l *loop) {
		l.arrivals = append(l.arrivals, a)
		for i := range messages {
			l.deliver(messages[i])
		}
	}})
}

// Replicate is the RPC between servers: messages go in its argument and come
// back in its reply.
func (h *handler) Replicate(args *Batch, reply *Batch) error {
	if args.arrival == nil {
		return errors.New("no batch")
	}
	select {
	case <-args.arrival.done:
		reply.Messages = args.arrival.replies
		return nil
	case <-h.conn.Done():
		return errGone
	case <-h.server.ctx.Done():
		return ErrStopped
	}
}

// StatusArgs are the arguments of the RPC KVServer.Status.
type StatusArgs struct {
	Group uint32 // zero: the only group
}

// Status is the RPC for what (*KVServer).Status returns.
func (h *handler) Status(_ *StatusArgs, reply *Status) error {
	st, ok := h.server.status(h.conn.Done())
	if !ok {
		return ErrStopped
	}
	*reply = st
	return nil
}

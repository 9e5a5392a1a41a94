package kvservice

import (
	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// Calls in compact frames, which are Tandem's own clients' and servers', are taken on
// the connection's reading goroutine, and answered by whoever has the turn: no goroutine is
// started or woken for one of them, and those that arrive together go to the core
// together.

// method is an RPC that is served this way.
type method uint8

const (
	methodPut method = iota + 1
	methodGet
)

const (
	putMethod       = "KVServer.Put"
	getMethod       = "KVServer.Get"
	scanMethod      = "KVServer.Scan"
	replicateMethod = "KVServer.Replicate"
)

// compactMethods have arguments and replies with an encoding of their own.
var compactMethods = []string{putMethod, getMethod, scanMethod, replicateMethod}

// direct is what a connection has collected for the core.
type direct struct {
	events  []event
	took    bool // it has ever handed a request to the core
	arrived bool // the core has been given something else meanwhile
	put     tandem.PutArgs
	get     tandem.GetArgs
}

// CompactMethods implements rpcnet.Direct.
func (h *handler) CompactMethods() []string { return compactMethods }

// Serve implements rpcnet.Direct.
func (h *handler) Serve(name string, seq uint64, args []byte) bool {
	var err error
	switch name {
	case putMethod:
		err = h.takePut(seq, args)
	case getMethod:
		err = h.takeGet(seq, args)
	case replicateMethod:
		b := new(Batch)
		if err = b.DecodeCompact(args); err == nil {
			h.arrive(&arrival{h: h, seq: seq}, b.Messages)
		}
	default:
		return false // a page of a scan is worth a goroutine
	}
	if err != nil {
		h.conn.Refuse(seq, err)
		h.conn.Flush()
	}
	return true
}

// Served implements rpcnet.Direct: it hands what was collected to the core.
func (h *handler) Served() {
	if len(h.events) > 0 {
		h.took = true
		h.server.inbox.post(h.events...) // or else the server stops, and the connection ends
		clear(h.events)
		h.events = h.events[:0]
		h.server.turn.offerTogether()
	} else if h.arrived {
		h.server.turn.offer()
	}
	h.arrived = false
}

// Gone implements rpcnet.Direct: nobody waits for answers any more.
func (h *handler) Gone() {
	if h.took {
		h.server.post(func(l *loop) { l.forget(h, nil) })
	}
}

func (h *handler) collect(m method, seq uint64, req replica.Request) {
	h.events = append(h.events, event{request: req, waiter: waiter{handler: h, method: m, seq: seq}})
	if len(h.events) == maxStep {
		h.Served()
	}
}

func (h *handler) takePut(seq uint64, args []byte) error {
	a := &h.put
	if err := a.DecodeCompact(args); err != nil {
		return err
	}
	command, err := store.PutCommand(a, h.server.limits)
	if err != nil {
		h.conn.Answer(seq, &tandem.PutReply{Err: code(err), Outcome: tandem.DidNotRun}, nil)
		h.conn.Flush()
		return nil
	}
	h.collect(methodPut, seq, updateRequest(a, command))
	return nil
}

func (h *handler) takeGet(seq uint64, args []byte) error {
	a := &h.get
	if err := a.DecodeCompact(args); err != nil {
		return err
	}
	query, err := store.GetQuery(a, h.server.limits)
	if err != nil {
		h.conn.Answer(seq, &tandem.GetReply{Err: code(err)}, nil)
		h.conn.Flush()
		return nil
	}
	h.collect(methodGet, seq, replica.Request{Kind: replica.Read, Payload: query, Target: a.Target})
	return nil
}

// replies is where whoever has the turn makes replies, one at a time.
type replies struct {
	put tandem.PutReply
	get tandem.GetReply
}

// decodeAnswer returns the reply for a call, good until the next.
func (l *loop) decodeAnswer(m method, r replica.Reply) (rpcnet.Compact, error) {
	var err error
	if m == methodPut {
		p := &l.replies.put
		if r.Err != tandem.OK {
			*p = tandem.PutReply{Err: r.Err, Outcome: r.Outcome}
		} else if *p, err = store.PutReply(r.Payload); err != nil {
			return nil, err
		}
		return p, nil
	}
	p := &l.replies.get
	if r.Err != tandem.OK {
		*p = tandem.GetReply{Err: r.Err}
	} else if *p, err = store.GetReply(r.Payload); err != nil {
		return nil, err
	}
	return p, nil
}

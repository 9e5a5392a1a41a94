package simulation

import (
	"errors"
	"slices"
	"strconv"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/clerk"
)

// client is a process that runs one operation at a time through a clerk.
type client struct {
	w      *World
	node   int
	number int // among the clients; the lives of one share it

	core    *clerk.Clerk
	request clerk.RequestID
	asking  uint64 // the View call under way; zero: none
	asks    uint64
	calls   uint64 // the last made

	running int      // place in the history of the operation under way, -1: none
	pages   pages    // of a scan under way
	last    []string // by key, what this client last knew of it
	values  int      // made so far
	cluster uint64   // of the view it has
	ticks   uint64
	attempt attempt // the last call
	todo    []Input // operations to run before random ones
}

// pages is what a scan has brought so far.
type pages struct {
	pairs []tandem.Pair
	index uint64
}

// start begins a new life.
func (c *client) start() {
	w := c.w
	w.startNode(c.node)
	*c = client{w: w, node: c.node, number: c.number, running: -1, values: c.values, todo: c.todo, last: make([]string, w.opt.Keys)}
	cfg := w.opt.Clerk
	cfg.Seed = newDice(w.opt.Seed, diceOfClerk, uint64(w.nodes[c.node].slot), w.nodes[c.node].life).state
	cfg.Observe = w.observer(c.node)
	c.core = clerk.New(cfg)
	c.think()
}

func (c *client) dice() *dice { return &c.w.nodes[c.node].dice }

func (c *client) think() {
	w := c.w
	w.queue.push(event{at: w.after(c.dice().upTo(w.opt.ThinkMillis)), kind: evThink, node: c.node, life: w.nodes[c.node].life})
}

// next starts the client's next operation, if it may and has one.
func (c *client) next() {
	w := c.w
	switch {
	case c.running >= 0:
	case len(c.todo) > 0:
		in := c.todo[0]
		c.todo = c.todo[1:]
		c.begin(in)
	case w.mayStart():
		w.started++
		c.begin(c.invent())
	}
}

// mayStart tells whether clients start another operation: they go on as long as
// there are faults, except where a Schedule says exactly what happens.
func (w *World) mayStart() bool {
	return !w.calm && (w.started < w.opt.Ops || (w.opt.Schedule == nil && w.opt.Ops > 0))
}

// invent draws an operation.
func (c *client) invent() Input {
	w := c.w
	k := c.dice().intN(w.opt.Keys)
	in := Input{Kind: OpKind(c.dice().intN(int(numOpKinds))), Key: key(k)}
	if c.dice().intN(4) == 0 {
		in.Kind = Get
	}
	switch in.Kind {
	case Put, PutHash, Append, CompareAndSwap:
		c.values++
		in.Value = strconv.Itoa(c.number+1) + "." + strconv.Itoa(c.values) + ";"
	case Scan:
		in.Key = "k"
	}
	if in.Kind == CompareAndSwap {
		in.Expected = c.last[k]
	}
	return in
}

func key(k int) string { return "k" + strconv.Itoa(k) }

// begin starts an operation.
func (c *client) begin(in Input) {
	w := c.w
	c.running = len(w.history)
	w.history = append(w.history, Operation{Client: c.number, Call: int64(w.events), Return: -1, Input: in})
	w.cover.count(Operations)
	put := tandem.PutArgs{Key: in.Key, Value: in.Value, Expected: in.Expected}
	req := clerk.Request{Put: &put}
	switch in.Kind {
	case Get:
		req = clerk.Request{Get: &tandem.GetArgs{Key: in.Key}}
	case Scan:
		c.pages = pages{}
		req = clerk.Request{Scan: &tandem.ScanArgs{Prefix: in.Key, Limit: 1}}
	case PutHash:
		put.DoHash = true
	case Append:
		put.Op = tandem.OpAppend
	case Delete:
		put.Op = tandem.OpDelete
	case CompareAndSwap:
		put.Op = tandem.OpCompareAndSwap
	}
	c.submit(req)
}

func (c *client) submit(req clerk.Request) {
	c.request++
	c.core.Start(c.request, req)
	c.did()
}

// did carries out the effects of an event.
func (c *client) did() {
	w := c.w
	for {
		e := c.core.Take()
		c.checkCluster()
		if e.Empty() {
			return
		}
		for i := range e.Calls {
			c.call(&e.Calls[i])
		}
		for _, a := range e.Ask {
			c.asks++
			c.asking = c.asks
			w.askView(c.node, c.asking, tandem.ViewArgs{Viewnum: a.Viewnum, Cluster: a.Cluster, Group: a.Group})
		}
		for i := range e.Done {
			c.done(&e.Done[i])
		}
	}
}

// checkCluster is V0: a client stays with its cluster for as long as it lives.
func (c *client) checkCluster() {
	now := c.core.View().Cluster
	if c.cluster != 0 && now != c.cluster {
		c.w.fail("V0", "client %d goes over from cluster %x to cluster %x", c.number+1, c.cluster, now)
	}
	c.cluster = now
}

// isForeign tells whether the client belongs to a cluster that has formed beside the
// one that the oracle knows (rule V0).
func (c *client) isForeign() bool {
	return c.w.amnesia > 0 && c.cluster != 0 && c.cluster != c.w.oracle.view.Cluster
}

// attempt is a call as far as rule C2 is concerned: one that fails is made again
// after a tick at least, or with news of a view.
type attempt struct {
	kind    bodyKind
	request clerk.RequestID
	name    requestName
	view    uint
	tick    uint64
}

// checkSpin is C2, told of every call.
func (c *client) checkSpin(b *body) {
	a := attempt{kind: b.Kind, request: c.request, view: c.core.View().Viewnum, tick: c.ticks}
	if b.Kind == putArgs {
		a.name = requestName{b.Put.Session, b.Put.Number}
	}
	if a == c.attempt {
		c.w.fail("C2", "client %d makes a call again without a pause: %s", c.number+1, b)
	}
	c.attempt = a
}

func (c *client) call(call *clerk.Call) {
	w := c.w
	b := body{Call: uint64(call.ID)}
	c.calls = b.Call
	switch {
	case call.Put != nil:
		b.Kind, b.Put = putArgs, call.Put
		if call.Put.Session != 0 && !c.isForeign() {
			w.oracle.named(requestName{call.Put.Session, call.Put.Number}, c.running)
		}
	case call.Get != nil:
		b.Kind, b.Get = getArgs, call.Get
	case call.Scan != nil:
		b.Kind, b.Scan = scanArgs, call.Scan
	}
	c.checkSpin(&b)
	if to := w.byName(call.Addr); to >= 0 {
		w.send(c.node, to, b)
	}
}

func (c *client) tick() {
	c.ticks++
	c.core.Tick()
	c.did()
}

// deliver takes a reply.
func (c *client) deliver(_ *envelope, b *body) {
	switch b.Kind {
	case putReply:
		c.core.PutReplied(b.callID(), b.PutReply)
	case getReply:
		c.core.GetReplied(b.callID(), b.GetReply)
	case scanReply:
		c.core.ScanReplied(b.callID(), b.ScanReply)
	case viewReply:
		if c.asking != b.Call {
			return
		}
		c.asking = 0
		c.core.ViewReplied(b.ViewReply)
	}
	c.did()
}

// failed takes the news that a call came to nothing.
func (c *client) failed(call uint64, kind bodyKind) {
	if kind != viewArgs {
		c.core.Failed(clerk.CallID(call), true)
	} else if c.asking == call {
		c.asking = 0
		c.core.ViewFailed()
	}
	c.did()
}

// cancel gives the operation under way up.
func (c *client) cancel() {
	if c.running >= 0 {
		c.core.Cancel(c.request)
		c.did()
	}
}

// crash ends this life; what was under way is of unknown outcome.
func (c *client) crash() {
	if c.running >= 0 {
		c.end(Unknown, Output{}, "the client crashed")
	}
	c.start()
}

// done takes the clerk's word on the request under way.
func (c *client) done(d *clerk.Done) {
	if d.ID != c.request || c.running < 0 {
		c.w.fail("DoneOnce", "client %d is told of request %d, and request %d is under way", c.number+1, d.ID, c.request)
	}
	op := &c.w.history[c.running]
	ran := d.Err == nil || errors.Is(d.Err, tandem.ErrNoKey)
	if ran != (d.Outcome == tandem.DidRun) {
		c.w.fail("S5", "client %d is told that request %d %s, with error %v", c.number+1, d.ID, d.Outcome, d.Err)
	}
	switch {
	case c.isForeign():
		c.end(Failed, Output{}, "in another cluster") // it did not run in this one
	case ran && op.Input.Kind == Scan:
		c.page(d)
	case ran:
		c.learn(&op.Input, d)
		c.end(Done, Output{
			Value:   d.Get.Value + d.Put.PreviousValue, // one or the other
			Absent:  op.Input.Kind == Delete && d.Put.Err == tandem.ErrNoKey,
			Swapped: d.Put.Swapped,
		}, "")
	case d.Outcome == tandem.DidNotRun:
		c.end(Failed, Output{}, d.Err.Error())
	default:
		c.end(Unknown, Output{}, d.Err.Error())
	}
}

// page takes a page of a scan and asks for the next.
func (c *client) page(d *clerk.Done) {
	w := c.w
	p := &d.Scan
	c.pages.pairs = append(c.pages.pairs, p.Pairs...)
	if c.pages.index != 0 && c.pages.index != p.Index {
		w.fail("ScanIndex", "client %d got pages as of %d and as of %d", c.number+1, c.pages.index, p.Index)
	}
	c.pages.index = p.Index
	if p.More {
		c.submit(clerk.Request{Origin: d.Origin, Scan: &tandem.ScanArgs{
			Prefix: "k", Limit: 1, Scan: p.Scan, After: p.Pairs[len(p.Pairs)-1].Key}})
		return
	}
	if want := w.oracle.pairs(p.Index, "k", false, ""); !slices.Equal(c.pages.pairs, want) {
		w.fail("ScanIndex", "client %d scanned %v; as of %d there was %v", c.number+1, c.pages.pairs, p.Index, want)
	}
	w.cover.count(ScansDone)
	c.end(Done, Output{Pairs: c.pages.pairs}, "")
}

// learn notes what the client now knows of a key, for CompareAndSwap.
func (c *client) learn(in *Input, d *clerk.Done) {
	k, err := strconv.Atoi(in.Key[1:])
	if err != nil || k >= len(c.last) {
		return
	}
	switch in.Kind {
	case Get:
		c.last[k] = d.Get.Value
	case Put:
		c.last[k] = in.Value
	case Delete:
		c.last[k] = ""
	case PutHash:
		c.last[k] = strconv.Itoa(int(tandem.Hash(d.Put.PreviousValue + in.Value)))
	}
}

// end writes down what became of the operation under way.
func (c *client) end(v Verdict, out Output, why string) {
	w := c.w
	op := &w.history[c.running]
	op.Return, op.Verdict, op.Output, op.Err = int64(w.events), v, out, why
	switch v {
	case Unknown:
		w.cover.count(UnknownOutcomes)
	case Failed:
		w.cover.count(DefiniteFailures)
	}
	c.running = -1
	c.think()
}

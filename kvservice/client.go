package kvservice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/sysmonitor"
)

// KVClient is a client of a group of servers. It is safe for concurrent use: as
// many updates as it may have sessions are under way at once (rule C3), and any
// number of reads.
type KVClient struct {
	opts        options
	monitorAddr string
	transport   *rpcnet.Transport
	monitor     *sysmonitor.Client

	inbox    chan func(*clientLoop)
	ctx      context.Context // ends with Close
	halt     context.CancelFunc
	stopOnce sync.Once
	gone     chan struct{}
	tasks    sync.WaitGroup
}

const (
	clientTick            = 10 * time.Millisecond
	defaultAttemptTimeout = 30 * time.Second
	// doubtAfter is how long a client takes silence for work; then it asks
	// whether its primary is still the primary. That is one call, however many
	// requests wait, and it waits for the answer until there is a newer view, so it
	// can be soon: well before the view service suspects who is silent (rule V7).
	doubtAfter = 2 * sysmonitor.PingInterval
)

// MakeKVClient returns a client that finds its servers through the view service
// at monitorAddr, which need not be there yet. Nothing is called before the
// first operation. Close it when it is no longer needed.
//
// A client belongs to the cluster of the first view that it hears of. If another
// cluster takes that one's place, its operations fail with tandem.ErrWrongCluster
// (rule V0): the new cluster knows nothing of what the old one acknowledged. Make a
// new client to go over to it.
func MakeKVClient(monitorAddr string, opts ...Option) *KVClient {
	describe()
	o := makeOptions(opts)
	if o.name == "" {
		o.name = fmt.Sprintf("client-%08x", uint32(drawIncarnation()))
	}
	c := &KVClient{
		opts:        o,
		monitorAddr: monitorAddr,
		transport:   o.transport(o.name),
		monitor:     sysmonitor.MakeClient(o.name, monitorAddr, o.monitorOptions()...),
		inbox:       make(chan func(*clientLoop), inboxSize),
		gone:        make(chan struct{}),
	}
	c.ctx, c.halt = context.WithCancel(context.Background())
	l := &clientLoop{
		client: c,
		clerk: clerk.New(clerk.Config{
			MaxSessions:  o.limits.MaxSessions,
			AttemptTicks: int(o.attemptTimeout / clientTick),
			DoubtTicks:   int(doubtAfter / clientTick),
			Seed:         drawIncarnation(),
		}),
		waiting: make(map[clerk.RequestID]waiting),
		calls:   make(map[clerk.CallID]*rpcnet.Pending),
	}
	c.tasks.Go(l.run)
	return c
}

// Close ends the client: operations under way fail with ErrClosed, and so do
// later ones. When it returns, no goroutine of the client is left. Any number of
// calls is fine.
func (c *KVClient) Close() {
	c.stopOnce.Do(func() {
		done := make(chan struct{})
		if c.post(func(l *clientLoop) { l.clerk.Close(); l.carryOut(); close(done) }) {
			select {
			case <-done: // callers have heard it from the clerk, which knows the outcomes
			case <-c.ctx.Done(): // the loop has failed
			}
		}
		c.halt()
		c.transport.Close()
		c.monitor.Close()
		c.tasks.Wait()
		close(c.gone)
	})
	<-c.gone
}

// clientLoop is what the goroutine that owns the clerk owns.
type clientLoop struct {
	client  *KVClient
	clerk   *clerk.Clerk
	lastID  clerk.RequestID
	waiting map[clerk.RequestID]waiting
	calls   map[clerk.CallID]*rpcnet.Pending

	// Why nothing gets on, for the error of a request that is given up.
	viewErr error // what the view service said last, if it was no view
	callErr error // what came of the last call to a server, if it was no answer
}

func (l *clientLoop) run() {
	c := l.client
	defer func() {
		if v := recover(); v != nil {
			broken, ok := v.(*tandem.InvariantError)
			if !ok {
				panic(v) // a bug of another kind: the stack says more than we could
			}
			c.opts.logger.Error("closing a client: an invariant is broken", "invariant", broken.Invariant, "detail", broken.Detail)
			c.halt()
			go c.Close() // it waits for this goroutine, so it needs one of its own
		}
	}()
	ticker := time.NewTicker(clientTick)
	defer ticker.Stop()
	ticking := true
	for {
		// Time passes for the clerk only while it waits for something.
		if busy := len(l.waiting) > 0; busy != ticking {
			if ticking = busy; busy {
				ticker.Reset(clientTick)
			} else {
				ticker.Stop()
			}
		}
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
			l.clerk.Tick()
		case e := <-c.inbox:
			e(l)
			l.drain()
		}
		l.carryOut()
	}
}

func (l *clientLoop) drain() {
	for range maxStep {
		select {
		case e := <-l.client.inbox:
			e(l)
		default:
			return
		}
	}
}

// carryOut does what the clerk asks for.
func (l *clientLoop) carryOut() {
	for effects := l.clerk.Take(); !effects.Empty(); effects = l.clerk.Take() {
		for i := range effects.Calls {
			l.call(&effects.Calls[i])
		}
		for _, id := range effects.Abandon {
			if p := l.calls[id]; p != nil {
				p.Abandon()
				delete(l.calls, id)
			}
		}
		for _, ask := range effects.Ask {
			l.ask(ask)
		}
		for _, d := range effects.Done {
			if w, ok := l.waiting[d.ID]; ok {
				delete(l.waiting, d.ID)
				w.answer <- d
			}
		}
	}
}

func (l *clientLoop) call(call *clerk.Call) {
	switch {
	case call.Put != nil:
		startCall(l, call, putMethod, call.Put, (*clerk.Clerk).PutReplied)
	case call.Get != nil:
		startCall(l, call, getMethod, call.Get, (*clerk.Clerk).GetReplied)
	default:
		startCall(l, call, scanMethod, call.Scan, (*clerk.Clerk).ScanReplied)
	}
}

// startCall makes an RPC and brings the clerk its reply, or the failure, and
// with it whether the request may have left.
func startCall[R any](l *clientLoop, call *clerk.Call, method string, args any, replied func(*clerk.Clerk, clerk.CallID, *R)) {
	c, id := l.client, call.ID
	p, err := rpcnet.Start(c.transport, call.Addr, method, args, func(reply *R, err error) {
		c.post(func(l *clientLoop) {
			delete(l.calls, id)
			if l.callErr = err; err != nil {
				l.clerk.Failed(id, !errors.Is(err, rpcnet.ErrNotSent))
				return
			}
			if code := refusal(reply); code != tandem.OK {
				l.callErr = fmt.Errorf("%s at %s: %w", method, call.Addr, code)
			}
			replied(l.clerk, id, reply)
		})
	})
	if err != nil {
		l.callErr = err
		l.clerk.Failed(id, false)
		return
	}
	l.calls[id] = p
}

// refusal returns the code with which a server refused to serve a call for now,
// OK if it did serve.
func refusal(reply any) tandem.Err {
	code := tandem.OK
	switch r := reply.(type) {
	case *tandem.PutReply:
		code = r.Err
	case *tandem.GetReply:
		code = r.Err
	case *tandem.ScanReply:
		code = r.Err
	}
	switch code {
	case tandem.ErrWrongServer, tandem.ErrWrongCluster, tandem.ErrBusy, tandem.ErrTooManySessions:
		return code
	}
	return tandem.OK
}

// trouble says what requests are waiting for.
func (l *clientLoop) trouble() error {
	v := l.clerk.View()
	switch {
	case v.Viewnum == 0 && l.viewErr != nil:
		return l.viewErr
	case v.Viewnum == 0:
		return fmt.Errorf("no view yet from the view service at %s", l.client.monitorAddr)
	case l.callErr != nil:
		return l.callErr
	}
	return fmt.Errorf("no answer yet from %s, the primary of view %d", v.Primary, v.Viewnum)
}

// waiting is an operation under way.
type waiting struct {
	answer chan<- clerk.Done
	since  time.Time
}

// anyFor reports whether an operation has been under way for at least so long.
func (l *clientLoop) anyFor(d time.Duration) bool {
	for _, w := range l.waiting {
		if time.Since(w.since) >= d {
			return true
		}
	}
	return false
}

// WaitingFor says what operations are waiting for that have been under way for at
// least so long, such as a view service that cannot be reached or a primary that does
// not answer, and is nil if there is none. It is what Because says of an operation
// that is given up, for those who do not want to give up yet.
func (c *KVClient) WaitingFor(atLeast time.Duration) error {
	answer := make(chan error, 1)
	if !c.post(func(l *clientLoop) {
		if !l.anyFor(atLeast) {
			answer <- nil
			return
		}
		answer <- l.trouble()
	}) {
		return nil
	}
	select {
	case err := <-answer:
		return err
	case <-c.ctx.Done():
		return nil
	}
}

func (l *clientLoop) ask(ask clerk.AskView) {
	c := l.client
	c.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, viewWait+stallTimeout)
		defer cancel()
		reply, err := c.monitor.Wait(ctx, tandem.ViewArgs{
			Wait: viewWait, Viewnum: ask.Viewnum, Cluster: ask.Cluster, Group: ask.Group,
		})
		c.post(func(l *clientLoop) {
			if l.viewErr = err; err != nil {
				l.clerk.ViewFailed()
				return
			}
			if reply.Err != "" && reply.Err != tandem.OK {
				l.viewErr = fmt.Errorf("the view service at %s: %w", c.monitorAddr, reply.Err)
			}
			l.clerk.ViewReplied(reply)
		})
	})
}

func (c *KVClient) post(e func(*clientLoop)) bool {
	if c.ctx.Err() != nil {
		return false // select would take either, and nobody reads the inbox any more
	}
	select {
	case c.inbox <- e:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// do carries out one request. When ctx ends it is given up, and the error says
// whether it may have run.
func (c *KVClient) do(ctx context.Context, req clerk.Request) (clerk.Done, error) {
	if err := ctx.Err(); err != nil {
		return clerk.Done{}, c.wrap(req, clerk.Done{Err: err, Outcome: tandem.DidNotRun}, nil)
	}
	if err := c.checkSize(req); err != nil {
		return clerk.Done{}, c.wrap(req, clerk.Done{Err: err, Outcome: tandem.DidNotRun}, nil)
	}
	answer := make(chan clerk.Done, 1)
	var id clerk.RequestID
	start := func(l *clientLoop) {
		l.lastID++
		id = l.lastID
		l.waiting[id] = waiting{answer, time.Now()}
		l.clerk.Start(id, req)
	}
	if !c.post(start) {
		return clerk.Done{}, c.wrap(req, clerk.Done{Err: ErrClosed, Outcome: tandem.DidNotRun}, nil)
	}
	closed := clerk.Done{Err: ErrClosed} // with the outcome unknown
	select {
	case d := <-answer:
		return d, c.wrap(req, d, nil)
	case <-c.ctx.Done():
		return closed, c.wrap(req, c.last(answer, closed), nil)
	case <-ctx.Done():
	}
	var why error
	c.post(func(l *clientLoop) {
		// Once it has been answered, why is the caller's again.
		if _, ok := l.waiting[id]; ok {
			why = l.trouble()
		}
		l.clerk.Cancel(id)
	})
	select {
	case d := <-answer:
		if errors.Is(d.Err, clerk.ErrCanceled) {
			d.Err = ctx.Err()
		} else {
			why = nil
		}
		return d, c.wrap(req, d, why)
	case <-c.ctx.Done():
		return closed, c.wrap(req, c.last(answer, closed), nil)
	}
}

// last prefers an answer that came just before the end.
func (c *KVClient) last(answer <-chan clerk.Done, otherwise clerk.Done) clerk.Done {
	<-c.gone // nobody answers after this
	select {
	case d := <-answer:
		return d
	default:
		return otherwise
	}
}

// checkSize refuses what no server of these limits would take, before it is sent:
// a frame that is too large would not even be answered.
func (c *KVClient) checkSize(req clerk.Request) error {
	l := &c.opts.limits
	key, values := "", []string(nil)
	switch {
	case req.Put != nil:
		key, values = req.Put.Key, []string{req.Put.Value, req.Put.Expected}
	case req.Get != nil:
		key = req.Get.Key
	default:
		key = req.Scan.Prefix
	}
	if len(key) > l.MaxKey {
		return fmt.Errorf("%w: key of %d bytes, the limit is %d", tandem.ErrTooLarge, len(key), l.MaxKey)
	}
	for _, v := range values {
		if len(v) > l.MaxValue {
			return fmt.Errorf("%w: value of %d bytes, the limit is %d", tandem.ErrTooLarge, len(v), l.MaxValue)
		}
	}
	return nil
}

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

	inbox    *mailbox[clientEvent]
	turn     turn // to step the clerk
	loop     *clientLoop
	ctx      context.Context // ends with Close
	halt     context.CancelFunc
	stopOnce sync.Once
	gone     chan struct{}
	tasks    sync.WaitGroup
}

const (
	clientTick            = 10 * time.Millisecond // in which the clerk counts time
	defaultAttemptTimeout = 30 * time.Second
	// doubtAfter is how long a client takes silence for work; then it asks
	// whether its primary is still the primary. That is one call, however many
	// requests wait, and it waits for the answer until there is a newer view, so it
	// can be soon: well before the view service suspects who is silent (rule V7).
	doubtAfter = 2 * sysmonitor.PingInterval
	// doubtTicks is also how often time passes at least for a clerk that waits.
	doubtTicks = int(doubtAfter / clientTick)
	// maxClientTicks is how many ticks pass at most at a time: a process that stood
	// still has not waited for anybody.
	maxClientTicks = 100
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
		monitor:     sysmonitor.MakeClient(o.name, monitorAddr, o.monitorOptions()...),
		gone:        make(chan struct{}),
	}
	c.inbox = newMailbox[clientEvent](inboxSize, c.turn.ring)
	c.transport = o.transport(o.name, c.turn.offer)
	c.ctx, c.halt = context.WithCancel(context.Background())
	l := &clientLoop{
		client: c,
		clerk: clerk.New(clerk.Config{
			MaxSessions:  o.limits.MaxSessions,
			AttemptTicks: int(o.attemptTimeout / clientTick),
			DoubtTicks:   doubtTicks,
			Seed:         drawIncarnation(),
		}),
		timer:    time.NewTimer(time.Hour), // which nothing waits for yet
		patience: doubtTicks,
	}
	if attempt := int(o.attemptTimeout / clientTick); attempt > 0 {
		l.patience = min(l.patience, attempt)
	}
	c.turn = turn{
		bell: make(chan struct{}, 1), waits: c.inbox.waits, work: l.work,
		others: func() bool { return l.waiting.Len() > 0 || l.together },
	}
	c.loop = l
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
		c.inbox.close()
		c.turn.awaitOthers() // or one of them might yet start a task
		c.transport.Close()
		c.monitor.Close()
		c.tasks.Wait()
		c.turn.Lock()
		c.loop.answerRest()
		c.turn.pass()
		close(c.gone)
	})
	<-c.gone
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

func (c *KVClient) post(do func(*clientLoop)) bool {
	posted := c.ctx.Err() == nil && c.inbox.post(clientEvent{do: do})
	c.turn.ring()
	return posted
}

// do carries out one request, and leaves what it came to in op.done. When ctx ends it is
// given up, and the error says whether it may have run. What was posted is answered, if
// need be by Close.
func (c *KVClient) do(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return op.failed(err, tandem.DidNotRun)
	}
	if err := c.checkSize(&op.request); err != nil {
		return op.failed(err, tandem.DidNotRun)
	}
	if !c.inbox.post(clientEvent{start: op}) {
		return op.failed(ErrClosed, tandem.DidNotRun)
	}
	c.turn.offerTogether()
	select {
	case <-op.answered:
		op.mine = true
		return op.err(nil)
	case <-ctx.Done():
	}
	var why error
	c.post(func(l *clientLoop) {
		// Once it has been answered, why is the caller's again.
		if l.waiting.Get(op.id) == op {
			why = l.trouble()
		}
		l.clerk.Cancel(op.id)
	})
	<-op.answered // soon, or by Close
	if errors.Is(op.done.Err, clerk.ErrCanceled) {
		op.done.Err = ctx.Err()
	} else {
		why = nil
	}
	return op.err(why)
}

// checkSize refuses what no server of these limits would take, before it is sent:
// a frame that is too large would not even be answered.
func (c *KVClient) checkSize(req *clerk.Request) error {
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

package kvservice

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// turned is a core that many bring work to: it tells each that it was done. Nothing
// ticks, so what nobody looks for stays undone.
type turned struct {
	turn  turn
	inbox *mailbox[chan struct{}]
	spare []chan struct{}
	at    atomic.Int32 // goroutines at work
}

func newTurned(t *testing.T, max int) *turned {
	c := new(turned)
	c.inbox = newMailbox[chan struct{}](max, c.turn.ring)
	c.turn = turn{bell: make(chan struct{}, 1), waits: c.inbox.waits, work: c.work, others: func() bool { return true }}
	ctx, cancel := context.WithCancel(t.Context())
	var waits sync.WaitGroup
	waits.Go(func() {
		for {
			select {
			case <-c.turn.bell:
				c.turn.Lock()
				c.work()
				c.turn.pass()
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); waits.Wait() })
	return c
}

func (c *turned) work() {
	if c.at.Add(1) != 1 {
		panic("two have the turn")
	}
	c.spare = c.inbox.take(c.spare)
	runtime.Gosched() // others bring more meanwhile, and find the turn taken
	for _, done := range c.spare {
		close(done)
	}
	clear(c.spare)
	c.at.Add(-1)
}

// undone is how long a test waits for work that should have been done at once.
const undone = time.Minute

// Whatever is brought is done, by whoever: by the one who brings it, by the one who
// had the turn at that moment, or by the goroutine that waits; and by one at a time.
func TestNoWorkIsLeftByThoseWhoTakeTurns(t *testing.T) {
	for _, max := range []int{1, 2, inboxSize} { // with little room, some wait for it
		c := newTurned(t, max)
		var bringers sync.WaitGroup
		for n := range 8 {
			bringers.Go(func() {
				for round := range 2000 {
					done := make(chan struct{})
					if !c.inbox.post(done) {
						t.Error("refused, though nobody closed it")
						return
					}
					if n%4 > 0 || max == inboxSize { // the others leave it to the goroutine that waits
						c.turn.offer()
					} else {
						c.turn.ring()
					}
					select {
					case <-done:
					case <-time.After(undone):
						t.Errorf("with room for %d: what was brought in round %d is not done", max, round)
						return
					}
				}
			})
		}
		bringers.Wait()
		require.False(t, c.inbox.waits())
	}
}

// Who comes while another has the turn goes on at once, and its work is done when that
// one passes the turn on.
func TestWorkThatComesDuringATurnIsDoneAfterIt(t *testing.T) {
	c := newTurned(t, inboxSize)
	c.turn.Lock()
	done := make(chan struct{})
	require.True(t, c.inbox.post(done))
	c.turn.offer()
	select {
	case <-done:
		require.Fail(t, "done without the turn")
	default:
	}
	c.turn.pass()
	select {
	case <-done:
	case <-time.After(undone):
		require.Fail(t, "left undone")
	}
}

func TestClosedMailboxRefusesAndLetsGoWhoWaitsForRoom(t *testing.T) {
	asked := make(chan struct{}, 1)
	m := newMailbox[int](2, func() { asked <- struct{}{} })
	require.True(t, m.post(1, 2, 3), "there is room for the first")
	posted := make(chan bool)
	go func() { posted <- m.post(4) }()
	<-asked // for room
	m.close()
	require.False(t, <-posted)
	require.False(t, m.post(5))
	require.Equal(t, []int{1, 2, 3}, m.take(nil))
	require.False(t, m.waits())
}

// A place is used again, but the answer to the request that had it before is nobody's.
func TestAnswerToAFormerUseOfAPlaceIsNobodys(t *testing.T) {
	var w waiters
	first := w.add(waiter{seq: 1})
	other := w.add(waiter{seq: 2})
	who, ok := w.remove(first)
	require.True(t, ok)
	require.Equal(t, uint64(1), who.seq)
	second := w.add(waiter{seq: 3})
	require.Len(t, w.places, 2)
	require.NotEqual(t, first, second)
	_, ok = w.remove(first)
	require.False(t, ok)
	for seq, id := range map[uint64]uint64{2: other, 3: second} {
		who, ok = w.remove(id)
		require.True(t, ok)
		require.Equal(t, seq, who.seq)
	}
}

// The end of a connection leaves the requests of others alone, and of its own those
// that goroutines wait for, which forget them themselves.
func TestForgettingAConnectionLeavesOthersAlone(t *testing.T) {
	l := &loop{server: new(KVServer), core: replica.New(replica.Config{Machine: nobodysMachine{}})}
	gone, stays := &handler{server: l.server}, &handler{server: l.server}
	answer := make(chan replica.Reply, 1)
	for seq := range uint64(4) {
		l.submit(&replica.Request{}, waiter{handler: gone, seq: seq})
		l.submit(&replica.Request{}, waiter{handler: stays, seq: seq})
	}
	l.submit(&replica.Request{}, waiter{handler: gone, answer: answer})
	l.forget(gone, nil)
	var left []waiter
	for _, p := range l.waiters.places {
		if p.taken {
			left = append(left, p.waiter)
		}
	}
	require.Len(t, left, 5)
	for _, w := range left {
		require.True(t, w.handler == stays || w.answer == answer)
	}
	l.forget(gone, answer)
	require.Len(t, l.waiters.free, 5)

	answer <- replica.Reply{Payload: []byte("too late")}
	l.forget(gone, answer)
	require.Equal(t, int64(len("too late")), l.server.answersGone.Load())
}

// nobodysMachine is a machine that is never used.
type nobodysMachine struct{ replica.Machine }

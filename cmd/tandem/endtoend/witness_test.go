//go:build unix

package endtoend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tandemkv/tandem/kvservice"
)

// The wire as a program knows it that has only read the lab's text: it names no
// view, so that no server can tell from it that there is news.
type (
	labGetArgs  struct{ Key string }
	labGetReply struct{ Err, Value string }
)

// witnessKey is the key whose value is a number that only grows.
const witnessKey = "witness"

// witness has a number grow in the store, and asks servers for it of whom it takes
// each for the primary, whatever anybody says: as a client does that holds the view in
// which that server was it. An answer is stale if it is less than what was
// acknowledged before it was asked for.
type witness struct {
	g            *group
	acknowledged atomic.Int64
	ctx          context.Context
	cancel       context.CancelFunc
	goroutines   sync.WaitGroup
	askers       map[string]*asker // by the server's name
}

// startWitness starts a witness that asks all servers.
func (g *group) startWitness() *witness {
	w := &witness{g: g, askers: make(map[string]*asker)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	k := g.client()
	w.goroutines.Go(func() { w.write(k) })
	for _, name := range servers {
		a := &asker{witness: w, addr: g.places[name].reach()}
		w.askers[name] = a
		w.goroutines.Go(a.run)
	}
	g.t.Cleanup(w.stop)
	return w
}

// write has the number grow.
func (w *witness) write(k *kvservice.KVClient) {
	for n := int64(1); ; n++ {
		err := k.PutContext(w.ctx, witnessKey, strconv.FormatInt(n, 10))
		if w.ctx.Err() != nil {
			return
		}
		if !assert.NoError(w.g.t, err, "write %d", n) {
			return
		}
		w.acknowledged.Store(n)
	}
}

// grows waits until the number has grown.
func (w *witness) grows() {
	w.g.t.Helper()
	before := w.acknowledged.Load()
	w.g.wait("a write to be acknowledged", func() bool { return w.acknowledged.Load() > before+1 })
}

// stop ends the witness.
func (w *witness) stop() {
	w.cancel()
	w.goroutines.Wait()
}

// asker asks one server.
type asker struct {
	witness *witness
	addr    string
	asked   atomic.Int64 // questions, the answered ones among them
	fresh   atomic.Int64 // answers
	refused atomic.Int64 // with any error
	lost    atomic.Int64 // with the connection
}

const (
	askEvery = 10 * time.Millisecond
	asksMax  = 4096 // without an answer
)

// run asks until the witness is stopped, over one connection at a time.
func (a *asker) run() {
	ctx := a.witness.ctx
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", a.addr)
		if err == nil {
			a.talk(ctx, rpc.NewClient(conn), tick.C)
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// talk asks over a connection until that breaks, and does not wait for an answer
// before it asks again.
func (a *asker) talk(ctx context.Context, k *rpc.Client, tick <-chan time.Time) {
	var pending sync.WaitGroup
	defer pending.Wait()
	defer k.Close() // which fails what is pending
	broken := make(chan struct{})
	var once sync.Once
	for {
		select {
		case <-ctx.Done():
			return
		case <-broken:
			return
		case <-tick:
		}
		if a.asked.Load()-a.answers()-a.lost.Load() >= asksMax {
			continue
		}
		a.asked.Add(1)
		acknowledged := a.witness.acknowledged.Load()
		pending.Go(func() {
			var reply labGetReply
			if err := k.Call("KVServer.Get", labGetArgs{witnessKey}, &reply); err == nil {
				a.judge(acknowledged, reply)
			} else if errors.As(err, new(rpc.ServerError)) {
				a.refused.Add(1)
			} else {
				a.lost.Add(1)
				once.Do(func() { close(broken) })
			}
		})
	}
}

// judge judges an answer to a question that was asked when so much was acknowledged.
func (a *asker) judge(acknowledged int64, r labGetReply) {
	var got int64
	switch r.Err {
	case "OK":
		var err error
		got, err = strconv.ParseInt(r.Value, 10, 64)
		assert.NoError(a.witness.g.t, err)
	case "ErrNoKey":
	default:
		a.refused.Add(1)
		return
	}
	a.fresh.Add(1)
	assert.GreaterOrEqual(a.witness.g.t, got, acknowledged, "%s gave a stale answer: it was asked when a newer write had been acknowledged", a.addr)
}

// answers returns how many answers there were, of all kinds.
func (a *asker) answers() int64 { return a.fresh.Load() + a.refused.Load() }

// asks waits until so many more questions have been asked.
func (a *asker) asks(n int64) {
	g := a.witness.g
	g.t.Helper()
	before := a.asked.Load()
	g.wait("questions to "+a.addr, func() bool { return a.asked.Load() >= before+n })
}

// String says what came of the questions.
func (a *asker) String() string {
	return fmt.Sprintf("asked %d times, %d fresh answers, %d refusals, %d lost", a.asked.Load(), a.fresh.Load(), a.refused.Load(), a.lost.Load())
}

package kvservice

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// erratic is a server that keeps nothing: it answers a Put with its value and a Get with
// its key. It answers some calls twice, and some late. If it is false, it also answers what
// it was not asked yet.
type erratic struct {
	conn     *rpcnet.Conn
	sessions *atomic.Uint64
	false    bool
	put      tandem.PutArgs
	get      tandem.GetArgs
	late     []func()
}

// Put is there for net/rpc, which wants a method.
func (*erratic) Put(*tandem.PutArgs, *tandem.PutReply) error { return errGone }

func (*erratic) CompactMethods() []string { return compactMethods }

func (e *erratic) Serve(name string, seq uint64, args []byte) bool {
	var reply rpcnet.Compact
	if name == putMethod {
		if err := e.put.DecodeCompact(args); err != nil {
			e.conn.Refuse(seq, err)
			return true
		}
		r := &tandem.PutReply{Err: tandem.OK, Outcome: tandem.DidRun, PreviousValue: e.put.Value}
		if e.put.Op == tandem.OpOpenSession {
			r.Session = e.sessions.Add(1)
		}
		reply = r
	} else {
		if err := e.get.DecodeCompact(args); err != nil {
			e.conn.Refuse(seq, err)
			return true
		}
		reply = &tandem.GetReply{Err: tandem.OK, Value: e.get.Key}
	}
	answer := func() { e.conn.Answer(seq, reply, nil) }
	switch n := rand.IntN(1000); {
	case n < 100:
		answer()
		answer()
	case n < 300:
		e.late = append(e.late, answer)
	case n < 400 && e.false:
		answer()
		for ahead := range uint64(3) {
			e.conn.Answer(seq+ahead, &tandem.PutReply{Err: tandem.OK, Outcome: tandem.DidRun}, nil)
		}
	default:
		answer()
	}
	if len(e.late) > 20 {
		for _, answer := range e.late {
			answer()
		}
		e.late = nil
	}
	return true
}

func (e *erratic) Served() { e.conn.Flush() }
func (e *erratic) Gone()   {}

// Whatever a client uses again, each of its callers hears what it asked for, once, and all
// hear the end: while callers give up, connections are lost, answers come twice, and the
// client is closed at any moment.
func TestClientUsesNothingAgainThatSomebodyHolds(t *testing.T) {
	const rounds = 10
	for _, lies := range []bool{false, true} {
		dir := socketDir(t)
		monitor, server := filepath.Join(dir, "monitor"), filepath.Join(dir, "server")
		sessions := new(atomic.Uint64)
		servePrompt(t, "KVServer", server, func(c *rpcnet.Conn) any {
			return &erratic{conn: c, sessions: sessions, false: lies}
		})
		servePrompt(t, "MonitorServer", monitor, func(*rpcnet.Conn) any {
			return &promptMonitor{tandem.View{Viewnum: 1, Primary: server, Cluster: 1}}
		})
		var right, ended atomic.Int64
		for round := range rounds {
			var wg sync.WaitGroup
			for range 2 {
				var last atomic.Pointer[net.Conn]
				c := MakeKVClient(monitor, WithAttemptTimeout(50*time.Millisecond), WithDialer(
					func(ctx context.Context, network, addr string) (net.Conn, error) {
						nc, err := new(net.Dialer).DialContext(ctx, network, addr)
						if err == nil && addr == server {
							last.Store(&nc)
						}
						return nc, err
					}))
				var begun atomic.Int64
				for caller := range 16 {
					wg.Go(func() {
						for n := 0; ; n++ {
							text := strconv.Itoa(caller) + "." + strconv.Itoa(n)
							ctx, cancel := t.Context(), context.CancelFunc(func() {})
							if rand.IntN(4) == 0 {
								ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
							}
							var got string
							var err error
							if n%2 == 0 {
								got, err = c.PutHashContext(ctx, "key", text)
							} else {
								got, err = c.GetContext(ctx, text)
							}
							cancel()
							begun.Add(1)
							switch {
							case errors.Is(err, ErrClosed):
								ended.Add(1)
								return
							case err == nil && !lies:
								assert.Equal(t, text, got)
								right.Add(1)
							}
						}
					})
				}
				wg.Go(func() {
					for begun.Load() < int64(200*round) {
						time.Sleep(time.Millisecond)
						if nc := last.Load(); nc != nil && rand.IntN(5) == 0 {
							(*nc).Close()
						}
					}
					c.Close()
				})
			}
			wg.Wait()
		}
		require.EqualValues(t, rounds*2*16, ended.Load())
		require.True(t, lies || right.Load() > 100)
	}
}

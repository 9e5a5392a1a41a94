package kvservice

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// prompt is a server that keeps nothing and answers at once, with as little work as can be.
type prompt struct {
	conn     *rpcnet.Conn
	sessions *atomic.Uint64
	put      tandem.PutArgs
}

// Put is there for net/rpc, which wants a method.
func (*prompt) Put(*tandem.PutArgs, *tandem.PutReply) error { return errGone }

var (
	promptDone  = &tandem.PutReply{Err: tandem.OK, Outcome: tandem.DidRun}
	promptValue = &tandem.GetReply{Err: tandem.OK, Value: "value"}
)

func (p *prompt) CompactMethods() []string { return compactMethods }

func (p *prompt) Serve(name string, seq uint64, args []byte) bool {
	var reply rpcnet.Compact = promptValue
	if name == putMethod {
		if err := p.put.DecodeCompact(args); err != nil {
			p.conn.Refuse(seq, err)
			return true
		}
		reply = promptDone
		if p.put.Op == tandem.OpOpenSession {
			reply = &tandem.PutReply{Err: tandem.OK, Outcome: tandem.DidRun, Session: p.sessions.Add(1)}
		}
	}
	p.conn.Answer(seq, reply, nil)
	return true
}

func (p *prompt) Served() { p.conn.Flush() }
func (p *prompt) Gone()   {}

// promptMonitor knows the view in which such a server is the primary.
type promptMonitor struct{ view tandem.View }

func (m *promptMonitor) Get(_ *tandem.ViewArgs, reply *tandem.ViewReply) error {
	reply.View = m.view
	return nil
}

func servePrompt(b testing.TB, name, addr string, receiver func(*rpcnet.Conn) any) {
	l, err := rpcnet.Listen(addr)
	require.NoError(b, err)
	s := rpcnet.NewServer(rpcnet.ServerConfig{Service: func(c *rpcnet.Conn) (string, any) { return name, receiver(c) }})
	go s.Serve(l)
	b.Cleanup(s.Close)
}

// BenchmarkClient is what an operation costs a client: the server does next to nothing,
// and allocates nothing but the strings of a Put.
func BenchmarkClient(b *testing.B) {
	dir := socketDir(b)
	monitor, server := filepath.Join(dir, "monitor"), filepath.Join(dir, "server")
	sessions := new(atomic.Uint64)
	servePrompt(b, "KVServer", server, func(c *rpcnet.Conn) any {
		return &prompt{conn: c, sessions: sessions}
	})
	servePrompt(b, "MonitorServer", monitor, func(*rpcnet.Conn) any {
		return &promptMonitor{tandem.View{Viewnum: 1, Primary: server, Cluster: 1}}
	})
	put := func(c *KVClient) error { return c.PutContext(b.Context(), "key", "value") }
	for _, way := range []struct {
		name          string
		clients, each int
		operation     func(*KVClient) error
	}{
		{"put/alone", 1, 1, put},
		{"put/64 clients", 64, 1, put},
		{"put/64 together", 1, 64, put},
		{"get/alone", 1, 1, func(c *KVClient) error { _, err := c.GetContext(b.Context(), "key"); return err }},
	} {
		b.Run(way.name, func(b *testing.B) {
			clients := make([]*KVClient, way.clients)
			for i := range clients {
				clients[i] = MakeKVClient(monitor)
				defer clients[i].Close()
				require.NoError(b, way.operation(clients[i]))
			}
			var begun atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for _, c := range clients {
				for range way.each {
					wg.Go(func() {
						for begun.Add(1) <= int64(b.N) {
							if err := way.operation(c); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
			}
			wg.Wait()
			b.StopTimer()
		})
	}
}

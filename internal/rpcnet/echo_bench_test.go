package rpcnet

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

var echoMethods = []string{"Quiet.Same"}

// indirect leaves what comes in compact frames to net/rpc.
type indirect struct{ Quiet }

func (indirect) CompactMethods() []string          { return echoMethods }
func (indirect) Serve(string, uint64, []byte) bool { return false }
func (indirect) Served()                           {}
func (indirect) Gone()                             {}

// immediate answers at once.
type immediate struct {
	indirect
	conn *Conn
	args Msg
}

func (m *immediate) Serve(_ string, seq uint64, args []byte) bool {
	if err := m.args.DecodeCompact(args); err != nil {
		m.conn.Refuse(seq, err)
		return true
	}
	m.conn.Answer(seq, &m.args, nil)
	return true
}

func (m *immediate) Served() { m.conn.Flush() }

// BenchmarkEcho keeps 64 calls under way, on one connection or on 64. The allocations are
// those of both ends.
func BenchmarkEcho(b *testing.B) {
	const underWay = 64
	for _, way := range []struct {
		name     string
		propose  []string
		receiver func(*Conn) any
	}{
		{"gob", nil, func(*Conn) any { return Quiet{} }},
		{"compact", echoMethods, func(*Conn) any { return indirect{} }},
		{"direct", echoMethods, func(c *Conn) any { return &immediate{conn: c} }},
	} {
		for name, conns := range map[string]int{"shared": 1, "each": underWay} {
			b.Run(way.name+"/"+name, func(b *testing.B) {
				l, err := Listen("127.0.0.1:0")
				require.NoError(b, err)
				s := NewServer(ServerConfig{Service: func(c *Conn) (string, any) { return "Quiet", way.receiver(c) }})
				go s.Serve(l)
				defer s.Close()
				tr := NewTransport(TransportConfig{Compact: way.propose})
				defer tr.Close()
				addr, args := l.Addr().String(), &Msg{N: 1, Text: strings.Repeat("x", 100)}
				lanes := make([]*Transport, conns)
				for i := range lanes {
					lanes[i] = tr.Lane(strconv.Itoa(i))
					if _, err := Call[Msg](b.Context(), lanes[i], addr, "Quiet.Same", args); err != nil {
						b.Fatal(err)
					}
				}
				echo(b, lanes, addr, args, underWay)
			})
		}
	}
}

// echo makes b.N calls.
func echo(b *testing.B, lanes []*Transport, addr string, args *Msg, underWay int) {
	var begun, ended atomic.Int64
	finished := make(chan error, underWay)
	var next func(lane *Transport)
	next = func(lane *Transport) {
		if begun.Add(1) > int64(b.N) {
			return
		}
		done := func(_ *Msg, err error) {
			if err != nil || ended.Add(1) == int64(b.N) {
				finished <- err
				return
			}
			next(lane)
		}
		if _, err := Start(lane, addr, "Quiet.Same", args, done); err != nil {
			finished <- err
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range underWay {
		next(lanes[i%len(lanes)])
	}
	if err := <-finished; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkConnect makes a connection, and one call on it: what many clients that come at
// once cost, at both ends together.
func BenchmarkConnect(b *testing.B) {
	for _, way := range []struct {
		name    string
		propose []string
	}{{"gob", nil}, {"direct", echoMethods}} {
		b.Run(way.name, func(b *testing.B) {
			l, err := Listen(sockPath(b))
			require.NoError(b, err)
			s := NewServer(ServerConfig{Service: func(c *Conn) (string, any) { return "Quiet", &immediate{conn: c} }})
			go s.Serve(l)
			defer s.Close()
			addr, args := l.Addr().String(), &Msg{N: 1}
			b.ReportAllocs()
			for b.Loop() {
				tr := NewTransport(TransportConfig{Compact: way.propose})
				if _, err := Call[Msg](b.Context(), tr, addr, "Quiet.Same", args); err != nil {
					b.Fatal(err)
				}
				tr.Close()
			}
		})
	}
}

package rpcnet

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

type Msg struct {
	N    int
	Text string
}

// world is what the receivers of one test server share.
type world struct {
	mu      sync.Mutex
	conns   []*Conn
	arrived []int
	ran     []int
	gone    int           // connections
	gate    chan struct{} // Wait waits for it
}

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) arrivedCount() (n int) {
	w.locked(func() { n = len(w.arrived) })
	return n
}

func (w *world) ranCount(n int) (count int) {
	w.locked(func() {
		for _, x := range w.ran {
			if x == n {
				count++
			}
		}
	})
	return count
}

// probe is the receiver of the test service "Probe".
type probe struct {
	w    *world
	conn *Conn
	took bool // it has answered something itself since it was last Served
}

func (p *probe) Arrived(method string, args any) {
	m, ok := args.(*Msg)
	if !ok {
		return
	}
	p.w.locked(func() { p.w.arrived = append(p.w.arrived, m.N) })
}

// Same returns its argument.
func (p *probe) Same(args *Msg, reply *Msg) error {
	p.w.locked(func() { p.w.ran = append(p.w.ran, args.N) })
	*reply = *args
	return nil
}

// Fail returns the text as an error.
func (p *probe) Fail(args *Msg, reply *Msg) error { return errors.New(args.Text) }

// Long returns N bytes.
func (p *probe) Long(args *Msg, reply *Msg) error {
	reply.Text = strings.Repeat("x", args.N)
	return nil
}

// Wait waits until the test says so, or the connection is gone.
func (p *probe) Wait(args *Msg, reply *Msg) error {
	select {
	case <-p.w.gate:
	case <-p.conn.Done():
	}
	*reply = *args
	return nil
}

func newWorld() *world { return &world{gate: make(chan struct{})} }

func (w *world) service(c *Conn) (string, any) {
	w.locked(func() { w.conns = append(w.conns, c) })
	return "Probe", &probe{w: w, conn: c}
}

func sockPath(t testing.TB) string {
	return filepath.Join(t.TempDir(), "s")
}

// startAt runs a server at addr until the test ends.
func startAt(t testing.TB, addr string, w *world, cfg ServerConfig) *Server {
	l, err := Listen(addr)
	require.NoError(t, err)
	if cfg.Service == nil {
		cfg.Service = w.service
	}
	s := NewServer(cfg)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; !errors.Is(err, ErrClosed) { // a test may end before it serves
			require.NoError(t, err)
		}
	})
	return s
}

func start(t testing.TB, cfg ServerConfig) (addr string, w *world) {
	addr, w = sockPath(t), newWorld()
	startAt(t, addr, w, cfg)
	return addr, w
}

func client(t testing.TB, cfg TransportConfig) *Transport {
	tr := NewTransport(proposing(cfg))
	t.Cleanup(tr.Close)
	return tr
}

func dial(t testing.TB, addr string) net.Conn {
	c, err := net.Dial(Network(addr), addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, time.Millisecond, what)
}

func bg(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func same(t testing.TB, tr *Transport, addr string, n int) {
	t.Helper()
	got, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{N: n, Text: strconv.Itoa(n)})
	require.NoError(t, err)
	require.Equal(t, &Msg{N: n, Text: strconv.Itoa(n)}, got)
}

// result is what a done function was given.
type result struct {
	reply *Msg
	err   error
}

// begin starts a call and returns where its result will come.
func begin(t testing.TB, tr *Transport, addr, method string, args *Msg) (*Pending, <-chan result) {
	t.Helper()
	ch := make(chan result, 2) // room for a second, which would be wrong
	p, err := Start(tr, addr, method, args, func(m *Msg, err error) { ch <- result{m, err} })
	require.NoError(t, err)
	return p, ch
}

func await(t testing.TB, ch <-chan result) result {
	t.Helper()
	select {
	case r := <-ch:
		return r
	case <-time.After(patience):
		require.Fail(t, "no result")
		return result{}
	}
}

// closedByPeer waits until reading from c ends.
func closedByPeer(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1<<16)
	for {
		if _, err := c.Read(buf); err != nil {
			var ne net.Error
			require.False(t, errors.As(err, &ne) && ne.Timeout(), "the connection should be closed")
			return
		}
	}
}

package paths

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience is how long a test waits for what must come.
	patience = 30 * time.Second
	// silence is how long a test listens to what must not come. It can be too short
	// to notice, and then a test passes that should not.
	silence = 50 * time.Millisecond
)

func newNetwork(t *testing.T) *Network {
	t.Helper()
	n := New()
	t.Cleanup(n.Close)
	return n
}

// party is somebody who listens.
type party struct {
	t    *testing.T
	name string
	net  *Network
	l    net.Listener
}

func newParty(t *testing.T, n *Network, name string) *party {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	n.Target(name, l.Addr().String())
	return &party{t, name, n, l}
}

// dial opens a connection to another party.
func (p *party) dial(to *party) *net.TCPConn {
	p.t.Helper()
	c, err := p.net.Dialer(p.name)(p.t.Context(), "tcp", to.name)
	require.NoError(p.t, err)
	return p.kept(c)
}

// turnedAway returns the error of a connection to another party that ends before
// anything passes: that of opening it, if it ends so soon.
func (p *party) turnedAway(to *party) error {
	p.t.Helper()
	c, err := p.net.Dialer(p.name)(p.t.Context(), "tcp", to.name)
	if err != nil {
		return err
	}
	return hearEnd(p.t, p.kept(c))
}

func (p *party) accept() *net.TCPConn {
	p.t.Helper()
	require.NoError(p.t, p.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	c, err := p.l.Accept()
	require.NoError(p.t, err)
	return p.kept(c)
}

func (p *party) kept(c net.Conn) *net.TCPConn {
	p.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// nobodyComes checks that no connection arrives.
func (p *party) nobodyComes() {
	p.t.Helper()
	require.NoError(p.t, p.l.(*net.TCPListener).SetDeadline(time.Now().Add(silence)))
	_, err := p.l.Accept()
	require.ErrorIs(p.t, err, os.ErrDeadlineExceeded)
}

// pair returns two parties, and both ends of a connection that the first opened to
// the second, over which something has passed.
func pair(t *testing.T, n *Network) (a, b *party, ac, bc *net.TCPConn) {
	t.Helper()
	a, b = newParty(t, n, "a"), newParty(t, n, "b")
	ac = a.dial(b)
	bc = b.accept()
	say(t, ac, "hello")
	hear(t, bc, "hello")
	return a, b, ac, bc
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := c.Write([]byte(text))
	require.NoError(t, err)
}

func hear(t *testing.T, c net.Conn, text string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, len(text))
	n, err := io.ReadFull(c, got)
	require.NoError(t, err, "heard %q", got[:n])
	require.Equal(t, text, string(got))
}

// hearNothing checks that nothing arrives, and no end either.
func hearNothing(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(silence)))
	n, err := c.Read(make([]byte, 1))
	require.Zero(t, n)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// hearEnd returns the error that a connection ends with.
func hearEnd(t *testing.T, c net.Conn) error {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	n, err := c.Read(make([]byte, 1))
	require.Zero(t, n)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	return err
}

func TestBytesAndTheirEndPass(t *testing.T) {
	_, _, ac, bc := pair(t, newNetwork(t))
	say(t, bc, "answer")
	hear(t, ac, "answer")
	require.NoError(t, ac.CloseWrite())
	require.Equal(t, io.EOF, hearEnd(t, bc))
	say(t, bc, "after the end")
	require.NoError(t, bc.Close())
	hear(t, ac, "after the end")
	require.Equal(t, io.EOF, hearEnd(t, ac))
}

// A cut is of one direction, whoever opened the connection.
func TestCutIsOneWay(t *testing.T) {
	n := newNetwork(t)
	a, b, ac, bc := pair(t, n)
	bd := b.dial(a)
	ad := a.accept()
	say(t, bd, "hello")
	hear(t, ad, "hello")

	n.Cut("a", "b")
	say(t, ac, "request")
	say(t, ad, "answer")
	hearNothing(t, bc)
	hearNothing(t, bd)
	say(t, bc, "still")
	hear(t, ac, "still")
	say(t, bd, "still")
	hear(t, ad, "still")

	n.Cut("a", "b")
	n.Heal("a", "b")
	hear(t, bc, "request")
	hear(t, bd, "answer")
	n.Heal("a", "b")
	say(t, ac, "on")
	hear(t, bc, "on")
}

func TestOtherPathsAreNotCut(t *testing.T) {
	n := newNetwork(t)
	a, _, ac, bc := pair(t, n)
	c := newParty(t, n, "c")
	n.Cut("a", "b")
	n.Cut("b", "c")
	conn := a.dial(c)
	say(t, conn, "hello")
	hear(t, c.accept(), "hello")
	say(t, ac, "held")
	hearNothing(t, bc)
	n.HealAll()
	hear(t, bc, "held")
}

func TestConnectionsOverACutPathHang(t *testing.T) {
	for _, cut := range []direction{{"a", "b"}, {"b", "a"}} {
		n := newNetwork(t)
		a, b := newParty(t, n, "a"), newParty(t, n, "b")
		n.Cut(cut.from, cut.to)
		conn := a.dial(b)
		say(t, conn, "hello")
		b.nobodyComes()
		hearNothing(t, conn)
		n.Heal(cut.from, cut.to)
		hear(t, b.accept(), "hello")
	}
}

// What is held is bounded: whoever sends into a cut has to wait in the end.
func TestSendersIntoACutWait(t *testing.T) {
	n := newNetwork(t)
	_, _, ac, bc := pair(t, n)
	n.Cut("a", "b")
	require.NoError(t, ac.SetWriteBuffer(64<<10))
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	sent := 0
	for sent < 1<<30 {
		require.NoError(t, ac.SetWriteDeadline(time.Now().Add(silence)))
		wrote, err := ac.Write(chunk)
		sent += wrote
		if err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			break
		}
	}
	require.Less(t, sent, 64<<20)
	hearNothing(t, bc)
	n.Heal("a", "b")
	require.NoError(t, ac.CloseWrite())
	require.NoError(t, bc.SetReadDeadline(time.Now().Add(patience)))
	got, err := io.Copy(io.Discard, bc)
	require.NoError(t, err)
	require.EqualValues(t, sent, got, "every byte that was held")
}

func TestResetBreaksBothEnds(t *testing.T) {
	n := newNetwork(t)
	a, b, ac, bc := pair(t, n)
	bd := b.dial(a)
	ad := a.accept()
	say(t, bd, "hello")
	hear(t, ad, "hello")
	c := newParty(t, n, "c")
	cd := c.dial(b)
	say(t, cd, "hello")
	bc2 := b.accept()
	hear(t, bc2, "hello")

	n.Cut("a", "b")
	say(t, ac, "lost")
	require.Equal(t, 2, n.Reset("a", "b"))
	for _, conn := range []net.Conn{ac, bc, ad, bd} {
		require.ErrorIs(t, hearEnd(t, conn), syscall.ECONNRESET)
	}
	n.Heal("a", "b")
	say(t, cd, "unharmed")
	hear(t, bc2, "unharmed")
	require.Eventually(t, func() bool { return n.Reset("b", "a") == 0 }, patience, time.Millisecond, "what is broken is forgotten")
	require.Zero(t, n.Reset("a", "nobody"))
}

func TestConnectionThatHangsCanBeReset(t *testing.T) {
	n := newNetwork(t)
	a, b := newParty(t, n, "a"), newParty(t, n, "b")
	n.Cut("a", "b")
	conn := a.dial(b)
	require.Eventually(t, func() bool { return n.Reset("a", "b") == 1 }, patience, time.Millisecond)
	require.ErrorIs(t, hearEnd(t, conn), syscall.ECONNRESET)
	n.Heal("a", "b")
	b.nobodyComes()
}

// That a party is gone, in whatever way, is word of it, which a cut stops.
func TestTheEndOfAPartyPassesAsItsBytesDo(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*net.TCPConn)
		want error
	}{
		{"closed", func(c *net.TCPConn) { c.Close() }, io.EOF},
		{"reset", breakOff, syscall.ECONNRESET},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNetwork(t)
			_, _, ac, bc := pair(t, n)
			n.Cut("a", "b")
			tc.end(ac)
			hearNothing(t, bc)
			n.Heal("a", "b")
			require.ErrorIs(t, hearEnd(t, bc), tc.want)

			a, b := &party{t, "a", n, nil}, newParty(t, n, "b")
			ac = a.dial(b)
			bc = b.accept()
			n.Cut("b", "a")
			tc.end(bc)
			hearNothing(t, ac)
			say(t, ac, "to nobody") // who would say so, if that could pass
			hearNothing(t, ac)
			n.Heal("b", "a")
			err := hearEnd(t, ac)
			require.True(t, errors.Is(err, tc.want) || errors.Is(err, syscall.ECONNRESET), "%v", err)
		})
	}
}

func TestTargetsMove(t *testing.T) {
	n := newNetwork(t)
	a, b := newParty(t, n, "a"), newParty(t, n, "b")
	via, err := n.Path("a", "b")
	require.NoError(t, err)
	conn := a.dial(b)
	say(t, conn, "old")
	old := b.accept()
	hear(t, old, "old")

	n.Target("b", "")
	require.ErrorIs(t, a.turnedAway(b), syscall.ECONNRESET, "nobody is there")
	b.l.Close()
	n.Target("b", b.l.Addr().String())
	require.ErrorIs(t, a.turnedAway(b), syscall.ECONNRESET, "nobody listens there")

	moved := newParty(t, n, "b")
	conn2 := a.dial(moved)
	say(t, conn2, "new")
	hear(t, moved.accept(), "new")
	again, err := n.Path("a", "b")
	require.NoError(t, err)
	require.Equal(t, via, again)
	say(t, conn, "and what is open stays")
	hear(t, old, "and what is open stays")
}

func TestAClosedNetwork(t *testing.T) {
	n := New()
	a, b, ac, bc := pair(t, n)
	n.Cut("a", "b")
	say(t, ac, "held")
	hung := a.dial(b)
	n.Close()
	n.Close()
	for _, conn := range []net.Conn{ac, bc} {
		require.ErrorIs(t, hearEnd(t, conn), syscall.ECONNRESET)
	}
	require.Error(t, hearEnd(t, hung))
	_, err := n.Path("a", "b")
	require.ErrorIs(t, err, ErrClosed)
	_, err = n.Path("a", "c")
	require.ErrorContains(t, err, "path from a to c")
	_, err = n.Dialer("a")(t.Context(), "tcp", "b")
	require.ErrorIs(t, err, ErrClosed)
	n.Cut("a", "b")
	n.HealAll()
	n.Target("a", "")
}

func TestAPathThatIsFullLetsConnectionsWait(t *testing.T) {
	n := newNetwork(t)
	a, b := newParty(t, n, "a"), newParty(t, n, "b")
	var conns []*net.TCPConn
	for range connsMax {
		conns = append(conns, a.dial(b))
	}
	for range connsMax {
		b.accept()
	}
	more := a.dial(b)
	say(t, more, "waits")
	b.nobodyComes()
	breakOff(conns[0])
	hear(t, b.accept(), "waits")
}

// However paths are cut, healed and moved, a stream is a stream: what arrives is
// what was sent, from its beginning on, and all of it if nothing was reset.
func TestStreamsSurviveCuts(t *testing.T) {
	n := newNetwork(t)
	a, b := newParty(t, n, "a"), newParty(t, n, "b")
	const streams, size = 4, 1 << 20
	ctx, stop := context.WithCancel(t.Context())
	var echoes, cuts sync.WaitGroup
	defer cuts.Wait()
	defer stop()
	cuts.Go(func() { cutAndHeal(ctx, n) })
	for range streams {
		ac := a.dial(b)
		bc := b.accept() // the first to come need not be the one just dialled, which does not matter
		echoes.Go(func() {
			_, err := io.Copy(bc, bc)
			assert.NoError(t, err)
			assert.NoError(t, bc.CloseWrite())
		})
		content := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(content)
		echoes.Go(func() {
			_, err := ac.Write(content)
			assert.NoError(t, err)
			assert.NoError(t, ac.CloseWrite())
		})
		echoes.Go(func() {
			got, err := io.ReadAll(ac)
			assert.NoError(t, err)
			assert.True(t, bytes.Equal(content, got), "%d bytes of %d", len(got), len(content))
		})
	}
	echoes.Wait()
}

// cutAndHeal cuts and heals paths until the context ends, and leaves them whole.
func cutAndHeal(ctx context.Context, n *Network) {
	rng := rand.New(rand.NewPCG(1, 1))
	defer n.HealAll()
	for ctx.Err() == nil {
		from, to := "a", "b"
		if rng.IntN(2) == 0 {
			from, to = to, from
		}
		if rng.IntN(2) == 0 {
			n.Cut(from, to)
		} else {
			n.Heal(from, to)
		}
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
}

// Resets at any moment lose connections, and nothing else.
func TestNothingIsLeftOfWhatWasReset(t *testing.T) {
	n := newNetwork(t)
	b := newParty(t, n, "b")
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer b.l.Close()
	defer stop()
	others.Go(func() { cutAndHeal(ctx, n) })
	others.Go(func() {
		for ctx.Err() == nil {
			n.Reset("a", "b")
			time.Sleep(time.Millisecond)
		}
	})
	others.Go(func() {
		for {
			c, err := b.l.Accept()
			if err != nil {
				return
			}
			others.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
	for range 200 {
		c, err := n.Dialer("a")(t.Context(), "tcp", "b")
		if err != nil {
			require.ErrorIs(t, err, syscall.ECONNRESET)
			continue
		}
		sent, _ := c.Write(bytes.Repeat([]byte("x"), 10_000))
		c.(*net.TCPConn).CloseWrite()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		got, err := io.ReadAll(c)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "sent %d, got %d", sent, len(got))
		require.LessOrEqual(t, len(got), sent)
		c.Close()
	}
}

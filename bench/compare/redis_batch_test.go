package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/bench"
)

// pretender is a server that speaks as much of Redis's protocol as is needed, and has
// as many replicas as it is told.
type pretender struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu       sync.Mutex
	replicas int
	data     map[string]string
	commands []string // in order
}

func startPretender(t *testing.T) *pretender {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &pretender{listener: l, replicas: 1, data: make(map[string]string)}
	p.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(t, conn) })
		}
	})
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		p.serving.Wait()
	})
	return p
}

func (p *pretender) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		if _, err := r.Peek(1); errors.Is(err, io.EOF) {
			return
		}
		words, err := command(r)
		if !assert.NoError(t, err) {
			return
		}
		if _, err := io.WriteString(conn, p.answer(words)); !assert.NoError(t, err) {
			return
		}
	}
}

// command reads one request: an array of strings.
func command(r *bufio.Reader) ([]string, error) {
	var n int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		var size int
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

func (p *pretender) answer(words []string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands = append(p.commands, strings.Join(words[:min(2, len(words))], " "))
	switch words[0] {
	case "SET":
		p.data[words[1]] = words[2]
		return "+OK\r\n"
	case "GET":
		value, ok := p.data[words[1]]
		if !ok {
			return "$-1\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
	case "WAIT":
		return fmt.Sprintf(":%d\r\n", p.replicas)
	}
	return "-ERR unknown\r\n"
}

// heard returns what it was told, in order.
func (p *pretender) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.commands)
}

// Every way of using Redis keeps what it is told, and takes a write that no replica has
// for a failure.
func TestRedisClients(t *testing.T) {
	for name, system := range map[string]func(addr string) bench.System{
		"at once": func(addr string) bench.System { return &redisSystem{addr: addr, write: setWait} },
		"trips":   func(addr string) bench.System { return &redisSystem{addr: addr, write: setThenWait} },
		"batched": func(addr string) bench.System { return newRedisBatched("", addr, true) },
	} {
		t.Run(name, func(t *testing.T) {
			p := startPretender(t)
			s := system(p.listener.Addr().String())
			c, err := s.Open(t.Context())
			require.NoError(t, err)
			defer func() { assert.NoError(t, c.Close()) }()

			_, ok, err := c.Get(t.Context(), "key")
			require.NoError(t, err)
			assert.False(t, ok)
			require.NoError(t, c.Put(t.Context(), "key", "value"))
			value, ok, err := c.Get(t.Context(), "key")
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, "value", value)
			assert.Equal(t, []string{"GET key", "SET key", "WAIT 1", "GET key"}, p.heard())

			p.mu.Lock()
			p.replicas = 0
			p.mu.Unlock()
			assert.ErrorIs(t, c.Put(t.Context(), "key", "other"), errNotReplicated)
		})
	}
}

// Clients that share a connection get each its own answer, and one WAIT serves many.
func TestRedisBatches(t *testing.T) {
	p := startPretender(t)
	s := newRedisBatched("", p.listener.Addr().String(), true)
	const clients, writes = 16, 50
	var wg sync.WaitGroup
	for i := range clients {
		c, err := s.Open(t.Context())
		require.NoError(t, err)
		wg.Go(func() {
			key := fmt.Sprint("key ", i)
			for j := range writes {
				value := fmt.Sprint(i, " ", j)
				assert.NoError(t, c.Put(t.Context(), key, value))
				got, ok, err := c.Get(t.Context(), key)
				assert.NoError(t, err)
				assert.True(t, ok)
				assert.Equal(t, value, got)
			}
			assert.NoError(t, c.Close())
		})
	}
	wg.Wait()
	// Batches in which a client has its GET have no WAIT of its own; of those with SETs
	// each has exactly one, at its end.
	sets, unwaited := 0, 0
	for _, c := range p.heard() {
		switch {
		case strings.HasPrefix(c, "SET"):
			sets++
			unwaited++
		case strings.HasPrefix(c, "WAIT"):
			assert.Positive(t, unwaited, "a WAIT that nothing waits for")
			unwaited = 0
		}
	}
	assert.Equal(t, clients*writes, sets)
	assert.Zero(t, unwaited, "a SET that no WAIT came after")
	assert.Zero(t, s.conns.users, "the connection is closed with its last user")
}

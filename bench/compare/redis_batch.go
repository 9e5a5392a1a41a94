package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gomodule/redigo/redis"

	"github.com/tandemkv/tandem/internal/bench"
)

// redisBatched is Redis with one connection for all clients, as far as that can be:
// what is asked for while a batch is under way makes up the next one. One WAIT covers
// all SETs of a batch, since it waits for everything that its connection wrote before.
// No client library of Redis does that; it is the best that somebody could build.
type redisBatched struct {
	name  string
	conns sharing[*redisBatcher]
}

// newRedisBatched returns the server at an address; wait says whether writes wait for
// the replica.
func newRedisBatched(name, addr string, wait bool) *redisBatched {
	dial := func() (*redisBatcher, error) {
		conn, err := dialRedis(addr)
		if err != nil {
			return nil, err
		}
		return newRedisBatcher(conn, wait), nil
	}
	return &redisBatched{name: name, conns: sharing[*redisBatcher]{dial: dial, shared: true}}
}

func (s *redisBatched) Name() string { return s.name }

// Open returns a client that shares its connection with all others that are open.
func (s *redisBatched) Open(context.Context) (bench.Client, error) {
	batcher, err := s.conns.open()
	if err != nil {
		return nil, err
	}
	return &batchedClient{system: s, batcher: batcher, done: make(chan struct{}, 1)}, nil
}

// batchedClient is one client of a shared connection, used by one goroutine at a time.
// It is the request, too, since it has one at a time.
type batchedClient struct {
	system  *redisBatched
	batcher *redisBatcher

	put        bool
	key, value string
	reply      any
	err        error
	done       chan struct{} // gets one for each request
}

func (c *batchedClient) Put(_ context.Context, key, value string) error {
	c.put, c.key, c.value = true, key, value
	c.batcher.do(c)
	return c.err
}

func (c *batchedClient) Get(_ context.Context, key string) (string, bool, error) {
	c.put, c.key = false, key
	c.batcher.do(c)
	return found(c.reply, c.err)
}

func (c *batchedClient) Close() error { return c.system.conns.release(c.batcher) }

// redisBatcher has a connection, and a goroutine that serves it.
type redisBatcher struct {
	conn redis.Conn
	wait bool

	mu      sync.Mutex
	arrived *sync.Cond // some are waiting, or it closes
	waiting []*batchedClient
	closing bool
	closed  chan struct{}
}

func newRedisBatcher(conn redis.Conn, wait bool) *redisBatcher {
	b := &redisBatcher{conn: conn, wait: wait, closed: make(chan struct{})}
	b.arrived = sync.NewCond(&b.mu)
	go b.serve()
	return b
}

// do has a request carried out, and returns when it is answered.
func (b *redisBatcher) do(c *batchedClient) {
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()
	b.arrived.Signal()
	<-c.done
}

// serve carries out batches until the batcher closes.
func (b *redisBatcher) serve() {
	defer close(b.closed)
	var batch []*batchedClient
	for {
		b.mu.Lock()
		for len(b.waiting) == 0 && !b.closing {
			b.arrived.Wait()
		}
		if len(b.waiting) == 0 {
			b.mu.Unlock()
			return
		}
		batch, b.waiting = b.waiting, batch[:0]
		b.mu.Unlock()
		b.carryOut(batch)
	}
}

// carryOut sends a batch and takes its answers.
func (b *redisBatcher) carryOut(batch []*batchedClient) {
	puts := 0
	var sent error
	for _, c := range batch {
		if c.put {
			puts++
			sent = errors.Join(sent, b.conn.Send("SET", c.key, c.value))
		} else {
			sent = errors.Join(sent, b.conn.Send("GET", c.key))
		}
	}
	wait := b.wait && puts > 0
	if wait {
		sent = errors.Join(sent, b.conn.Send("WAIT", 1, redisTimeout.Milliseconds()))
	}
	sent = errors.Join(sent, b.conn.Flush())
	for _, c := range batch {
		if c.reply, c.err = nil, sent; sent == nil {
			c.reply, c.err = b.conn.Receive()
		}
	}
	var waited error
	if wait && sent == nil {
		waited = replicated(redis.Int(b.conn.Receive()))
	}
	for _, c := range batch {
		if c.put && c.err == nil {
			c.err = waited
		}
		c.done <- struct{}{}
	}
}

// Close ends the goroutine and closes the connection. No request may be under way.
func (b *redisBatcher) Close() error {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	b.arrived.Signal()
	<-b.closed
	if err := b.conn.Close(); err != nil {
		return fmt.Errorf("close the shared connection to redis: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/tandemkv/tandem/internal/bench"
)

// redisTimeout bounds the wait for an answer, and WAIT's for the replica.
const redisTimeout = 5 * time.Second

// dialRedis connects to a server. Of the client libraries the chosen one costs the
// client least, and client and servers share the machine's processors.
func dialRedis(addr string) (redis.Conn, error) {
	conn, err := redis.Dial("tcp", addr, redis.DialConnectTimeout(redisTimeout),
		redis.DialReadTimeout(2*redisTimeout), redis.DialWriteTimeout(redisTimeout))
	if err != nil {
		return nil, fmt.Errorf("dial redis at %s: %w", addr, err)
	}
	return conn, nil
}

// redisWrite is how a client writes.
type redisWrite int

const (
	setAlone    redisWrite = iota // SET: acknowledged before the replica has it
	setWait                       // SET and WAIT 1 sent at once
	setThenWait                   // SET, and when it is answered, WAIT 1
)

// redisSystem is Redis with one connection for each client. WAIT blocks a connection,
// so that clients cannot share one.
type redisSystem struct {
	name  string
	addr  string
	write redisWrite
}

func (s *redisSystem) Name() string { return s.name }

// Open returns a client with a connection of its own.
func (s *redisSystem) Open(context.Context) (bench.Client, error) {
	conn, err := dialRedis(s.addr)
	if err != nil {
		return nil, err
	}
	return &redisClient{conn: conn, write: s.write}, nil
}

// redisClient is one client of Redis, used by one goroutine at a time.
type redisClient struct {
	conn  redis.Conn
	write redisWrite
}

// errNotReplicated is a WAIT that ended without the replica.
var errNotReplicated = errors.New("the replica did not have it in time")

func (c *redisClient) Put(_ context.Context, key, value string) error {
	switch c.write {
	case setAlone:
		_, err := c.conn.Do("SET", key, value)
		return err
	case setThenWait:
		if _, err := c.conn.Do("SET", key, value); err != nil {
			return err
		}
		return replicated(redis.Int(c.conn.Do("WAIT", 1, redisTimeout.Milliseconds())))
	}
	return errors.Join(
		c.conn.Send("SET", key, value),
		c.conn.Send("WAIT", 1, redisTimeout.Milliseconds()),
		c.conn.Flush(),
		c.answers())
}

// answers takes the answers to SET and WAIT.
func (c *redisClient) answers() error {
	if _, err := c.conn.Receive(); err != nil {
		return err
	}
	return replicated(redis.Int(c.conn.Receive()))
}

// replicated returns an error unless WAIT found a replica that has everything.
func replicated(replicas int, err error) error {
	if err == nil && replicas < 1 {
		err = errNotReplicated
	}
	return err
}

func (c *redisClient) Get(_ context.Context, key string) (string, bool, error) {
	return found(c.conn.Do("GET", key))
}

// found tells an absent key from an error.
func found(reply any, err error) (string, bool, error) {
	value, err := redis.String(reply, err)
	if errors.Is(err, redis.ErrNil) {
		return "", false, nil
	}
	return value, err == nil, err
}

func (c *redisClient) Close() error { return c.conn.Close() }

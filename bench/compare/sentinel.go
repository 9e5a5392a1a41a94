package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/pause"
)

// sentinelMaster is what the sentinels call the group.
const sentinelMaster = "compared"

// sentinelFile is a sentinel's configuration. The failover timeout, which does nothing
// for a failover that succeeds, is short so that trials need not be far apart.
const sentinelFile = `port %d
bind 127.0.0.1
dir %s
sentinel monitor %s 127.0.0.1 %d 2
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 2000
sentinel parallel-syncs %[3]s 2
`

// startSentinels starts a primary with two replicas, and three sentinels that watch
// them. With one replica alone no write that waits for a replica would go on after a
// failover.
func startSentinels(ctx context.Context, n *nursery) (*redisGroup, error) {
	g, err := startRedis(ctx, n, "watched", 2)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	for i, port := range ports {
		if err != nil {
			break
		}
		err = g.startSentinel(&redisServer{name: fmt.Sprintf("sentinel-%d", 1+i), port: port})
	}
	if err == nil {
		err = g.watched(ctx)
	}
	if err != nil {
		g.kill()
		return nil, err
	}
	return g, nil
}

func (g *redisGroup) startSentinel(s *redisServer) error {
	dir, err := g.nursery.place(s.name)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf(sentinelFile, s.port, dir, sentinelMaster, g.servers[0].port)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", s.name, err)
	}
	g.sentinels = append(g.sentinels, s)
	s.child, err = g.nursery.start(s.name, "redis-sentinel", file)
	return err
}

// watched waits until each sentinel knows the primary and that it is up, both replicas,
// and the other sentinels: before that it would not fail over.
func (g *redisGroup) watched(ctx context.Context) error {
	return await(ctx, "the sentinels to know all servers", func(context.Context) error {
		primary, err := g.primary()
		if err != nil {
			return err
		}
		for _, s := range g.sentinels {
			master, err := sentinelView(s.addr())
			if err != nil {
				return err
			}
			for key, want := range map[string]string{
				"port": strconv.Itoa(primary.port), "flags": "master",
				"num-slaves": strconv.Itoa(len(g.servers) - 1), "num-other-sentinels": strconv.Itoa(len(g.sentinels) - 1),
			} {
				if master[key] != want {
					return fmt.Errorf("%s: %s is %q, not %q", s.name, key, master[key], want)
				}
			}
		}
		return nil
	}, g.children()...)
}

// sentinelView returns what a sentinel knows of the primary.
func sentinelView(addr string) (map[string]string, error) {
	conn, err := dialRedis(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return redis.StringMap(conn.Do("SENTINEL", "MASTER", sentinelMaster))
}

// sentinelSystem is the watched group as its clients see it: each has a connection to
// the primary that the sentinels name, writes with SET and WAIT 1, and tries again
// until a write is replicated.
type sentinelSystem struct{ group *redisGroup }

func (s *sentinelSystem) Name() string { return "Redis with Sentinel" }

// Open returns a client that looks for the primary at its first operation.
func (s *sentinelSystem) Open(context.Context) (bench.Client, error) {
	return &sentinelClient{group: s.group}, nil
}

// sentinelClient is one client, used by one goroutine at a time.
type sentinelClient struct {
	group *redisGroup
	conn  redis.Conn // nil: the primary is to be looked for
}

const (
	sentinelAttempt = 500 * time.Millisecond // how long one attempt may take
	retryPause      = 5 * time.Millisecond   // between two
)

func (c *sentinelClient) Put(ctx context.Context, key, value string) error {
	return c.retry(ctx, func() error {
		return errors.Join(
			c.conn.Send("SET", key, value),
			c.conn.Send("WAIT", 1, sentinelAttempt.Milliseconds()/2),
			c.conn.Flush(),
			(&redisClient{conn: c.conn}).answers())
	})
}

func (c *sentinelClient) Get(ctx context.Context, key string) (value string, ok bool, err error) {
	err = c.retry(ctx, func() error {
		value, ok, err = found(c.conn.Do("GET", key))
		return err
	})
	return value, ok, err
}

// retry tries until there is no error, or the context ends. A write that is tried again
// writes the same value, and its connection is closed first, so that it is one write.
func (c *sentinelClient) retry(ctx context.Context, try func() error) error {
	for {
		err := c.connect()
		if err == nil {
			if err = try(); err == nil {
				return nil
			}
			if !errors.Is(err, errNotReplicated) {
				err = errors.Join(err, c.Close())
			}
		}
		if pause.For(ctx, retryPause) != nil {
			return err
		}
	}
}

// connect has a connection to the primary, if there is none.
func (c *sentinelClient) connect() error {
	if c.conn != nil {
		return nil
	}
	var errs []error
	for _, s := range c.group.sentinels {
		addr, err := sentinelPrimary(s.addr())
		if err == nil {
			c.conn, err = dialPrimary(addr)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// sentinelPrimary asks a sentinel for the primary's address.
func sentinelPrimary(sentinel string) (string, error) {
	conn, err := dialShort(sentinel)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	addr, err := redis.Strings(conn.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelMaster))
	if err != nil {
		return "", fmt.Errorf("ask a sentinel for the primary: %w", err)
	}
	if len(addr) != 2 {
		return "", fmt.Errorf("the sentinel's answer has %d parts", len(addr))
	}
	return net.JoinHostPort(addr[0], addr[1]), nil
}

// dialPrimary connects to a server, and makes sure that it takes itself for the primary.
func dialPrimary(addr string) (redis.Conn, error) {
	conn, err := dialShort(addr)
	if err != nil {
		return nil, err
	}
	role, err := redis.Values(conn.Do("ROLE"))
	if err == nil {
		var name string
		if name, err = redis.String(role[0], nil); err == nil && name != "master" {
			err = fmt.Errorf("the server at %s is a %s", addr, name)
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// dialShort connects for attempts that must not take long.
func dialShort(addr string) (redis.Conn, error) {
	return redis.Dial("tcp", addr, redis.DialConnectTimeout(sentinelAttempt),
		redis.DialReadTimeout(sentinelAttempt), redis.DialWriteTimeout(sentinelAttempt))
}

// Close closes the connection, if there is one.
func (c *sentinelClient) Close() error {
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"path/filepath"
	"sync"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/cluster"
)

// echoPair is the yardstick: what net/rpc alone does with such requests. One server
// answers by itself (one hop); another one forwards to it, first (two hops).
type echoPair struct{ last, first *cluster.Process }

// startEcho starts both servers, each a process of this program.
func startEcho(ctx context.Context, n *nursery, self string) (*echoPair, error) {
	start := func(name string, args ...string) (*cluster.Process, error) {
		return cluster.Start(ctx, cluster.Spec{
			Name: name, Argv: append([]string{self, echoCommand}, args...), Log: filepath.Join(n.dir, name+".log"),
		})
	}
	last, err := start("echo-last")
	if err != nil {
		return nil, err
	}
	first, err := start("echo-first", last.Ready().Addr)
	if err != nil {
		return nil, errors.Join(err, last.Kill())
	}
	return &echoPair{last: last, first: first}, nil
}

// kill ends both.
func (p *echoPair) kill() error { return errors.Join(p.first.Kill(), p.last.Kill()) }

// echoSystem is a server of an echoPair as its clients see it.
type echoSystem struct {
	name   string
	addr   string
	shared bool // one connection for all clients

	mu    sync.Mutex
	conn  *rpc.Client // if shared; nil: nobody uses it
	users int
}

func (s *echoSystem) Name() string { return s.name }

// Open returns a client.
func (s *echoSystem) Open(context.Context) (bench.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.conn
	if conn == nil {
		var err error
		if conn, err = rpc.Dial("tcp", s.addr); err != nil {
			return nil, fmt.Errorf("dial the echo at %s: %w", s.addr, err)
		}
	}
	if s.shared {
		s.conn = conn
		s.users++
	}
	return &echoClient{system: s, conn: conn}, nil
}

// release closes a client's connection, if no other uses it.
func (s *echoSystem) release(conn *rpc.Client) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared {
		if s.users--; s.users > 0 {
			return nil
		}
		s.conn = nil
	}
	return conn.Close()
}

// echoClient is one client, used by one goroutine at a time.
type echoClient struct {
	system *echoSystem
	conn   *rpc.Client
}

func (c *echoClient) Put(_ context.Context, key, value string) error {
	return c.conn.Call("Echo.Put", &EchoPut{Key: key, Value: value}, &EchoDone{})
}

func (c *echoClient) Get(_ context.Context, key string) (string, bool, error) {
	var reply EchoGot
	err := c.conn.Call("Echo.Get", &EchoGet{Key: key}, &reply)
	return reply.Value, reply.OK, err
}

func (c *echoClient) Close() error { return c.system.release(c.conn) }

package main

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"path/filepath"

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
	name  string
	conns sharing[*rpc.Client]
}

// newEchoSystem returns the server at an address, with one connection for each client or
// one for all.
func newEchoSystem(name, addr string, shared bool) *echoSystem {
	dial := func() (*rpc.Client, error) {
		conn, err := rpc.Dial("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("dial the echo at %s: %w", addr, err)
		}
		return conn, nil
	}
	return &echoSystem{name: name, conns: sharing[*rpc.Client]{dial: dial, shared: shared}}
}

func (s *echoSystem) Name() string { return s.name }

// Open returns a client.
func (s *echoSystem) Open(context.Context) (bench.Client, error) {
	conn, err := s.conns.open()
	if err != nil {
		return nil, err
	}
	return &echoClient{system: s, conn: conn}, nil
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

func (c *echoClient) Close() error { return c.system.conns.release(c.conn) }

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
)

// redisServer is one Redis process. It keeps nothing on disk, as Tandem does.
type redisServer struct {
	name  string
	port  int
	child *child
}

func (s *redisServer) addr() string { return loopback(s.port) }

// redisGroup is a primary with replicas. Which server is the primary changes if there
// are sentinels.
type redisGroup struct {
	nursery   *nursery
	name      string
	servers   []*redisServer
	sentinels []*redisServer
}

// startRedis starts a primary and replicas, and returns when they are in sync.
func startRedis(ctx context.Context, n *nursery, name string, replicas int) (*redisGroup, error) {
	ports, err := freePorts(1 + replicas)
	if err != nil {
		return nil, err
	}
	g := &redisGroup{nursery: n, name: name}
	for i, port := range ports {
		s := &redisServer{name: fmt.Sprintf("%s-%d", name, 1+i), port: port}
		g.servers = append(g.servers, s)
		var args []string
		if i > 0 {
			args = []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(ports[0])}
		}
		if err := g.start(s, args...); err != nil {
			g.kill()
			return nil, err
		}
	}
	if err := g.inSync(ctx); err != nil {
		g.kill()
		return nil, err
	}
	return g, nil
}

// start starts a server's process. Apart from where it is, what it keeps on disk
// (nothing) and that it does not wait for more replicas before it sends its data, it
// is as Debian's package has it.
func (g *redisGroup) start(s *redisServer, args ...string) error {
	dir, err := g.nursery.place(s.name)
	if err != nil {
		return err
	}
	s.child, err = g.nursery.start(s.name, append([]string{"redis-server",
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no",
		"--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}, args...)...)
	return err
}

// inSync waits until one server is the primary of all others, and sends them all.
func (g *redisGroup) inSync(ctx context.Context) error {
	return await(ctx, g.name+" to be in sync", func(context.Context) error {
		primary, err := g.primary()
		if err != nil {
			return err
		}
		info, err := redisInfo(primary.addr(), "replication")
		if err != nil {
			return err
		}
		online := 0
		for key, value := range info {
			if strings.HasPrefix(key, "slave") && strings.Contains(value, "state=online") {
				online++
			}
		}
		if online < len(g.servers)-1 {
			return fmt.Errorf("%d of %d replicas are online", online, len(g.servers)-1)
		}
		return nil
	}, g.children()...)
}

// primary returns the server that takes itself for the primary, if it is the only one.
func (g *redisGroup) primary() (*redisServer, error) {
	var found *redisServer
	for _, s := range g.servers {
		info, err := redisInfo(s.addr(), "replication")
		if err != nil {
			return nil, err
		}
		if info["role"] != "master" {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("both %s and %s are primaries", found.name, s.name)
		}
		found = s
	}
	if found == nil {
		return nil, errors.New("there is no primary")
	}
	return found, nil
}

// addr returns where the first primary listens.
func (g *redisGroup) addr() string { return g.servers[0].addr() }

func (g *redisGroup) children() []*child {
	var all []*child
	for _, s := range g.servers {
		all = append(all, s.child)
	}
	for _, s := range g.sentinels {
		all = append(all, s.child)
	}
	return all
}

// kill ends all processes of the group.
func (g *redisGroup) kill() {
	for _, s := range append(g.sentinels, g.servers...) { // first who would react
		killAll(s.child)
	}
}

// redisInfo asks a server about itself.
func redisInfo(addr, section string) (map[string]string, error) {
	conn, err := dialRedis(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	text, err := redis.String(conn.Do("INFO", section))
	if err != nil {
		return nil, fmt.Errorf("ask %s about its %s: %w", addr, section, err)
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[key] = value
	}
	return info, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tandemkv/tandem/internal/bench"
	"github.com/tandemkv/tandem/internal/pause"
)

// etcdMember is one process of an etcd cluster.
type etcdMember struct {
	name  string
	port  int // for clients
	argv  []string
	child *child
}

func (m *etcdMember) endpoint() string { return loopback(m.port) }

// etcdCluster is three members that keep their log on the disk, as is etcd's way.
type etcdCluster struct {
	nursery *nursery
	members []*etcdMember
	asking  *clientv3.Client // for questions of this program
}

// startEtcd starts a cluster, and returns when it has a leader that serves. Apart from
// where it is, it is as Debian's package has it.
func startEtcd(ctx context.Context, n *nursery, name string) (*etcdCluster, error) {
	const members = 3
	ports, err := freePorts(2 * members)
	if err != nil {
		return nil, err
	}
	c := &etcdCluster{nursery: n}
	var initial, endpoints []string
	for i := range members {
		m := &etcdMember{name: fmt.Sprintf("%s-%d", name, 1+i), port: ports[2*i]}
		initial = append(initial, m.name+"=http://"+loopback(ports[2*i+1]))
		endpoints = append(endpoints, m.endpoint())
		c.members = append(c.members, m)
	}
	if c.asking, err = dialEtcd(endpoints...); err != nil {
		return nil, err
	}
	for i, m := range c.members {
		clients, peers := "http://"+m.endpoint(), "http://"+loopback(ports[2*i+1])
		dir, err := n.place(m.name)
		if err != nil {
			return nil, errors.Join(err, c.kill())
		}
		m.argv = []string{"etcd", "--name", m.name, "--data-dir", dir, "--log-level", "warn", "--logger", "zap",
			"--listen-client-urls", clients, "--advertise-client-urls", clients,
			"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
			"--initial-cluster", strings.Join(initial, ","), "--initial-cluster-token", name, "--initial-cluster-state", "new"}
		if err := c.start(m); err != nil {
			return nil, errors.Join(err, c.kill())
		}
	}
	if err := c.serves(ctx); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

// start starts a member, anew or again.
func (c *etcdCluster) start(m *etcdMember) (err error) {
	m.child, err = c.nursery.start(m.name, m.argv...)
	return err
}

// serves waits until all members follow one leader, and are not behind it.
func (c *etcdCluster) serves(ctx context.Context) error {
	return await(ctx, "etcd to serve", func(ctx context.Context) error {
		_, indexes, err := c.look(ctx)
		if err != nil {
			return err
		}
		for i, m := range c.members {
			if most := slices.Max(indexes); indexes[i]+etcdBehind < most {
				return fmt.Errorf("%s is at %d of %d", m.name, indexes[i], most)
			}
		}
		return nil
	}, c.children()...)
}

// etcdBehind is by how many entries of the log a member may be behind while there is
// no load: leader and followers are asked one after the other.
const etcdBehind = 10

// leader returns the member that all take for the leader.
func (c *etcdCluster) leader(ctx context.Context) (*etcdMember, error) {
	leader, _, err := c.look(ctx)
	return leader, err
}

// look returns the member that all take for the leader, and how far each one's log goes.
func (c *etcdCluster) look(ctx context.Context) (leader *etcdMember, indexes []uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var id uint64
	for _, m := range c.members {
		status, err := c.asking.Status(ctx, m.endpoint())
		if err != nil {
			return nil, nil, fmt.Errorf("ask %s for its status: %w", m.name, err)
		}
		if status.Leader == 0 || id != 0 && status.Leader != id {
			return nil, nil, fmt.Errorf("%s follows %x, others follow %x", m.name, status.Leader, id)
		}
		id = status.Leader
		if status.Header.MemberId == id {
			leader = m
		}
		indexes = append(indexes, status.RaftIndex)
	}
	if leader == nil {
		return nil, nil, fmt.Errorf("leader %x is no member", id)
	}
	return leader, indexes, nil
}

// endpoints returns the addresses of all members.
func (c *etcdCluster) endpoints() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.endpoint())
	}
	return all
}

func (c *etcdCluster) children() []*child {
	var all []*child
	for _, m := range c.members {
		if m.child != nil {
			all = append(all, m.child)
		}
	}
	return all
}

// kill ends all members.
func (c *etcdCluster) kill() error {
	killAll(c.children()...)
	return c.asking.Close()
}

// dialEtcd returns a client with one connection to each endpoint.
func dialEtcd(endpoints ...string) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("make a client of etcd: %w", err)
	}
	return client, nil
}

// etcdSystem is etcd as its clients see it.
type etcdSystem struct {
	name         string
	conns        sharing[*clientv3.Client]
	serializable bool // reads may be stale
	retry        bool // operations are tried until they succeed, as is wanted where members die
}

// newEtcdSystem returns the members at some endpoints, with one connection to each of
// them for each client, or one for all.
func newEtcdSystem(name string, shared bool, endpoints ...string) *etcdSystem {
	dial := func() (*clientv3.Client, error) { return dialEtcd(endpoints...) }
	return &etcdSystem{name: name, conns: sharing[*clientv3.Client]{dial: dial, shared: shared}}
}

func (s *etcdSystem) Name() string { return s.name }

// Open returns a client.
func (s *etcdSystem) Open(context.Context) (bench.Client, error) {
	conn, err := s.conns.open()
	if err != nil {
		return nil, err
	}
	return &etcdClient{system: s, conn: conn}, nil
}

// etcdClient is one client, used by one goroutine at a time.
type etcdClient struct {
	system *etcdSystem
	conn   *clientv3.Client
}

// etcdAttempt is how long one attempt may take if there is another.
const etcdAttempt = 500 * time.Millisecond

func (c *etcdClient) Put(ctx context.Context, key, value string) error {
	return c.try(ctx, func(ctx context.Context) error {
		_, err := c.conn.Put(ctx, key, value)
		return err
	})
}

func (c *etcdClient) Get(ctx context.Context, key string) (value string, ok bool, err error) {
	var opts []clientv3.OpOption
	if c.system.serializable {
		opts = append(opts, clientv3.WithSerializable())
	}
	err = c.try(ctx, func(ctx context.Context) error {
		reply, err := c.conn.Get(ctx, key, opts...)
		if err == nil && len(reply.Kvs) > 0 {
			value, ok = string(reply.Kvs[0].Value), true
		}
		return err
	})
	return value, ok, err
}

// try carries out an operation, several times if need be. Attempts of a write write
// the same value; an earlier one whose outcome is not known stands before it in the log.
func (c *etcdClient) try(ctx context.Context, do func(context.Context) error) error {
	if !c.system.retry {
		return do(ctx)
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, etcdAttempt)
		err := do(attempt)
		cancel()
		if err == nil || pause.For(ctx, retryPause) != nil {
			return err
		}
	}
}

func (c *etcdClient) Close() error { return c.system.conns.release(c.conn) }

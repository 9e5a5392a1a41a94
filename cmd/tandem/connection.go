package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// defaultMonitor is where the view service is if nobody says where.
const defaultMonitor = "127.0.0.1:7000"

// defaultMaxValue is the largest value unless somebody says otherwise.
const defaultMaxValue byteSize = 16 << 20

// dialFunc opens a connection.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// routes are ways around: addresses that are reached by dialling another.
type routes struct{ list []string }

// addFlags adds the flag.
func (r *routes) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&r.list, "route", nil,
		"a way around, as in `TO=VIA`: VIA is dialled wherever TO is meant, as for a tunnel; may be repeated")
}

// dialer returns a function that dials as the routes say, nil if there are none.
func (r *routes) dialer() (dialFunc, error) {
	if len(r.list) == 0 {
		return nil, nil
	}
	via := make(map[string]string)
	for _, route := range r.list {
		to, by, ok := strings.Cut(route, "=")
		if !ok || to == "" || by == "" {
			return nil, usageErrorf("--route %q: must be two addresses, as in 10.0.0.1:7000=127.0.0.1:9000", route)
		}
		for _, addr := range []string{to, by} {
			if err := checkDialled("--route", addr); err != nil {
				return nil, err
			}
		}
		if _, twice := via[to]; twice {
			return nil, usageErrorf("--route %q: there is a route to %s already", route, to)
		}
		via[to] = by
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if by, ok := via[addr]; ok {
			network, addr = networkOf(by), by
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}, nil
}

// networkOf returns the network of an address: one with a slash is the path of a
// Unix socket.
func networkOf(addr string) string {
	if strings.Contains(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// connection is what commands have in common that ask something of a cluster.
type connection struct {
	monitor  string
	timeout  time.Duration
	maxValue byteSize
	routes   routes
}

// addFlags adds the flags.
func (c *connection) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.monitor, "monitor", defaultMonitor, "`address` of the view service, or several separated by commas")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to try; 0 for ever")
	c.maxValue = defaultMaxValue
	cmd.Flags().Var(&c.maxValue, "max-value", "largest value to send or take, that of the servers")
	c.routes.addFlags(cmd)
}

// check returns an error if the flags make no sense.
func (c *connection) check() error {
	if err := checkAddresses("--monitor", c.monitor); err != nil {
		return err
	}
	if c.timeout < 0 {
		return usageErrorf("--timeout %v: must not be negative", c.timeout)
	}
	if c.maxValue <= 0 {
		return usageErrorf("--max-value %s: must be more than nothing", &c.maxValue)
	}
	_, err := c.routes.dialer()
	return err
}

// client returns a client of the cluster, to be closed. It calls nothing yet.
func (c *connection) client() (*kvservice.KVClient, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	return kvservice.MakeKVClient(c.monitor, opts...), nil
}

// options are those of everything from package kvservice that the flags concern.
func (c *connection) options() ([]kvservice.Option, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	dial, err := c.routes.dialer()
	if err != nil {
		return nil, err
	}
	return []kvservice.Option{
		kvservice.WithLimits(kvservice.Limits{MaxValue: int(c.maxValue)}),
		kvservice.WithDialer(dial),
	}, nil
}

// viewService returns a client of the view service, to be closed. It calls nothing
// yet.
func (c *connection) viewService() (*sysmonitor.Client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	dial, err := c.routes.dialer()
	if err != nil {
		return nil, err
	}
	var opts []sysmonitor.ClientOption
	if dial != nil {
		opts = append(opts, sysmonitor.WithDialer(dial))
	}
	return sysmonitor.MakeClient("tandem", c.monitor, opts...), nil
}

// bound returns the context that the timeout sets to a command's.
func (c *connection) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.timeout)
}

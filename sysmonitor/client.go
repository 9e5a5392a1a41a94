package sysmonitor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// The vocabulary of the RPCs, by the lab's names.
type (
	// View is one numbered assignment of the roles.
	View = tandem.View
	// PingArgs are the arguments of MonitorServer.Ping.
	PingArgs = tandem.PingArgs
	// PingReply is the reply of MonitorServer.Ping.
	PingReply = tandem.PingReply
	// GetArgs are the arguments of MonitorServer.Get.
	GetArgs = tandem.ViewArgs
	// GetReply is the reply of MonitorServer.Get.
	GetReply = tandem.ViewReply
)

// callTimeout bounds the calls that have no context of their own.
const callTimeout = 5 * time.Second

// Client calls a view service. It is safe for concurrent use.
type Client struct {
	me        string
	monitors  []string
	transport *rpcnet.Transport
}

// MakeClient returns a client for the view service at monitorAddr, which may be
// a list separated by commas and need not be there yet. me is the address that
// Ping pings for. Close the client when it is no longer needed.
func MakeClient(me, monitorAddr string, opts ...ClientOption) *Client {
	var o clientOptions
	for _, opt := range opts {
		opt(&o)
	}
	c := &Client{
		me: me,
		transport: rpcnet.NewTransport(rpcnet.TransportConfig{
			Name:         me,
			Dial:         o.dial,
			DialPerCall:  o.dialPerCall,
			StallTimeout: 3 * time.Second,
			Faults:       o.faults,
		}),
	}
	for addr := range strings.SplitSeq(monitorAddr, ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			c.monitors = append(c.monitors, addr)
		}
	}
	return c
}

// Ping pings as a server of the lab does, which has no incarnation: viewnum 0
// says that it (re)started, n that it has adopted view n, and acknowledges it if
// it is its primary. It returns the view.
func (c *Client) Ping(viewnum uint) (View, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	reply, err := c.PingServer(ctx, PingArgs{Me: c.me, Viewnum: viewnum})
	if err != nil {
		return View{}, err
	}
	return reply.View, nil
}

// Get returns the view, and whether the view service answered with one.
func (c *Client) Get() (View, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	reply, err := c.Wait(ctx, GetArgs{})
	if err != nil || refusal(reply.Err) != nil {
		return View{}, false
	}
	return reply.View, true
}

// Primary returns the address of the view's primary, "" if there is none or the
// view service does not answer.
func (c *Client) Primary() string {
	v, _ := c.Get()
	return v.Primary
}

// PingServer pings for a server that says more of itself than the lab's. An
// error is one of the transport, or the refusal in the reply (ErrWrongCluster,
// ErrLostMemory), and names the view service.
func (c *Client) PingServer(ctx context.Context, args PingArgs) (*PingReply, error) {
	reply, err := call[PingReply](ctx, c, "MonitorServer.Ping", &args)
	if err != nil {
		return nil, err
	}
	if err := refusal(reply.Err); err != nil {
		return nil, fmt.Errorf("the view service at %s: %w", strings.Join(c.monitors, ","), err)
	}
	return reply, nil
}

// Wait asks for the view, and with args.Wait for one above args.Viewnum, for
// which the view service waits within its bounds. A refusal is in the reply.
func (c *Client) Wait(ctx context.Context, args GetArgs) (*GetReply, error) {
	return call[GetReply](ctx, c, "MonitorServer.Get", &args)
}

// Status asks for all that the view service knows.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, "MonitorServer.Status", &StatusArgs{})
}

// Close fails the calls that are under way. When it returns, no goroutine of the
// client is left.
func (c *Client) Close() { c.transport.Close() }

// call tries the view services in turn until one answers.
func call[R any](ctx context.Context, c *Client, method string, args any) (*R, error) {
	if len(c.monitors) == 0 {
		return nil, errors.New("no address of a view service given")
	}
	var errs []error
	for _, addr := range c.monitors {
		reply, err := rpcnet.Call[R](ctx, c.transport, addr, method, args)
		if err == nil {
			return reply, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("view service: %w", errors.Join(errs...))
}

// refusal returns a code as an error, nil if it is none.
func refusal(code tandem.Err) error {
	if code == "" || code == tandem.OK {
		return nil
	}
	return code
}

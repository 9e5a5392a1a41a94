package sysmonitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// stallTimeout is for how long a view service may owe an answer without a sign
// of life, unless WithStallTimeout says otherwise.
const stallTimeout = 3 * time.Second

// ClientOption is a setting of a Client, for MakeClient.
type ClientOption func(*rpcnet.TransportConfig)

// WithDialPerCall gives the lab's transport: one connection per RPC and no
// deadline but the context's, for set-ups that cut a path by removing a socket
// file or delay it behind a proxy.
func WithDialPerCall() ClientOption {
	return func(c *rpcnet.TransportConfig) { c.DialPerCall = true }
}

// WithDialer sets how the client reaches the view service.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) ClientOption {
	return func(c *rpcnet.TransportConfig) { c.Dial = dial }
}

// WithDialTimeout bounds a dial, default 3 s. With WithDialPerCall it has no effect.
func WithDialTimeout(d time.Duration) ClientOption {
	return func(c *rpcnet.TransportConfig) { c.DialTimeout = d }
}

// WithStallTimeout sets how long a connection on which a reply is owed may be
// without any sign of life before it is given up, default 3 s. With
// WithDialPerCall it has no effect.
func WithStallTimeout(d time.Duration) ClientOption {
	return func(c *rpcnet.TransportConfig) { c.StallTimeout = d }
}

// WithFaults puts a faulty network between the client and the view service; the
// client's name in it is its me. It is for the tests of this module.
func WithFaults(f *rpcnet.Faults) ClientOption {
	return func(c *rpcnet.TransportConfig) { c.Faults = f }
}

// Client talks to a view service. It is safe for concurrent use. It keeps a
// connection and must be closed with Close, unless it was made WithDialPerCall.
type Client struct {
	me        string
	addrs     []string
	transport *rpcnet.Transport
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc

	mu   sync.Mutex
	good int // index of the address that answered last
}

// MakeClient returns a client of the view service at monitorAddr, which may be
// several addresses separated by commas, to be tried in that order. me is the
// address of the server that uses it, or any name of a client. Nothing is dialled
// before the first call.
func MakeClient(me, monitorAddr string, opts ...ClientOption) *Client {
	describe()
	cfg := rpcnet.TransportConfig{Name: me, StallTimeout: stallTimeout}
	for _, opt := range opts {
		opt(&cfg)
	}
	c := &Client{me: me, transport: rpcnet.NewTransport(cfg)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, a := range strings.Split(monitorAddr, ",") {
		if a = strings.TrimSpace(a); a != "" {
			c.addrs = append(c.addrs, a)
		}
	}
	return c
}

// Ping tells the view service that this server is alive and holds view viewnum
// (0: it holds no state), and returns the present view. It is the lab's: it
// names no incarnation and counts nothing. The error wraps a tandem.Err if the
// service refused the ping, else the transport's error, and names the address.
func (c *Client) Ping(viewnum uint) (View, error) {
	reply, err := c.PingServer(c.ctx, tandem.PingArgs{Me: c.me, Viewnum: viewnum})
	if err != nil {
		return View{}, err
	}
	return reply.View, nil
}

// Get returns the present view; false if no view service answered with one.
func (c *Client) Get() (View, bool) {
	reply, err := c.Wait(c.ctx, tandem.ViewArgs{})
	if err != nil || refused(reply.Err) != nil {
		return View{}, false
	}
	return reply.View, true
}

// Primary returns the present primary's address, empty if it is not known or
// there is none.
func (c *Client) Primary() string {
	v, _ := c.Get()
	return v.Primary
}

// PingServer sends a ping with all that a server has to say (rule V2). The reply
// is nil if and only if the error is not; a refusal is an error, as it is Ping's.
func (c *Client) PingServer(ctx context.Context, args tandem.PingArgs) (*tandem.PingReply, error) {
	reply, err := call[tandem.PingReply](ctx, c, "MonitorServer.Ping", &args)
	if err != nil {
		return nil, err
	}
	if err := refused(reply.Err); err != nil {
		return nil, fmt.Errorf("ping view service at %s: %w", strings.Join(c.addrs, ","), err)
	}
	return reply, nil
}

// Wait asks for the view, and with args.Wait set waits for one above
// args.Viewnum; when that time or the service's own bound (10 s by default) is
// up, the reply holds the view as it is. A refusal (ErrLostMemory,
// ErrWrongCluster, ErrBusy) is in the reply; an error is the transport's, names
// the address, and comes with a nil reply.
func (c *Client) Wait(ctx context.Context, args tandem.ViewArgs) (*tandem.ViewReply, error) {
	return call[tandem.ViewReply](ctx, c, "MonitorServer.Get", &args)
}

// Status returns what the view service knows.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, "MonitorServer.Status", &StatusArgs{})
}

// Close fails every call that is under way and closes the connections. When it
// returns, no goroutine of the client is left. Any number of calls is fine.
func (c *Client) Close() {
	c.cancel()
	c.transport.Close()
}

// refused returns the code of a reply as an error, nil for OK. A lab server may
// leave it empty.
func refused(code tandem.Err) error {
	if code == tandem.OK || code == "" {
		return nil
	}
	return code
}

// call calls a method of the first view service that answers, beginning with
// the one that answered last. All methods may be repeated without harm.
func call[R any](ctx context.Context, c *Client, method string, args any) (*R, error) {
	if len(c.addrs) == 0 {
		return nil, errors.New("no address of a view service is known")
	}
	c.mu.Lock()
	first := c.good
	c.mu.Unlock()
	var errs []error
	for i := range c.addrs {
		at := (first + i) % len(c.addrs)
		reply, err := rpcnet.Call[R](ctx, c.transport, c.addrs[at], method, args)
		if err == nil {
			c.mu.Lock()
			c.good = at
			c.mu.Unlock()
			return reply, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("view service: %w", inOneLine(errs))
}

// inOneLine joins errors as errors.Join does, without breaking the line.
func inOneLine(errs []error) error {
	args := make([]any, len(errs))
	for i, err := range errs {
		args[i] = err
	}
	return fmt.Errorf(strings.TrimSuffix(strings.Repeat("%w; ", len(errs)), "; "), args...)
}

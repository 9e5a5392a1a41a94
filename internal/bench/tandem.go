package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
)

// Connections says what connections the clients of a Tandem have.
type Connections string

// What they have.
const (
	Shared Connections = "shared" // one KVClient for all, which has one connection
	Each   Connections = "each"   // a KVClient for each
)

// Tandem is a cluster of this module as a System. Who made it closes it after the load.
type Tandem struct {
	monitor     string
	connections Connections
	opts        []kvservice.Option
	shared      *kvservice.KVClient // nil: each has its own
}

// NewTandem returns the cluster whose view service is at an address. Nothing is called
// yet.
func NewTandem(monitor string, c Connections, opts ...kvservice.Option) (*Tandem, error) {
	t := &Tandem{monitor: monitor, connections: c, opts: opts}
	switch c {
	case Shared:
		t.shared = kvservice.MakeKVClient(monitor, opts...)
	case Each:
	default:
		return nil, fmt.Errorf("connections %q: must be %s or %s", c, Shared, Each)
	}
	return t, nil
}

// Name tells the connections, too.
func (t *Tandem) Name() string { return fmt.Sprintf("tandem (connections %s)", t.connections) }

// Open returns a client.
func (t *Tandem) Open(context.Context) (Client, error) {
	if t.shared != nil {
		return &tandemClient{t.shared, false}, nil
	}
	return &tandemClient{kvservice.MakeKVClient(t.monitor, t.opts...), true}, nil
}

// Close closes what the clients share.
func (t *Tandem) Close() {
	if t.shared != nil {
		t.shared.Close()
	}
}

// tandemClient is a KVClient as an Extended client.
type tandemClient struct {
	k     *kvservice.KVClient
	owned bool
}

// Put puts.
func (c *tandemClient) Put(ctx context.Context, key, value string) error {
	return definite(c.k.PutContext(ctx, key, value))
}

// Get reads.
func (c *tandemClient) Get(ctx context.Context, key string) (string, bool, error) {
	value, err := c.k.GetContext(ctx, key)
	if errors.Is(err, tandem.ErrNoKey) {
		return "", false, nil
	}
	return value, err == nil, err
}

// Append appends.
func (c *tandemClient) Append(ctx context.Context, key, value string) error {
	return definite(c.k.AppendContext(ctx, key, value))
}

// PutHash puts a hash.
func (c *tandemClient) PutHash(ctx context.Context, key, value string) (string, error) {
	old, err := c.k.PutHashContext(ctx, key, value)
	return old, definite(err)
}

// CompareAndSwap swaps.
func (c *tandemClient) CompareAndSwap(ctx context.Context, key, old, new string) (bool, error) {
	swapped, err := c.k.CompareAndSwapContext(ctx, key, old, new)
	return swapped, definite(err)
}

// Delete deletes.
func (c *tandemClient) Delete(ctx context.Context, key string) (bool, error) {
	err := c.k.DeleteContext(ctx, key)
	if errors.Is(err, tandem.ErrNoKey) {
		return false, nil
	}
	return err == nil, definite(err)
}

// Close closes the client, unless it is shared.
func (c *tandemClient) Close() error {
	if c.owned {
		c.k.Close()
	}
	return nil
}

// definite marks errors of operations that did not run and never will (S5).
func definite(err error) error {
	if err == nil || errors.Is(err, kvservice.ErrOutcomeUnknown) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDidNotRun, err)
}

package bench

import (
	"context"
	"errors"
)

// System is a store that can be loaded.
type System interface {
	// Name is how tables call it.
	Name() string
	// Open returns one more client. Whether it has a connection of its own is the
	// system's affair. The context bounds the opening alone.
	Open(ctx context.Context) (Client, error)
}

// Client is one client of a System. It is used by one goroutine at a time.
//
// An error of an operation that writes means that it may have run, and may yet run,
// unless it is ErrDidNotRun.
type Client interface {
	Put(ctx context.Context, key, value string) error
	// Get returns the value of a key, and false if it is absent.
	Get(ctx context.Context, key string) (value string, ok bool, err error)
	Close() error
}

// Extended is a Client that does more than read and write. What is asked for in a Mix
// and not in a Client is an error of Start.
type Extended interface {
	Client
	// Append sets the value of a key to old+value, where old is "" if it was absent.
	Append(ctx context.Context, key, value string) error
	// PutHash sets the value of a key to strconv.Itoa(int(tandem.Hash(old+value))), and
	// returns old, which is "" if it was absent.
	PutHash(ctx context.Context, key, value string) (old string, err error)
	// CompareAndSwap sets the value of a key to new if it is old, and tells whether it did.
	CompareAndSwap(ctx context.Context, key, old, new string) (swapped bool, err error)
	// Delete removes a key, and tells whether it was there.
	Delete(ctx context.Context, key string) (found bool, err error)
}

// ErrDidNotRun is what a Client's error wraps if the operation did not run and never
// will.
var ErrDidNotRun = errors.New("it did not run")

package bench

import (
	"context"
	"strconv"
	"sync"

	"github.com/tandemkv/tandem"
)

// memory is a store without faults, unless a test gives it some. Its clients have no
// state of their own.
type memory struct {
	mu   sync.Mutex
	data map[string]string

	// before, if it is not nil, is called before each operation, without the lock. What
	// it returns is the operation's error, and it does not run.
	before func(ctx context.Context, kind Kind, key string) error
	// after is as before, of an operation that has run.
	after func(kind Kind, key string) error
	// twice, lose and old, if not nil, say of an operation that it runs twice, of a write
	// that it is acknowledged and does not run, and of a read what it finds instead.
	twice, lose func(kind Kind, key string) bool
	old         func(key, value string) string
}

func newMemory() *memory { return &memory{data: make(map[string]string)} }

func (m *memory) Name() string                         { return "memory" }
func (m *memory) Open(context.Context) (Client, error) { return memoryClient{m}, nil }

type memoryClient struct{ m *memory }

// do runs an operation as the faults say.
func (c memoryClient) do(ctx context.Context, kind Kind, key string, run func()) error {
	m := c.m
	if m.before != nil {
		if err := m.before(ctx, kind, key); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lose != nil && m.lose(kind, key) {
		return nil
	}
	run()
	if m.twice != nil && m.twice(kind, key) {
		run()
	}
	if m.after != nil {
		return m.after(kind, key)
	}
	return nil
}

func (c memoryClient) Put(ctx context.Context, key, value string) error {
	return c.do(ctx, Put, key, func() { c.m.data[key] = value })
}

func (c memoryClient) Get(ctx context.Context, key string) (value string, ok bool, err error) {
	err = c.do(ctx, Get, key, func() {
		value, ok = c.m.data[key]
		if c.m.old != nil {
			value = c.m.old(key, value)
		}
	})
	return value, ok, err
}

func (c memoryClient) Append(ctx context.Context, key, value string) error {
	return c.do(ctx, Append, key, func() { c.m.data[key] += value })
}

func (c memoryClient) PutHash(ctx context.Context, key, value string) (old string, err error) {
	first := true
	err = c.do(ctx, PutHash, key, func() {
		if first {
			old, first = c.m.data[key], false
		}
		c.m.data[key] = strconv.Itoa(int(tandem.Hash(c.m.data[key] + value)))
	})
	return old, err
}

func (c memoryClient) CompareAndSwap(ctx context.Context, key, old, new string) (swapped bool, err error) {
	err = c.do(ctx, CompareAndSwap, key, func() {
		if swapped = c.m.data[key] == old; swapped {
			c.m.data[key] = new
		}
	})
	return swapped, err
}

func (c memoryClient) Delete(ctx context.Context, key string) (found bool, err error) {
	err = c.do(ctx, Delete, key, func() {
		_, found = c.m.data[key]
		delete(c.m.data, key)
	})
	return found, err
}

func (c memoryClient) Close() error { return nil }

// plain is a memory whose clients get and put alone.
type plain struct{ *memory }

func (p plain) Open(ctx context.Context) (Client, error) {
	c, err := p.memory.Open(ctx)
	return struct{ Client }{c}, err
}

package kvservice

import (
	"context"
	"errors"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/clerk"
)

// GetContext returns the value of a key. If the key is absent the error is
// tandem.ErrNoKey.
func (c *KVClient) GetContext(ctx context.Context, key string) (string, error) {
	op := newOperation()
	defer op.release()
	op.get.Key = key
	op.request.Get = &op.get
	err := c.do(ctx, op)
	return op.done.Get.Value, err
}

// PutContext sets the value of a key.
func (c *KVClient) PutContext(ctx context.Context, key, value string) error {
	_, err := c.update(ctx, &tandem.PutArgs{Op: tandem.OpPut, Key: key, Value: value})
	return err
}

// PutHashContext sets the value of a key to strconv.Itoa(int(Hash(old+value))),
// where old is the value before, "" if it was absent, and returns old.
func (c *KVClient) PutHashContext(ctx context.Context, key, value string) (string, error) {
	r, err := c.update(ctx, &tandem.PutArgs{Op: tandem.OpPutHash, DoHash: true, Key: key, Value: value})
	return r.PreviousValue, err
}

// AppendContext sets the value of a key to old+value, where old is the value
// before, "" if it was absent. If that is too large, the error is
// tandem.ErrTooLarge and nothing has changed.
func (c *KVClient) AppendContext(ctx context.Context, key, value string) error {
	_, err := c.update(ctx, &tandem.PutArgs{Op: tandem.OpAppend, Key: key, Value: value})
	return err
}

// DeleteContext removes a key. If it was absent the error is tandem.ErrNoKey.
func (c *KVClient) DeleteContext(ctx context.Context, key string) error {
	_, err := c.update(ctx, &tandem.PutArgs{Op: tandem.OpDelete, Key: key})
	return err
}

// CompareAndSwapContext sets the value of a key to new if it is old, and tells
// whether it did. An absent key counts as "", and a key that was set to "" is
// there all the same.
func (c *KVClient) CompareAndSwapContext(ctx context.Context, key, old, new string) (swapped bool, err error) {
	r, err := c.update(ctx, &tandem.PutArgs{Op: tandem.OpCompareAndSwap, Key: key, Value: new, Expected: old})
	return r.Swapped, err
}

// ScanContext calls visit with the pairs whose keys begin with prefix, in the
// order of the keys, until visit returns false. All of them are as of one
// moment between the call and the first visit. If the server that holds that
// moment is lost on the way, the error is tandem.ErrScanLost: what was visited
// is true, and the rest must be had by another scan.
func (c *KVClient) ScanContext(ctx context.Context, prefix string, visit func(key, value string) bool) error {
	var origin clerk.Origin
	return visitPages(prefix, visit, func(args *tandem.ScanArgs) (*tandem.ScanReply, error) {
		op := newOperation()
		defer op.release()
		op.request = clerk.Request{Scan: args, Origin: origin}
		err := c.do(ctx, op)
		origin = op.done.Origin
		page := op.done.Scan
		return &page, err
	})
}

func (c *KVClient) update(ctx context.Context, args *tandem.PutArgs) (tandem.PutReply, error) {
	op := newOperation()
	defer op.release()
	op.put = *args
	op.request.Put = &op.put
	err := c.do(ctx, op)
	return op.done.Put, err
}

// Get returns the value of a key, "" if it is absent. It is GetContext without
// end; where that fails, it panics.
func (c *KVClient) Get(key string) string {
	value, err := c.GetContext(context.Background(), key)
	if errors.Is(err, tandem.ErrNoKey) {
		return ""
	}
	must(err)
	return value
}

// Put sets the value of a key. It is PutContext without end; where that fails,
// it panics.
func (c *KVClient) Put(key, value string) {
	must(c.PutContext(context.Background(), key, value))
}

// PutHash is PutHashContext without end; where that fails, it panics.
func (c *KVClient) PutHash(key, value string) string {
	old, err := c.PutHashContext(context.Background(), key, value)
	must(err)
	return old
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

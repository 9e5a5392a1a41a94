package kvservice

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// ErrNoState: the server has neither been primary nor taken in a transfer since
// it started, so it knows nothing of what clients stored.
var ErrNoState = errors.New("the server holds no state")

// TableArgs are the arguments of the RPC KVServer.Table, whose reply is a
// tandem.ScanReply.
type TableArgs struct {
	tandem.ScanArgs
	// Incarnation is that of the server that is meant, so that no two lives are
	// taken for one; zero is whichever answers.
	Incarnation uint64
}

// Table is the RPC for a page of what this server has applied, whatever its role.
// It asks nobody, so nothing is known of how old that is.
func (h *handler) Table(args *TableArgs, reply *tandem.ScanReply) error {
	if args.Incarnation != 0 && args.Incarnation != h.server.self.Incarnation {
		reply.Err = tandem.ErrScanLost
		return nil
	}
	err := h.scan(&args.ScanArgs, replica.Local, reply)
	if reply.Err == tandem.ErrWrongServer {
		reply.Err = tandem.ErrBusy // it waited in vain for room; no other server would do
	}
	return err
}

// ReadStatus asks the server at addr for what (*KVServer).Status returns there. It
// goes to that server alone, whatever its role, and tries once: no view service
// and no other server need be there. Of the options those of a client count that
// concern connections (WithDialer, WithDialPerCall, WithName).
//
// An error is of the connection, names the address, and wraps the context's if
// that ended first.
func ReadStatus(ctx context.Context, addr string, opts ...Option) (Status, error) {
	o := makeReaderOptions(opts)
	t := o.transport(o.name, nil)
	defer t.Close()
	return readStatus(ctx, t, addr)
}

func readStatus(ctx context.Context, t *rpcnet.Transport, addr string) (Status, error) {
	st, err := rpcnet.Call[Status](ctx, t, addr, "KVServer.Status", &StatusArgs{})
	if err != nil {
		return Status{}, fmt.Errorf("kvservice: %w", err)
	}
	return *st, nil
}

// ReadTable calls visit with the pairs whose keys begin with prefix that the
// server at addr has applied, in the order of their keys, until visit returns
// false. All of them are as of one moment between the call and the first visit.
// They come in pages, and a slow visit costs neither side memory, but the server
// gives the moment up if no page is asked for during 60 ping intervals.
//
// This is for looking into one server, and for saving what it holds when the group
// is down: no other server is asked, so the table may be an old one, of a server
// that was cut off long ago, say. It never holds what was not committed. For the
// truth use (*KVClient).ScanContext. A server's Status tells its role and how much
// it has applied.
//
// The errors are ErrNoState; tandem.ErrScanLost, if the server has meanwhile
// started anew, or been brought up to date by a transfer, or given up the moment:
// what was visited is as it was, and the rest must be had by another call;
// tandem.ErrBusy, if it has too much to do; and those of ReadStatus. The options
// are ReadStatus's, and WithLimits, if the server's values may be larger than by
// default.
func ReadTable(ctx context.Context, addr, prefix string, visit func(key, value string) bool, opts ...Option) error {
	o := makeReaderOptions(opts)
	t := o.transport(o.name, nil)
	defer t.Close()
	st, err := readStatus(ctx, t, addr)
	if err != nil {
		return err
	}
	if !st.HoldsState {
		return fmt.Errorf("kvservice: reading the table of %s: %w", addr, ErrNoState)
	}
	return visitPages(prefix, visit, func(args *tandem.ScanArgs) (*tandem.ScanReply, error) {
		page, err := rpcnet.Call[tandem.ScanReply](ctx, t, addr, "KVServer.Table", &TableArgs{*args, st.Server.Incarnation})
		if err != nil {
			return nil, fmt.Errorf("kvservice: %w", err)
		}
		if page.Err != tandem.OK {
			return nil, fmt.Errorf("kvservice: reading the table of %s: %w", addr, page.Err)
		}
		return page, nil
	})
}

// makeReaderOptions returns the options of who asks one server.
func makeReaderOptions(opts []Option) options {
	describe()
	o := makeOptions(opts)
	if o.name == "" {
		o.name = fmt.Sprintf("reader-%08x", uint32(drawIncarnation()))
	}
	return o
}

// visitPages calls visit with the pairs of the pages that next returns, until
// visit returns false or there is an error.
func visitPages(prefix string, visit func(key, value string) bool, next func(*tandem.ScanArgs) (*tandem.ScanReply, error)) error {
	args := &tandem.ScanArgs{Prefix: prefix}
	for {
		page, err := next(args)
		if err != nil {
			return err
		}
		for _, p := range page.Pairs {
			if !visit(p.Key, p.Value) {
				return nil
			}
		}
		if !page.More || len(page.Pairs) == 0 {
			return nil
		}
		args = &tandem.ScanArgs{Prefix: prefix, Scan: page.Scan, After: page.Pairs[len(page.Pairs)-1].Key}
	}
}

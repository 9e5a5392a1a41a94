package torture

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tandemkv/tandem/kvservice"
)

// makeClients makes the clients of the workers, one each, but the last two share one;
// and one for the last reads.
func (r *run) makeClients(log *slog.Logger) {
	for i := range r.cfg.Clients {
		name := fmt.Sprintf("client-%d", 1+i)
		r.clients = append(r.clients, kvservice.MakeKVClient(r.group.monitor.addr,
			kvservice.WithDialer(r.group.network.Dialer(name)), kvservice.WithLogger(log.With("client", name)), kvservice.WithName(name)))
		if i < r.cfg.Clients-1 {
			r.clientNames = append(r.clientNames, name)
		}
	}
}

// workers returns whom each worker uses. The first, who only reads, is alone with his:
// one who writes would soon look for another primary if his does not answer.
func (r *run) workers() []*kvservice.KVClient {
	inUse := r.clients[:len(r.clients)-1]
	return append(slices.Clone(inUse), inUse[len(inUse)-1])
}

func (r *run) closeClients() {
	for _, k := range r.clients {
		k.Close()
	}
}

// lastReaders is how many of the last reads are under way at once.
const lastReaders = 4

// lastReads reads every key, then kills the primary and reads every key again: what
// one member answers the other has, too (I3).
func (r *run) lastReads() {
	r.readAll()
	if !r.goesOn() {
		return
	}
	r.progress("the last primary is killed")
	killed := r.wait(r.ctx, func() bool {
		return r.waitWell(r.ctx) && r.crash(r.group.find(r.lastView.Primary))
	})
	if !killed && r.goesOn() {
		r.violate("P1: all faults have ended, and there was no primary with a backup in sync to be killed within %v", patience)
	}
	r.readAll()
}

func (r *run) readAll() {
	if !r.goesOn() {
		return
	}
	keys := r.keys.Used()
	r.progress("reading %d keys", len(keys))
	k := r.clients[len(r.clients)-1]
	if err := r.history.ReadAll(r.ctx, k, r.cfg.Clients, lastReaders, keys, patience); err != nil && r.ctx.Err() == nil {
		r.violate("P1: all faults have ended, and this was not answered within %v: %v", patience, err)
	}
}

// watchful is a log of clients in which an error is a violation: it is how a client
// says that an invariant of its own is broken.
type watchful struct {
	slog.Handler
	r *run
}

// Handle writes a record down.
func (w *watchful) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelError {
		words := rec.Message
		rec.Attrs(func(a slog.Attr) bool {
			words += " " + a.String()
			return true
		})
		w.r.violate("a client: %s", words)
	}
	return w.Handler.Handle(ctx, rec)
}

// WithAttrs returns a handler that is watchful, too.
func (w *watchful) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &watchful{w.Handler.WithAttrs(attrs), w.r}
}

// WithGroup returns a handler that is watchful, too.
func (w *watchful) WithGroup(name string) slog.Handler {
	return &watchful{w.Handler.WithGroup(name), w.r}
}

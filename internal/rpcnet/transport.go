package rpcnet

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// The settings of a Transport whose TransportConfig leaves them zero.
const (
	DefaultDialTimeout = 3 * time.Second
	DefaultMaxQueue    = 1 << 15
)

// TransportConfig says how a Transport reaches its peers. The zero value is
// useful.
type TransportConfig struct {
	// Name is who calls: the address of the server that owns the transport, or
	// any name of a client. Only Faults look at it.
	Name string
	// Dial replaces net.Dialer.DialContext. It must heed the context.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// DialTimeout bounds a dial. With DialPerCall there is no such bound.
	DialTimeout time.Duration
	// StallTimeout closes a connection on which replies are owed and nothing
	// has moved for so long. At half of it the peer is asked for a sign of
	// life, so a slow handler does not count as a stall, and a frozen peer does.
	// What the sockets' buffers hold must drain within it.
	StallTimeout time.Duration
	// DialPerCall gives the lab's transport: every call dials a connection of
	// its own and closes it afterwards. Nothing but the call's context, and
	// Close, bounds it. Calls keep no order.
	DialPerCall bool
	// MaxQueue bounds the calls of one connection that wait to be written. The
	// queue holds references to arguments; encoded ahead is at most one message
	// beyond 64 KiB.
	MaxQueue int
	// MaxFrame bounds a gob message or a compact frame in either direction, in bytes. A request
	// beyond it fails with ErrNotSent and ErrFrameTooLarge; a reply beyond it
	// breaks the connection.
	MaxFrame int
	// Compact names the methods whose arguments and replies are Compact. If it names
	// any, the transport proposes compact frames to the other ends, and speaks gob
	// with those that do not agree. A call to any other method has its arguments and
	// reply in gob all the same. DialPerCall speaks gob always.
	Compact []string
	// OnDown, if set, is told when a dial fails or an established connection
	// breaks, other than by Close: a hint for failure detection (rule V7). It is
	// called from a goroutine of the transport, possibly several at once; it
	// must not block, and must not call Close.
	OnDown func(addr string, err error)
	// OnSettled, if set, is called after calls have come to their end, once for several
	// whose replies came together: done functions may collect, and leave the work to it.
	// It is called from goroutines of the transport, and of whoever calls Close or lifts a
	// fault, possibly several at once. It must not block.
	OnSettled func()
	// Faults, if set, stands between the callers and the network. MaxQueue does
	// not bound what goes through them.
	Faults *Faults
}

// Transport calls the methods of net/rpc servers over connections that persist:
// one for each address and lane, dialled when it is first needed and again
// after it broke. It is safe for concurrent use.
type Transport struct {
	hub  *hub
	lane string
}

// NewTransport returns a transport that has no connection yet.
func NewTransport(cfg TransportConfig) *Transport {
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	cfg.DialTimeout = orDefault(cfg.DialTimeout, DefaultDialTimeout)
	cfg.StallTimeout = orDefault(cfg.StallTimeout, DefaultStallTimeout)
	cfg.MaxQueue = orDefault(cfg.MaxQueue, DefaultMaxQueue)
	cfg.MaxFrame = orDefault(cfg.MaxFrame, DefaultMaxFrame)
	h := &hub{
		cfg:    cfg,
		shared: make(map[laneKey]*link),
		links:  make(map[*link]bool),
		loose:  make(map[*call]bool),
		timers: make(map[*time.Timer]bool),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return &Transport{hub: h}
}

// Lane returns the same transport with connections of their own, kept apart by
// name from those of other lanes; the transport that NewTransport returned is
// lane "". Bulk transfers on a lane of their own delay nobody else. Lanes cost
// nothing until used, and equal names mean the same lane. Close of one closes all.
func (t *Transport) Lane(name string) *Transport { return &Transport{t.hub, name} }

// Flush sends what was given to Queue. Calls to it, from any goroutine, share the
// writing: it does not wait for the network.
func (t *Transport) Flush() {
	h := t.hub
	h.mu.Lock()
	dirty := h.dirty
	h.dirty = h.spareDirty[:0]
	h.spareDirty = nil
	h.mu.Unlock()
	for i, l := range dirty {
		dirty[i] = nil
		l.flush()
	}
	h.mu.Lock()
	h.spareDirty = dirty[:0]
	h.mu.Unlock()
}

// Close fails every pending call with ErrClosed, closes the connections, and
// returns when no goroutine of the transport is left. It must not be called from
// a done function or from OnDown. Any number of calls is fine.
func (t *Transport) Close() { t.hub.close() }

// hub is what the lanes of a transport share.
//
// Locks are taken in this order: Faults, hub, link. None is held while a done
// function, OnDown or Dial runs.
type hub struct {
	cfg    TransportConfig
	ctx    context.Context // ends with close
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows, and the Add of wg against close
	closed bool
	shared map[laneKey]*link // the links that take calls
	links  map[*link]bool    // those that have a goroutine
	dirty  []*link           // with calls for Flush
	// spareDirty is dirty's array while it is not in use.
	spareDirty []*link
	loose      map[*call]bool       // unanswered calls that faults may have in hand
	timers     map[*time.Timer]bool // that have not fired
	wg         sync.WaitGroup
}

type laneKey struct{ addr, lane string }

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for l := range h.links {
		l.shut(ErrClosed) // before the context ends, which says no reason
	}
	h.cancel()
	for t := range h.timers {
		if t.Stop() {
			h.wg.Done()
		}
	}
	clear(h.timers)
	loose := slices.Collect(maps.Keys(h.loose))
	h.mu.Unlock()
	for _, c := range loose {
		c.settle(ErrClosed)
	}
	h.wg.Wait()
}

// enqueue gives a call to the link for it, in order. If that is full, and force
// is false, the call was not taken, and room is closed when trying again may help. With
// later set, it waits for Flush.
func (h *hub) enqueue(c *call, force, later bool) (room <-chan struct{}, err error) {
	key := laneKey{c.addr, c.lane}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, notSent(ErrClosed)
	}
	if l := h.shared[key]; l != nil && !h.cfg.DialPerCall {
		return l.push(c, force, later), nil
	}
	l := newLink(h, key)
	l.push(c, true, false) // before the link can fail, so that it fails for this call
	h.links[l] = true
	if h.cfg.DialPerCall {
		c.own.Store(l)
	} else {
		h.shared[key] = l
	}
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		l.run()
		h.mu.Lock()
		delete(h.links, l)
		h.mu.Unlock()
	}()
	return nil, nil
}

// settled tells whoever wants to know that calls have come to their end.
func (h *hub) settled() {
	if h.cfg.OnSettled != nil {
		h.cfg.OnSettled()
	}
}

// retire takes a link out of use: no call is pushed to it any more.
func (h *hub) retire(l *link) {
	h.mu.Lock()
	if h.shared[l.key] == l {
		delete(h.shared, l.key)
	}
	h.mu.Unlock()
}

// after runs f on a goroutine of its own after d, unless the hub is closed before.
func (h *hub) after(d time.Duration, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.wg.Add(1)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer h.wg.Done()
		h.mu.Lock() // also makes t visible here
		delete(h.timers, t)
		h.mu.Unlock()
		f()
	})
	h.timers[t] = true
}

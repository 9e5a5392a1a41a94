package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interruption is what signals ask of this process: the first SIGINT or SIGTERM asks
// for an end. A further one is for whoever claimed it; where nobody did, it ends the
// process as if it had never been caught.
type interruption struct {
	claimed atomic.Bool
	again   chan struct{} // closed by the second signal, if that is claimed

	// taken is called for each SIGINT in place of all that; nil: it is not.
	taken atomic.Pointer[func()]
}

type interruptionKey struct{}

// interruptible returns a context that ends with the first signal.
func interruptible(parent context.Context) context.Context {
	i := &interruption{again: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(parent, interruptionKey{}, i))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // it ends with the process
		i.await(signals)
		if !i.claimed.Load() {
			signal.Stop(signals)
			cancel()
			return
		}
		cancel()
		i.await(signals)
		close(i.again)
	}()
	return ctx
}

// await waits for a signal that asks for the end.
func (i *interruption) await(signals <-chan os.Signal) {
	for s := range signals {
		f := i.taken.Load()
		if f == nil || s != os.Interrupt {
			return
		}
		(*f)()
	}
}

// takeInterrupts has a function called whenever SIGINT comes, which then does not ask
// for the end of this process, until the function that it returns is called. It is
// for a prompt, where Ctrl-C ends what is under way and nothing else. If the context is
// not an interruptible one, nothing comes.
func takeInterrupts(ctx context.Context, f func()) (giveBack func()) {
	i, ok := ctx.Value(interruptionKey{}).(*interruption)
	if !ok {
		return func() {}
	}
	i.taken.Store(&f)
	return func() { i.taken.Store(nil) }
}

// furtherSignals claims the second signal, and returns what is closed by it. If the
// first has come already, or the context is not an interruptible one, it never is.
func furtherSignals(ctx context.Context) <-chan struct{} {
	i, ok := ctx.Value(interruptionKey{}).(*interruption)
	if !ok {
		return nil
	}
	i.claimed.Store(true)
	return i.again
}

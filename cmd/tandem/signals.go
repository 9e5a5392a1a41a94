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
}

type interruptionKey struct{}

// interruptible returns a context that ends with the first signal.
func interruptible(parent context.Context) context.Context {
	i := &interruption{again: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(parent, interruptionKey{}, i))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // it ends with the process
		<-signals
		if !i.claimed.Load() {
			signal.Stop(signals)
			cancel()
			return
		}
		cancel()
		<-signals
		close(i.again)
	}()
	return ctx
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

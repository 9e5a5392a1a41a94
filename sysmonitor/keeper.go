package sysmonitor

import (
	"fmt"
	"time"

	"github.com/tandemkv/tandem/sysmonitor/view"
)

const (
	// retryMin and retryMax bound the time between two attempts to keep a record;
	// it doubles from one to the other.
	retryMin = 20 * time.Millisecond
	retryMax = time.Second
	// slowDisk is how long an attempt takes that is trouble by itself.
	slowDisk = time.Second
	// abandonDisk is how long Kill waits for a write that is under way.
	abandonDisk = time.Second
)

// attempt is how an attempt to keep a record ended.
type attempt struct {
	number uint64
	err    error
}

// keeper is the goroutine that waits for the disk, so that the owner need not: it
// keeps one record at a time, and tries until it has. The directory is its to close.
type keeper struct {
	data  *dataDir
	todo  chan view.Record // has room for the one that the core may have outstanding
	ended chan attempt     // taken by the owner
	done  chan struct{}    // closed when run has returned

	// What follows belongs to the owner.
	since  time.Time // when the record was given that is not kept yet; zero: there is none
	number uint      // its view's
	err    error     // why the last attempt failed
	warned bool      // that it was told
}

func newKeeper(data *dataDir) *keeper {
	return &keeper{data: data, todo: make(chan view.Record, 1), ended: make(chan attempt), done: make(chan struct{})}
}

// run keeps what is given, until quit is closed. A write that is under way then is
// finished first, and the directory stays locked until it is: it must not land on
// top of what a successor has kept.
func (k *keeper) run(quit <-chan struct{}) {
	defer close(k.done)
	defer k.data.close()
	for {
		select {
		case r := <-k.todo:
			if !k.keep(r, quit) {
				return
			}
		case <-quit:
			return
		}
	}
}

// keep tries until the record is kept, and tells the owner of each attempt. It
// reports false if quit was closed first.
func (k *keeper) keep(r view.Record, quit <-chan struct{}) bool {
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		err := k.data.keep(r)
		select {
		case k.ended <- attempt{r.Number, err}:
		case <-quit:
			return false
		}
		if err == nil {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-quit:
			timer.Stop()
			return false
		}
	}
}

// give gives the keeper a record. The core has one outstanding at most (V10), so
// there is room.
func (k *keeper) give(r *view.Record) {
	k.since, k.number, k.err = time.Now(), r.View.Viewnum, nil
	k.todo <- *r
}

// trouble says what is wrong with the disk, empty if nothing is.
func (k *keeper) trouble() string {
	switch took := time.Since(k.since); {
	case k.since.IsZero():
		return ""
	case k.err != nil:
		return k.err.Error()
	case took >= slowDisk:
		return fmt.Sprintf("the disk has taken %v, and is not done", took.Truncate(100*time.Millisecond))
	}
	return ""
}

// kept takes in how an attempt ended (V10).
func (o *owner) kept(a attempt) {
	k := o.keeper
	k.err = a.err
	o.watchDisk()
	if a.err != nil {
		return
	}
	k.since = time.Time{}
	if k.warned {
		k.warned = false
		o.server.log.Info("views can be kept again, and are announced", "rule", "V10", "data", o.server.opts.data)
	}
	o.core.Durable(a.number)
	o.carryOut()
}

// watchDisk says, once, that the disk is in trouble.
func (o *owner) watchDisk() {
	k := o.keeper
	if k == nil || k.warned {
		return
	}
	if why := k.trouble(); why != "" {
		k.warned = true
		o.server.log.Warn("a view cannot be kept, and nothing new is announced until it can",
			"rule", "V10", "data", o.server.opts.data, "view", k.number, "why", why)
	}
}

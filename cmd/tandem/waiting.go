package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tandemkv/tandem/kvservice"
)

const (
	// toldAfter is how long a person waits for one operation without being told why.
	toldAfter = time.Second
	// lookAfter is how long lies between two looks at that.
	lookAfter = 200 * time.Millisecond
)

// tellWaiting tells, until it is stopped, what operations have been waiting for: a
// client goes on trying, and a person might rather start what is missing. It tells
// each reason once.
func tellWaiting(client *kvservice.KVClient, w io.Writer, who string) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		pause := time.NewTicker(lookAfter)
		defer pause.Stop()
		told := ""
		for {
			select {
			case <-over:
				return
			case <-pause.C:
			}
			if why := client.WaitingFor(toldAfter); why != nil && why.Error() != told {
				told = why.Error()
				fmt.Fprintf(w, "%s: still trying: %s\n", who, told)
			}
		}
	})
	return sync.OnceFunc(func() {
		close(over)
		wg.Wait()
	})
}

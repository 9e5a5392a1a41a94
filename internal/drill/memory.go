package drill

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// memoryPause is the time between two looks at a process's memory.
const memoryPause = 20 * time.Millisecond

// memoryWatch watches how much memory a process has.
type memoryWatch struct {
	once sync.Once
	halt chan struct{}
	done chan struct{}
	most uint64 // to be read when done is closed
}

// watchMemory starts to watch a process of this host; stop ends that.
func watchMemory(pid int) *memoryWatch {
	w := &memoryWatch{halt: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(memoryPause)
		defer tick.Stop()
		for {
			w.most = max(w.most, Resident(pid))
			select {
			case <-tick.C:
			case <-w.halt:
				return
			}
		}
	}()
	return w
}

// stop returns the most bytes that were resident, zero if the system does not tell. Any
// number of calls is fine.
func (w *memoryWatch) stop() uint64 {
	w.once.Do(func() { close(w.halt) })
	<-w.done
	return w.most
}

// Resident returns the bytes of a process that are resident, as Linux tells them in
// pages; zero where there is no such file.
func Resident(pid int) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

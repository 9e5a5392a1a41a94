package kvservice

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
)

// memory returns how many bytes of this process are resident; or, where the
// system does not tell, how many the Go runtime has from it, and true.
func memory() (n uint64, reserved bool) {
	// Of Linux: sizes in pages, the resident one second.
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(text); len(fields) > 1 {
			if pages, err := strconv.ParseUint(string(fields[1]), 10, 64); err == nil {
				return pages * uint64(os.Getpagesize()), false
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased, true
}

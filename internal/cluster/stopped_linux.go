package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// standsStill reports whether every thread of a process is stopped. SIGSTOP does not
// see to that by itself: on a busy machine threads run on until one of them takes the
// signal.
func standsStill(pid int) (bool, error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		return false, os.ErrProcessDone
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		// The state comes after the command's name, which may hold anything.
		at := bytes.LastIndexByte(b, ')')
		if at < 0 || at+2 >= len(b) || b[at+2] != 'T' && b[at+2] != 't' {
			return false, nil
		}
	}
	return true, nil
}

//go:build !unix

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// detach does nothing where there are no process groups: there, a terminal's
// Ctrl-C reaches the children as well.
func detach(*exec.Cmd) {}

// freeze and thaw need signals that only Unix has.
func freeze(p *os.Process) error { return cannotStop(p) }
func thaw(p *os.Process) error   { return cannotStop(p) }

func cannotStop(*os.Process) error {
	return fmt.Errorf("stopping a process for a while on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// signalOf returns nothing: no signal ends a process here.
func signalOf(*os.ProcessState) string { return "" }

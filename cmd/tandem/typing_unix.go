//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// letReadsFailInBackground keeps this process from being stopped when it reads from
// a terminal while another has the foreground, as after a command line that ends
// with &. The read fails instead.
func letReadsFailInBackground() { signal.Ignore(syscall.SIGTTIN) }

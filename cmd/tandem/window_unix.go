//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// windowSize returns how many characters and lines a terminal has, zero if that
// cannot be told.
func windowSize(f *os.File) (width, lines int) {
	var size struct{ lines, width, _, _ uint16 }
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return 0, 0
	}
	return int(size.width), int(size.lines)
}

package rpcnet

import (
	"errors"
	"net"
	"strings"
)

// Network returns the network of an address: "unix" if it holds a slash, which
// makes it the path of a socket, else "tcp".
func Network(addr string) string {
	if strings.Contains(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// Listen listens on addr. Every error names the address.
//
// A socket file that a dead server left behind is replaced. If a server answers
// there, the error wraps syscall.EADDRINUSE. A path that holds anything but a
// socket is left alone and is an error, and so is one too long for a socket.
// Closing the listener removes its socket file, but never one that another
// server has put in its place. Listen is safe for concurrent use, across
// processes as well: of several that want to replace one stale file, one succeeds.
func Listen(addr string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

package rpcnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tandemkv/tandem/internal/filelock"
)

// Network returns the network of an address: "unix" if it holds a slash, which
// makes it the path of a socket, else "tcp".
func Network(addr string) string {
	if strings.Contains(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// maxSocketPath is the longest path a socket can have, in bytes: the kernel
// wants a zero behind it.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// Listen listens on addr. Every error names the address.
//
// A socket file that a dead server left behind is replaced. If a server answers
// there, the error wraps syscall.EADDRINUSE. A path that holds anything but a
// socket is left alone and is an error, and so is one too long for a socket.
// Closing the listener removes its socket file, but never one that another
// server has put in its place. Listen is safe for concurrent use, across
// processes as well: of several that want to replace one stale file, one succeeds.
func Listen(addr string) (net.Listener, error) {
	l, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

func listen(addr string) (net.Listener, error) {
	if addr == "" {
		return nil, errors.New("no address given") // net would take it for every interface
	}
	if Network(addr) == "tcp" {
		l, err := net.Listen("tcp", addr)
		return l, reason(err)
	}
	if len(addr) > maxSocketPath {
		return nil, fmt.Errorf("socket path is %d bytes long, the limit is %d", len(addr), maxSocketPath)
	}
	if addr[0] == '@' { // Linux's abstract names leave no file behind
		l, err := net.Listen("unix", addr)
		return l, reason(err)
	}

	// Whether a file is stale, and its removal, cannot be one step: a second
	// starter could ask "does anybody answer?" before the first has begun to
	// listen and then remove the first one's new socket. So starters take
	// turns. The lock is on the directory, since a lock file would be litter,
	// and the kernel drops it when its holder dies.
	unlock, err := lockDir(filepath.Dir(addr))
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := bind(addr)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, reason(err)
	}
	if err := removeStale(addr); err != nil {
		return nil, err
	}
	l, err = bind(addr)
	return l, reason(err)
}

// lockPatience bounds the wait for another starter, which needs milliseconds. A
// directory that a stranger keeps locked is an error, not a hang.
const lockPatience = 5 * time.Second

// lockDir takes the exclusive lock on a directory, and returns what releases it.
// Where directories cannot be locked, of two servers that start at the same
// moment over one stale socket file, both may believe they replaced it.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := filelock.Lock(f, lockPatience); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// removeStale removes the socket file at path if nobody listens on it.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("there is a file that is not a socket (%s): %w", info.Mode(), syscall.EADDRINUSE)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("a server answers there: %w", syscall.EADDRINUSE)
	case errors.Is(err, syscall.ECONNREFUSED):
		// The one answer that says the file's owner is gone. A full backlog
		// (EAGAIN), a timeout or missing rights say that there may be somebody.
	default:
		return fmt.Errorf("cannot tell whether a server is there (%w): %w", reason(err), syscall.EADDRINUSE)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace the socket of a dead server: %w", err)
	}
	return nil
}

// reason strips the operation and address that package net puts before an
// error, for ours names them already.
func reason(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

func bind(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	info, err := os.Lstat(path)
	if err != nil {
		ul.Close()
		return nil, err
	}
	return &socketListener{UnixListener: ul, path: path, file: info}, nil
}

// socketListener removes its own socket file when it is closed, and no other.
// package net would remove whatever lies at the path.
type socketListener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
	err  error
}

// Close removes the file first and closes then. While the socket still listens no
// other starter takes the file for stale, and its inode number is not used again,
// so what compares equal is ours.
func (l *socketListener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(l.file, now) {
			os.Remove(l.path)
		}
		l.err = l.UnixListener.Close()
	})
	return l.err
}

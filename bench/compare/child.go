package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long is waited for what must come, on a busy machine too.
const patience = 60 * time.Second

// nursery starts the processes of other people's systems, and sees to it that none
// outlives this one: close kills them, and should this process die first, the kernel
// does. It is safe for concurrent use.
type nursery struct {
	dir string // for their files and logs

	// starts are carried out on one thread, which lives as long as the nursery: the
	// kernel's signal comes when the thread ends that started a child, not the process.
	starts chan func()

	mu       sync.Mutex
	children []*child
}

// newNursery returns a nursery whose children keep their files in a new directory
// under dir (empty: that for temporary files).
func newNursery(dir string) (*nursery, error) {
	dir, err := os.MkdirTemp(dir, "tandem-compare-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the systems: %w", err)
	}
	n := &nursery{dir: dir, starts: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for start := range n.starts {
			start()
		}
	}()
	return n, nil
}

// close ends all children, and removes their files.
func (n *nursery) close() error {
	n.mu.Lock()
	children := n.children
	n.children = nil
	n.mu.Unlock()
	for _, c := range children {
		c.kill()
	}
	close(n.starts)
	if err := os.RemoveAll(n.dir); err != nil {
		return fmt.Errorf("remove the systems' files: %w", err)
	}
	return nil
}

// place makes a directory for files of a system.
func (n *nursery) place(name string) (string, error) {
	dir := filepath.Join(n.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a directory for %s: %w", name, err)
	}
	return dir, nil
}

// child is a process. Its methods are safe for concurrent use.
type child struct {
	name string
	log  string // the file that has its output
	pid  int
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed
}

// start starts a program. That it serves is another matter: see await.
func (n *nursery) start(name string, argv ...string) (*child, error) {
	c := &child{name: name, log: filepath.Join(n.dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, out, out
	// In a group of its own: Ctrl-C is for this process, which ends the others in its turn.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	n.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.pid = cmd.Process.Pid
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	n.mu.Lock()
	n.children = append(n.children, c)
	n.mu.Unlock()
	return c, nil
}

// kill kills the process as kill -9 does, and returns when it is gone.
func (c *child) kill() {
	select {
	case <-c.done: // the process id may be another's by now
		return
	default:
	}
	// The process is not waited for before done is closed, so at worst it is a zombie.
	_ = syscall.Kill(c.pid, syscall.SIGKILL)
	<-c.done
}

// ended returns an error if the process has ended, with the last of its log.
func (c *child) ended() error {
	select {
	case <-c.done:
		text, _ := os.ReadFile(c.log)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("%s has ended (%v): %s", c.name, c.err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
	default:
		return nil
	}
}

// killAll kills those that were started.
func killAll(children ...*child) {
	for _, c := range children {
		if c != nil {
			c.kill()
		}
	}
}

// await asks again and again until there is no error, in patience, while some
// processes run.
func await(ctx context.Context, what string, ask func(context.Context) error, children ...*child) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for _, c := range children {
			if gone := c.ended(); gone != nil {
				return fmt.Errorf("wait for %s: %w", what, gone)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%w)", what, err, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// freePorts returns ports of the loopback address that nobody listens on. Programs that
// cannot be told to choose one themselves are given them at once.
func freePorts(n int) ([]int, error) {
	var ports []int
	var listeners []net.Listener
	var errs []error
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			errs = append(errs, fmt.Errorf("look for a free port: %w", err))
			break
		}
		listeners = append(listeners, l) // kept, so that the next is another one
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return ports, errors.Join(errs...)
}

// loopback returns the address of a port on this machine.
func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

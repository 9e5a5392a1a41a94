package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Spec is what to start.
type Spec struct {
	Name string   // for people, in errors
	Argv []string // the program and its arguments; Daemon makes those of the binary
	Env  []string // added to this process's environment, from which TANDEM_* is taken out
	Log  string   // the file that its standard error is appended to; empty: it is lost
}

// Daemon returns the command line of a process of the tandem binary as Start
// wants it: with a ready line in JSON, and orders on standard input.
func Daemon(binary, command string, args ...string) []string {
	return append([]string{binary, command, "--json", "--until-eof"}, args...)
}

// Process is one running process. Its methods are safe for concurrent use. It
// ends when this process does; who started it must wait for its end all the
// same (Kill, or Done after Leave), since only then is no goroutine of it left.
type Process struct {
	spec  Spec
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready Ready
	from  int64 // where its log begins in the file
	done  chan struct{}
	end   End // to be read when done is closed
}

const (
	// tailLines is how many lines of a log stand in an error.
	tailLines = 3
	// drainMax bounds the wait for a process's standard output after its end:
	// what it started may still hold it.
	drainMax = time.Second
	// freezeMax bounds the wait for a process to stand still, which takes as long as
	// the machine takes to let it run once more; freezeLook is how often to look.
	freezeMax  = 10 * time.Second
	freezeLook = 200 * time.Microsecond
)

// Start starts a process, and returns when it says that it is ready. The context
// bounds the start alone. On an error no process is left, and the error has the
// last lines of its log; it wraps an *End if the process ended by itself.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	p := &Process{spec: spec, done: make(chan struct{})}
	found, err := p.launch()
	if err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", spec.Name, strings.Join(spec.Argv, " "), err)
	}
	select {
	case p.ready = <-found.found:
		return p, nil
	case <-p.done:
	case <-ctx.Done():
		return nil, p.giveUp(ctx, found)
	}
	select {
	case p.ready = <-found.found: // it was ready, and then ended
		return p, nil
	default:
	}
	end := p.end
	if end.OK() {
		end.Tail = p.Tail(tailLines)
	}
	return nil, fmt.Errorf("%s ended before it was ready: %w", spec.Name, &end)
}

// launch starts the process and the goroutine that waits for its end.
func (p *Process) launch() (*readyWriter, error) {
	if len(p.spec.Argv) == 0 {
		return nil, errors.New("no command")
	}
	found := newReadyWriter()
	cmd := exec.Command(p.spec.Argv[0], p.spec.Argv[1:]...)
	cmd.Env = append(withoutSettings(os.Environ()), p.spec.Env...)
	cmd.Stdout = found
	cmd.WaitDelay = drainMax
	detach(cmd)
	// The process writes its log itself: no copying that could hold it up, and its
	// last words are kept even when this process is gone.
	if p.spec.Log != "" {
		log, err := openLog(p.spec.Log)
		if err != nil {
			return nil, fmt.Errorf("open its log: %w", err)
		}
		defer log.Close()
		if info, err := log.Stat(); err == nil {
			p.from = info.Size()
		}
		cmd.Stderr = log
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		stdin.Close()
		return nil, err
	}
	p.cmd, p.stdin = cmd, stdin
	go p.wait()
	return found, nil
}

// openLog opens a log to be appended to. Its directory is made if it is missing: that
// somebody has tidied up must not keep a server from being started again.
func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// wait waits for the end. Nobody else does.
func (p *Process) wait() {
	defer close(p.done)
	err := p.cmd.Wait() // closes stdin, too
	p.end = endOf(p.cmd.ProcessState, err)
	if !p.end.OK() {
		p.end.Tail = p.Tail(tailLines)
	}
}

// giveUp kills a process that does not get ready, and returns the error.
func (p *Process) giveUp(ctx context.Context, found *readyWriter) error {
	err := fmt.Errorf("%s: not ready: %w", p.spec.Name, context.Cause(ctx))
	if killed := p.Kill(); killed != nil {
		err = fmt.Errorf("%w; %w", err, killed)
	}
	for _, line := range append(p.Tail(tailLines), found.said()) {
		if line != "" {
			err = fmt.Errorf("%w | %s", err, line)
		}
	}
	return err
}

// Name returns the name that it was started by.
func (p *Process) Name() string { return p.spec.Name }

// Ready returns what the process said of itself when it was ready.
func (p *Process) Ready() Ready { return p.ready }

// Local returns the process id on this host. That of Ready is another one if the
// process was started through a shell, or on another host.
func (p *Process) Local() int { return p.cmd.Process.Pid }

// Kill kills the process as kill -9 does, and returns when it is gone. If it runs
// on another host, it is the command that started it which is killed here, and
// its end closes the process's input there. One that has ended is no error.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s, process %d: %w", p.spec.Name, p.Local(), err)
	}
	<-p.done
	return nil
}

// Freeze stops the process until Thaw, as kill -STOP does, and returns when it stands
// still (on Linux; elsewhere, soon before): it keeps its memory and connections and
// does nothing. It must be one of this host (see Ready and Local); elsewhere only the
// command that started it would stop, which is refused, as is one that has ended
// (os.ErrProcessDone). Where processes cannot be stopped the error wraps
// errors.ErrUnsupported. After any other error it may be stopped, as it may if Thaw
// comes at the same time.
func (p *Process) Freeze() error {
	if err := p.signal("freeze", freeze); err != nil {
		return err
	}
	for deadline := time.Now().Add(freezeMax); time.Now().Before(deadline); time.Sleep(freezeLook) {
		if still, err := standsStill(p.Local()); err != nil {
			return fmt.Errorf("freeze %s, process %d: %w", p.spec.Name, p.Local(), err)
		} else if still {
			return nil
		}
	}
	return fmt.Errorf("freeze %s, process %d: it does not stand still after %v", p.spec.Name, p.Local(), freezeMax)
}

// Thaw lets a frozen process go on; one that is not frozen does not notice.
// Errors are those of Freeze.
func (p *Process) Thaw() error { return p.signal("thaw", thaw) }

func (p *Process) signal(what string, send func(*os.Process) error) error {
	if p.ready.PID != p.Local() {
		return fmt.Errorf("%s %s: process %d is not a child of this one: %w", what, p.spec.Name, p.ready.PID, errors.ErrUnsupported)
	}
	if err := send(p.cmd.Process); err != nil {
		return fmt.Errorf("%s %s, process %d: %w", what, p.spec.Name, p.Local(), err)
	}
	return nil
}

// Leave asks the process to leave in order, as a first SIGTERM does, and does
// not wait for it (see Done). How long that takes is the process's affair; a
// frozen one hears of it when it is thawed. The error is about the asking: the
// process has ended, or ends just now.
func (p *Process) Leave() error { return p.order("leave") }

// Quit asks the process to end at once, handing nothing over, as a second SIGTERM
// does. It is Kill for processes of other hosts, too, but one that is frozen does
// not hear it. Otherwise it is as Leave.
func (p *Process) Quit() error { return p.order("kill") }

// order writes a line to the process. It fits into the pipe's buffer, and so
// does not wait for the process to read.
func (p *Process) order(line string) error {
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		return fmt.Errorf("ask %s to %s: %w", p.spec.Name, line, err)
	}
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended returns how the process ended, and false if it has not.
func (p *Process) Ended() (End, bool) {
	select {
	case <-p.done:
		return p.end, true
	default:
		return End{}, false
	}
}

// Err returns nil if the process runs or ended well, else an *End.
func (p *Process) Err() error {
	end, ended := p.Ended()
	if !ended || end.OK() {
		return nil
	}
	return &end
}

// Tail returns the last lines of the log that are not empty, at most n, of this
// life of the process; none if it has no log.
func (p *Process) Tail(n int) []string {
	if p.spec.Log == "" {
		return nil
	}
	return tail(p.spec.Log, p.from, n)
}

// withoutSettings returns an environment without the variables that set the
// flags of the tandem binary: what a child does hangs on its command line alone.
func withoutSettings(environ []string) []string {
	var kept []string
	for _, v := range environ {
		if !strings.HasPrefix(v, "TANDEM_") {
			kept = append(kept, v)
		}
	}
	return kept
}

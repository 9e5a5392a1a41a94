//go:build unix

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// detach puts a process that is to start into a process group of its own, so
// that what a terminal sends its foreground (Ctrl-C) reaches the parent alone,
// which ends its children in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// freeze and thaw stop a process, which it cannot refuse, and let it go on.
func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
func thaw(p *os.Process) error   { return p.Signal(syscall.SIGCONT) }

// signalNames has the signals that end processes in practice.
var signalNames = map[syscall.Signal]string{
	syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT",
	syscall.SIGKILL: "SIGKILL", syscall.SIGPIPE: "SIGPIPE", syscall.SIGQUIT: "SIGQUIT", syscall.SIGSEGV: "SIGSEGV",
	syscall.SIGTERM: "SIGTERM", syscall.SIGXCPU: "SIGXCPU",
}

// signalOf names the signal that ended a process, empty if none did.
func signalOf(state *os.ProcessState) string {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return ""
	}
	if name, ok := signalNames[status.Signal()]; ok {
		return name
	}
	return fmt.Sprintf("signal %d", int(status.Signal()))
}

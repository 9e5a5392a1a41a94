package endtoend

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var namespacesRequired = flag.Bool("namespaces.required", false, "fail where tests of hosts cannot make network namespaces, and do not skip them")

// insideVariable tells a copy of the test binary that it is in a network of its own.
const insideVariable = "ENDTOEND_INSIDE"

// inOwnNetwork reports whether this process is in a network of its own, where the
// test may do as it likes and be root. Elsewhere it has the test run by a copy of
// this process that is, and the test is over.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	attr, err := ownNetwork()
	if err != nil && *namespacesRequired {
		t.Fatalf("-namespaces.required: %v", err)
	} else if err != nil {
		t.Skipf("this machine makes no hosts for the test: %v", err)
	}
	pattern := "^" + t.Name() + "$"
	if given := flag.Lookup("test.run").Value.String(); regexp.MustCompile(`^\^?` + t.Name() + `\$?/`).MatchString(given) {
		pattern = given // it names subtests, and no other test: that would be in the same network
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.v="+flag.Lookup("test.v").Value.String(),
		"-test.timeout="+flag.Lookup("test.timeout").Value.String())
	cmd.Env = append(os.Environ(), insideVariable+"=1", binaryVariable+"="+binary)
	cmd.SysProcAttr = attr
	out, err := runAttached(cmd)
	t.Logf("in a network of its own:\n%s", out)
	require.NoError(t, err)
	return false
}

// runAttached runs a command that is killed if this process dies. That is the
// kernel's to do when the thread which started it ends, so this keeps it.
func runAttached(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.CombinedOutput()
}

// ownNetwork returns what has a process start as root of a network of its own. An
// error says why this machine does not let it.
func ownNetwork() (*syscall.SysProcAttr, error) {
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, err
		}
	}
	asRoot := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	asUser := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	ways := []*syscall.SysProcAttr{asRoot, asUser}
	if os.Getuid() != 0 {
		ways = ways[1:]
	}
	var failed []string
	for _, attr := range ways {
		cmd := exec.Command("sh", "-ec", `ip link set lo up
			ip link add br0 type bridge
			ip link add v0 type veth peer name v1
			ip route add blackhole 192.0.2.1/32`)
		cmd.SysProcAttr = attr
		out, err := runAttached(cmd)
		if err == nil {
			return attr, nil
		}
		failed = append(failed, strings.TrimSpace(fmt.Sprintf("%v %s", err, out)))
	}
	return nil, fmt.Errorf("a network namespace with a bridge and a route: %s", strings.Join(failed, "; "))
}

// network is hosts on a bridge, each a network namespace with one address. The test
// itself stands at the bridge: it is the clients' host.
type network struct {
	t       *testing.T
	gateway string // the address of the test
	hosts   map[string]*host
}

// host is the namespace of a process that does nothing else.
type host struct {
	addr  string
	port  string // the bridge's end of its cable
	enter []string
}

// newNetwork makes a network with these hosts, whose addresses begin with 10.77 and
// its number, which no other has. All is gone when the test ends.
func newNetwork(t *testing.T, number int, names ...string) *network {
	t.Helper()
	bridge, subnet := fmt.Sprintf("bridge%d", number), fmt.Sprintf("10.77.%d", number)
	n := &network{t: t, gateway: subnet + ".1", hosts: make(map[string]*host)}
	n.ip(nil, "link", "set", "lo", "up")
	n.ip(nil, "link", "add", bridge, "type", "bridge")
	n.ip(nil, "addr", "add", n.gateway+"/24", "dev", bridge)
	n.ip(nil, "link", "set", bridge, "up")
	for i, name := range names {
		pid := n.holder()
		h := &host{
			addr:  fmt.Sprintf("%s.%d", subnet, 10+i),
			port:  fmt.Sprintf("port%d.%d", number, i),
			enter: []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid)},
		}
		n.hosts[name] = h
		n.ip(nil, "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(pid))
		n.ip(nil, "link", "set", h.port, "master", bridge, "up")
		n.ip(h.enter, "link", "set", "lo", "up")
		n.ip(h.enter, "addr", "add", h.addr+"/24", "dev", "eth0")
		n.ip(h.enter, "link", "set", "eth0", "up")
		n.acceptAll(h)
	}
	return n
}

// holder starts a process that does nothing, in a new network namespace, until the
// test ends, and returns its process id.
func (n *network) holder() int {
	n.t.Helper()
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	stdin, err := cmd.StdinPipe() // which ends with this process
	require.NoError(n.t, err)
	require.NoError(n.t, cmd.Start())
	n.t.Cleanup(func() {
		stdin.Close()
		require.NoError(n.t, cmd.Wait())
	})
	return cmd.Process.Pid
}

// acceptAll has a host take packets from where it has no way to send any, which is
// what a cut in one direction is.
func (n *network) acceptAll(h *host) {
	n.t.Helper()
	n.run(h.enter, "sh", "-ec", `for f in /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/eth0/rp_filter; do
			[ "$(cat $f)" = 0 ] || echo 0 >$f
		done`)
}

// run runs a command on a host, or where the test is.
func (n *network) run(enter []string, args ...string) {
	n.t.Helper()
	args = append(enter[:len(enter):len(enter)], args...)
	// Not the test's context: hosts are mended when it has ended, too.
	out, err := exec.CommandContext(context.Background(), args[0], args[1:]...).CombinedOutput()
	require.NoError(n.t, err, "%s: %s", strings.Join(args, " "), bytes.TrimSpace(out))
}

func (n *network) ip(enter []string, args ...string) {
	n.t.Helper()
	n.run(enter, append([]string{"ip"}, args...)...)
}

// cut has what one host sends to another vanish. What the other sends arrives.
func (n *network) cut(from, to string) {
	n.t.Helper()
	n.ip(n.hosts[from].enter, "route", "add", "blackhole", n.hosts[to].addr+"/32")
}

// heal is the end of a cut.
func (n *network) heal(from, to string) {
	n.t.Helper()
	n.ip(n.hosts[from].enter, "route", "del", "blackhole", n.hosts[to].addr+"/32")
}

// unplug pulls a host's cable, and plug puts it back in.
func (n *network) unplug(name string) { n.ip(nil, "link", "set", n.hosts[name].port, "down") }
func (n *network) plug(name string)   { n.ip(nil, "link", "set", n.hosts[name].port, "up") }

package endtoend

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/cluster"
)

var sshRequired = flag.Bool("ssh.required", false, "fail where the test of tandem up over ssh cannot run, and do not skip it")

// sshPort is where the hosts' ssh servers listen.
const sshPort = 2222

// tandem up starts servers on other hosts by ssh, starts them again, and takes them
// with it when it is killed. The hosts are those of TestHosts.
func TestUpOverSSH(t *testing.T) {
	t.Parallel()
	if err := sshPossible(); err != nil && *sshRequired {
		t.Fatalf("-ssh.required: %v", err)
	} else if err != nil {
		t.Skipf("this machine lets the test run no ssh server: %v", err)
	}
	if !inOwnNetwork(t) {
		return
	}
	names := []string{"b", "c"}
	n := newNetwork(t, 1, names...)
	up := startUp(t, n.sshConfig(n.startSSH(names...), names...))
	first := up.await("a backup in sync", inSync)
	pids := up.pids()
	require.Len(t, pids, 1+len(names))

	monitor := up.await("the view service", func(e cluster.Event) bool { return e.Kind == cluster.Started && e.Host == "" }).Addr
	requireRun(t, 0, "", "put", "--monitor", monitor, "greeting", "it's here")
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGKILL))
	up.await("the primary's second life", func(e cluster.Event) bool {
		return e.Kind == cluster.Started && e.Name == first.Primary && e.Host != "" && e.PID != first.PID
	})
	up.await("the other primary, with a backup", func(e cluster.Event) bool { return inSync(e) && e.Primary != first.Primary })
	requireRun(t, 0, "it's here", "get", "--monitor", monitor, "greeting")

	up.kill()
	for _, pid := range up.pids() {
		eventually(t, fmt.Sprintf("process %d to end with the one that had it started", pid), func() bool {
			return gone(pid)
		})
	}
}

// gone reports whether there is no such process, or only what is left of one until
// its parent has heard of its end.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return os.IsNotExist(err) || strings.HasPrefix(state, "Z")
}

// sshPossible says why the test cannot run, if it cannot. An ssh server lets
// somebody in, and becomes that user, only if it is root outside of the test, too.
func sshPossible() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("this is user %d, and not root", os.Getuid())
	}
	for _, tool := range []string{"ssh", "ssh-keygen", "/usr/sbin/sshd", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	return nil
}

// startSSH starts an ssh server on each of the hosts, and returns the directory that
// has the keys and what else it takes to use them.
func (n *network) startSSH(names ...string) (dir string) {
	n.t.Helper()
	dir = n.t.TempDir()
	for _, key := range []string{"host", "user"} {
		n.run(nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
	}
	for _, name := range names {
		// The directory that the server changes its root to is nobody else's.
		start := fmt.Sprintf(`mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f /dev/null -p %d \
			-h %[2]s/host -o AuthorizedKeysFile=%[2]s/user.pub -o StrictModes=no -o UsePAM=no -o PidFile=none`, sshPort, dir)
		h := n.hosts[name]
		cmd := exec.Command(h.enter[0], append(h.enter[1:], "unshare", "--mount", "sh", "-ec", start)...)
		log, err := os.Create(filepath.Join(dir, "sshd."+name))
		require.NoError(n.t, err)
		defer log.Close()
		cmd.Stderr = log
		require.NoError(n.t, cmd.Start())
		n.t.Cleanup(func() {
			require.NoError(n.t, cmd.Process.Kill())
			cmd.Wait() // it was killed
			if n.t.Failed() {
				n.t.Logf("the end of the log of the ssh server of %s:\n%s", name, logTail(log.Name(), 40))
			}
		})
	}
	return dir
}

// sshConfig writes what ssh has to know to get to the hosts, waits until it does,
// and returns a cluster file of them, whose view service is on the test's own host.
func (n *network) sshConfig(dir string, names ...string) (path string) {
	n.t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	require.NoError(n.t, err)
	var known, servers strings.Builder
	for _, name := range names {
		fmt.Fprintf(&known, "[%s]:%d %s", n.hosts[name].addr, sshPort, key)
		fmt.Fprintf(&servers, "[[server]]\nhost = %q\n", n.hosts[name].addr)
	}
	config := filepath.Join(dir, "config")
	path = filepath.Join(dir, "cluster.toml")
	for file, text := range map[string]string{
		filepath.Join(dir, "known"): known.String(),
		config: fmt.Sprintf("Host *\nPort %d\nUser root\nBatchMode yes\nIdentitiesOnly yes\nIdentityFile %[2]s/user\n"+
			"UserKnownHostsFile %[2]s/known\nStrictHostKeyChecking yes\n", sshPort, dir),
		path: fmt.Sprintf("[monitor]\nhost = %q\n%s[remote]\ncommand = \"ssh -F %s {host} {command}\"\nbinary = %q\n",
			n.gateway, servers.String(), config, binary),
	} {
		require.NoError(n.t, os.WriteFile(file, []byte(text), 0o600))
	}
	for _, name := range names {
		eventually(n.t, "to get to "+name+" by ssh", func() bool {
			return exec.CommandContext(n.t.Context(), "ssh", "-F", config, n.hosts[name].addr, "true").Run() == nil
		})
	}
	return path
}

// upProcess is a process of tandem up, and what it has told.
type upProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	told chan struct{} // closed when it has told all

	mu     sync.Mutex
	events []cluster.Event
}

// startUp starts tandem up with a cluster file. It is killed when the test ends.
func startUp(t *testing.T, config string) *upProcess {
	t.Helper()
	u := &upProcess{t: t, told: make(chan struct{})}
	u.cmd = exec.Command(binary, "up", "--json", "--config", config, "--run-dir", t.TempDir(), "--dead-pings", patient[1])
	u.cmd.Stderr = os.Stderr
	out, err := u.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, u.cmd.Start())
	go func() {
		defer close(u.told)
		for events := json.NewDecoder(bufio.NewReader(out)); ; {
			var e cluster.Event
			if events.Decode(&e) != nil {
				return // it has ended
			}
			t.Log(e)
			u.mu.Lock()
			u.events = append(u.events, e)
			u.mu.Unlock()
		}
	}()
	t.Cleanup(u.kill)
	return u
}

// kill kills it as kill -9 does.
func (u *upProcess) kill() {
	u.cmd.Process.Kill() // it may have ended
	<-u.told
	u.cmd.Wait()
}

// await returns the first event that is as wanted.
func (u *upProcess) await(what string, wanted func(cluster.Event) bool) (found cluster.Event) {
	u.t.Helper()
	eventually(u.t, what, func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, e := range u.events {
			if wanted(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// inSync is an active view with a backup.
func inSync(e cluster.Event) bool { return e.Kind == cluster.ViewActive && e.Backup != "" }

// pids returns the process ids of all that was started.
func (u *upProcess) pids() (pids []int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range u.events {
		if e.Kind == cluster.Started {
			pids = append(pids, e.PID)
		}
	}
	return pids
}

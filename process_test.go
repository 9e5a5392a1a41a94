package tandem_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// childVariable tells a copy of this test binary to play a part, and nothing else.
const childVariable = "TANDEM_TEST_CHILD"

// child starts a process that plays a part, and returns what it says, line by
// line. It is killed when the test ends, and ends itself if the test's process
// dies.
func child(t testing.TB, part ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildProcess$")
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(part, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	in, err := cmd.StdinPipe() // held open for as long as this process lives
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// TestChildProcess is not a test, but what a child does.
func TestChildProcess(t *testing.T) {
	part := strings.Split(os.Getenv(childVariable), "\n")
	if part[0] == "" {
		t.Skip("it is for other tests to start")
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	switch part[0] {
	case "client": // the view service's address, and a name for its words
		k := kvservice.MakeKVClient(part[1])
		for i := 0; ; i++ {
			word := fmt.Sprintf("%s:%d", part[2], i)
			if err := k.AppendContext(context.Background(), "diary", word+" "); err != nil {
				t.Fatal(err)
			}
			fmt.Println("wrote", word)
		}
	case "servers": // directory; a view service and a server
		m, err := sysmonitor.Start(filepath.Join(part[1], "m"))
		require.NoError(t, err)
		_, err = kvservice.Start(m.Addr(), filepath.Join(part[1], "a"))
		require.NoError(t, err)
		var most uint64
		for {
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			if mem.HeapInuse > most {
				most = mem.HeapInuse
				fmt.Println("heap", most)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	t.Fatalf("no such part: %q", part)
}

//go:build unix

package endtoend

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binary is the tandem binary, as it is built from the tree that the test is in.
var binary string

// binaryVariable tells a copy of the test binary that is started by another where
// the tandem binary is.
const binaryVariable = "ENDTOEND_BINARY"

func TestMain(m *testing.M) {
	// The tests spend their time waiting for processes, so more of them than there
	// are processors run at once, unless -parallel is given.
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "4")
	}
	remove, err := provideBinary()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if err := remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = max(status, 1)
		}
		os.Exit(status)
	}))
}

// provideBinary builds the binary, unless whoever started this process has. The
// result removes it.
func provideBinary() (remove func() error, err error) {
	if binary = os.Getenv(binaryVariable); binary != "" {
		return func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "tandem-endtoend-")
	if err != nil {
		return nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	binary = filepath.Join(dir, "tandem")
	args := []string{"build", "-o", binary}
	if raceDetector {
		args = append(args, "-race")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", append(args, "..")...).CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build the tandem binary: %w: %s", err, out), remove())
	}
	return remove, nil
}

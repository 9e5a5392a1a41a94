package simulation

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hashesOf is the environment variable by which this test binary is told to be the
// other process.
const hashesOf = "TANDEM_SIMULATION_HASHES"

// TestOneSeedIsOneRunInEveryProcess runs the same seeds in processes of their own,
// on one processor and on two: the hash of every run is the same.
func TestOneSeedIsOneRunInEveryProcess(t *testing.T) {
	if os.Getenv(hashesOf) != "" {
		for seed := uint64(1); seed <= 25; seed++ {
			report, err := Run(Draw(seed))
			require.NoError(t, err)
			fmt.Printf("seed %d is %016x\n", seed, report.Hash)
		}
		return
	}
	var outputs []string
	for _, processors := range []string{"1", "2"} {
		c := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		c.Env = append(os.Environ(), hashesOf+"=1", "GOMAXPROCS="+processors)
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		lines := strings.SplitAfter(string(out), "\n")
		require.Greater(t, len(lines), 25, "%s", out)
		outputs = append(outputs, strings.Join(lines[:25], ""))
		require.Contains(t, outputs[0], "seed 25 is ")
	}
	require.Equal(t, outputs[0], outputs[1])
}

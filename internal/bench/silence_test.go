package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that was held up before it told of its answer makes no silence longer than
// some client waited.
func TestSilenceIsNoLongerThanAClientWaited(t *testing.T) {
	var s silence
	s.start = time.Now()
	at := func(ms int) time.Time { return s.start.Add(time.Duration(ms) * time.Millisecond) }
	s.answered(at(10))
	s.answered(at(30)) // of one client
	s.answered(at(5))  // of another, told late
	s.answered(at(45))
	require.Equal(t, 20*time.Millisecond, s.cut(at(50)))
	require.Equal(t, 15*time.Millisecond, s.cut(at(60)), "it goes on where the last one was cut")
}

package rpcnet

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever uses a call's memory again when it is Free gets the right reply each time, and
// the race detector has nothing to say. Some calls are given up meanwhile, and a connection
// is lost now and then: their memory is never free.
func TestMemoryOfACallIsUsedAgain(t *testing.T) {
	for _, propose := range [][]string{nil, probeMethods} {
		addr, w := start(t, ServerConfig{})
		tr := client(t, TransportConfig{Compact: propose})
		type job struct {
			Pending
			args, reply Msg
			err         error
			done        func(error)
		}
		back := make(chan *job, 64)
		begin := func(j *job, n int) {
			j.args, j.reply = Msg{N: n, Text: strconv.Itoa(n)}, Msg{}
			require.NoError(t, j.Queue(tr, addr, "Probe.Same", &j.args, &j.reply, j.done))
		}
		fresh := func(n int) *job {
			j := new(job)
			j.done = func(err error) { j.err = err; back <- j }
			begin(j, n)
			return j
		}
		underWay, again := 0, 0
		for n := range 5000 {
			if underWay < 8 {
				if j := fresh(n); n%3 > 0 || !j.Abandon() {
					underWay++
				}
				tr.Flush()
				continue
			}
			if n%1000 == 999 {
				w.locked(func() { w.conns[len(w.conns)-1].cut(ErrClosed) })
			}
			j := <-back
			underWay--
			if j.err != nil {
				continue
			}
			require.Equal(t, j.args, j.reply)
			if j.Free() {
				begin(j, n)
				tr.Flush()
				underWay++
				again++
			}
		}
		for ; underWay > 0; underWay-- {
			<-back
		}
		require.Greater(t, again, 100)
	}
}

package rpcnet

import (
	"encoding/gob"
	"io"
	"net/rpc"
	"path/filepath"
	"strconv"
	"strings"
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

// A server may answer what it has not yet read. Then the answer is taken, but the call is
// not free before its request has been written: if that fails, the writer looks at it.
func TestCallAnsweredTooSoonIsNotFreeUntilItIsWritten(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "s")
	listener, err := Listen(addr)
	require.NoError(t, err)
	defer listener.Close()
	tr := client(t, TransportConfig{})
	var p Pending
	var reply Msg
	answered := make(chan error, 1)
	args := &Msg{N: 1, Text: strings.Repeat("x", 8<<20)} // no socket takes it at once
	require.NoError(t, p.Queue(tr, addr, "Probe.Same", args, &reply, func(err error) { answered <- err }))
	tr.Flush()

	nc, err := listener.Accept()
	require.NoError(t, err)
	defer nc.Close()
	var first [1]byte
	_, err = nc.Read(first[:]) // it is being written
	require.NoError(t, err)
	enc := gob.NewEncoder(nc)
	require.NoError(t, enc.Encode(&rpc.Response{ServiceMethod: "Probe.Same", Seq: 1}))
	require.NoError(t, enc.Encode(&Msg{N: 2}))
	require.NoError(t, <-answered)
	require.Equal(t, 2, reply.N)
	require.False(t, p.Free())

	go io.Copy(io.Discard, nc) // ends with the connection
	eventually(t, "free", p.Free)
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"sync"

	"github.com/tandemkv/tandem/internal/cluster"
)

// echoCommand is the word by which this program, started by itself, is a server of the
// yardstick. What follows is the address of the server to forward to, if there is one.
const echoCommand = "echo-server"

// What the yardstick's calls carry.
type (
	// EchoPut is a write.
	EchoPut struct{ Key, Value string }
	// EchoDone is an answer that says nothing more.
	EchoDone struct{}
	// EchoGet is a read.
	EchoGet struct{ Key string }
	// EchoGot is its answer.
	EchoGot struct {
		Value string
		OK    bool
	}
	// EchoBatch is what was to be forwarded while the last batch was under way.
	EchoBatch struct{ Puts []EchoPut }
)

// Echo is a server that keeps what it is told in a map, so that its clients can be
// checked as those of all others, and does nothing else.
type Echo struct {
	mu   sync.RWMutex
	data map[string]string
	next *forwarder // nil: it is the last
}

// Put keeps a value, when the next server has it.
func (e *Echo) Put(args *EchoPut, _ *EchoDone) error {
	if e.next != nil {
		if err := e.next.forward(args); err != nil {
			return err
		}
	}
	e.mu.Lock()
	e.data[args.Key] = args.Value
	e.mu.Unlock()
	return nil
}

// Batch keeps the values of a batch.
func (e *Echo) Batch(args *EchoBatch, _ *EchoDone) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range args.Puts {
		e.data[args.Puts[i].Key] = args.Puts[i].Value
	}
	return nil
}

// Get returns a value.
func (e *Echo) Get(args *EchoGet, reply *EchoGot) error {
	e.mu.RLock()
	reply.Value, reply.OK = e.data[args.Key]
	e.mu.RUnlock()
	return nil
}

// forwarder sends what arrives while a batch is under way in the next one.
type forwarder struct {
	conn *rpc.Client

	mu      sync.Mutex
	sending bool
	batch   *pendingBatch // the next one
}

// pendingBatch is a batch, and those who wait for it.
type pendingBatch struct {
	puts []EchoPut
	done chan struct{} // closed when it is answered
	err  error
}

// forward returns when the next server has a value.
func (f *forwarder) forward(put *EchoPut) error {
	f.mu.Lock()
	b := f.batch
	b.puts = append(b.puts, *put)
	if !f.sending {
		f.sending = true
		go f.send()
	}
	f.mu.Unlock()
	<-b.done
	return b.err
}

// send sends batches until there is nothing left.
func (f *forwarder) send() {
	for {
		f.mu.Lock()
		b := f.batch
		if len(b.puts) == 0 {
			f.sending = false
			f.mu.Unlock()
			return
		}
		f.batch = newPendingBatch()
		f.mu.Unlock()
		b.err = f.conn.Call("Echo.Batch", &EchoBatch{Puts: b.puts}, &EchoDone{})
		close(b.done)
	}
}

func newPendingBatch() *pendingBatch { return &pendingBatch{done: make(chan struct{})} }

// serveEcho is the process of an echo server. It ends when its input does, which is
// when the process that started it ends.
func serveEcho(args []string) error {
	e := &Echo{data: make(map[string]string)}
	if len(args) > 0 {
		conn, err := rpc.Dial("tcp", args[0])
		if err != nil {
			return fmt.Errorf("dial the next server: %w", err)
		}
		e.next = &forwarder{conn: conn, batch: newPendingBatch()}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := rpc.NewServer()
	if err := server.Register(e); err != nil {
		return err
	}
	go server.Accept(l)
	ready := cluster.Ready{Role: "echo", Addr: l.Addr().String(), PID: os.Getpid()}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return fmt.Errorf("say that it serves: %w", err)
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

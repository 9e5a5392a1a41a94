package replica_test

import (
	"fmt"
	"testing"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// null is a Machine that does nothing, for measuring what is not the machine.
type null struct{}

func (null) Apply(replica.Entry) []byte             { return nil }
func (null) Read([]byte) []byte                     { return nil }
func (null) Duplicate(_, _ uint64) ([]byte, bool)   { return nil, false }
func (null) Housekeeping(int64) []byte              { return nil }
func (null) Tick()                                  {}
func (null) Snapshot() replica.Snapshot             { return null{} }
func (null) Empty() replica.Machine                 { return null{} }
func (null) Load([]byte) error                      { return nil }
func (null) Loaded() bool                           { return true }
func (null) Clone() replica.Machine                 { return null{} }
func (null) AppendState(b []byte) []byte            { return b }
func (null) Chunk([]byte, int) (chunk, next []byte) { return nil, nil }
func (null) Size() int                              { return 0 }

// benchPair is a joint pair of replicas around machines that do nothing.
func benchPair() *pair {
	cfg := replica.Config{Self: pairView.PrimaryServer(), Machine: null{}}
	p := &pair{primary: replica.New(cfg)}
	cfg.Self = pairView.BackupServer()
	p.backup = replica.New(cfg)
	p.primary.ViewHeard(soloView, 1)
	p.take(p.primary)
	return p.join()
}

// settle carries out what a replica wants, and hands its messages to another.
func settle(from, to *replica.Replica) {
	for {
		e := from.TakeEffects()
		for i := range e.Messages {
			to.Deliver(e.Messages[i])
		}
		keep := e.Keep != nil
		if keep {
			from.Durable(e.Keep.Generation, e.Keep.Last)
		}
		from.Reuse(e)
		if !keep {
			return
		}
	}
}

// BenchmarkUpdates measures both servers' part in updates that come in batches:
// what the primary orders, keeps, forwards, commits and answers, and what the
// backup takes in, keeps, acknowledges and, with the next, applies.
func BenchmarkUpdates(b *testing.B) {
	payload := make([]byte, 130)
	for _, batch := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			p := benchPair()
			number := uint64(0)
			b.ReportAllocs()
			for n := 0; n < b.N; n += batch {
				number++
				for i := range batch {
					p.id++
					p.primary.Submit(replica.Request{ID: p.id, Payload: payload, Session: uint64(i + 1), Number: number})
				}
				settle(p.primary, p.backup)
				settle(p.backup, p.primary)
			}
			settle(p.primary, p.backup)
			if st := p.primary.Status(); st.Applied < uint64(b.N) {
				b.Fatalf("applied %d of %d", st.Applied, b.N)
			}
		})
	}
}

// BenchmarkBackup measures the backup alone: forwards of so many entries taken in,
// kept, acknowledged and applied.
func BenchmarkBackup(b *testing.B) {
	payload := make([]byte, 130)
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			p := benchPair()
			index, seq := p.backup.Status().Last, uint64(1000)
			b.ReportAllocs()
			for n := 0; n < b.N; n += batch {
				entries := make([]replica.Entry, batch)
				for i := range entries {
					entries[i] = replica.Entry{Epoch: 2, Index: index + uint64(i) + 1, Payload: payload}
				}
				seq++
				p.backup.Deliver(replica.Message{
					Kind: replica.Forward, View: pairView, From: pairView.PrimaryServer(), To: pairView.BackupServer(),
					Seq: seq, Index: index, Commit: index, Entries: entries,
				})
				settle(p.backup, p.primary) // which does not know what it is told
				index += uint64(batch)
			}
		})
	}
}

// BenchmarkReads measures reads of which so many wait for one confirmation (rule R2).
func BenchmarkReads(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprint("waiting=", batch), func(b *testing.B) {
			p := benchPair()
			query := make([]byte, 20)
			b.ReportAllocs()
			for n := 0; n < b.N; n += batch {
				for range batch {
					p.id++
					p.primary.Submit(replica.Request{ID: p.id, Kind: replica.Read, Payload: query})
				}
				settle(p.primary, p.backup)
				settle(p.backup, p.primary)
				settle(p.primary, p.backup)
			}
			if st := p.primary.Status(); st.Waiting != 0 {
				b.Fatalf("%d still wait", st.Waiting)
			}
		})
	}
}

// BenchmarkForget measures what a primary does when the connection ends over which
// many of the requests came that wait, some of them in the log and some for room there.
func BenchmarkForget(b *testing.B) {
	payload := make([]byte, 130)
	for _, n := range []int{256, 1024} {
		b.Run(fmt.Sprint("requests=", n), func(b *testing.B) {
			full := benchPair().primary
			id := uint64(0)
			for full.Status().Waiting < 16000 {
				id++
				full.Submit(replica.Request{ID: id, Payload: payload})
			}
			gone := make([]uint64, n)
			for i := range gone {
				gone[i] = id - uint64(i)*23 // of the others' in between
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				r := full.Clone()
				b.StartTimer()
				r.Forget(gone...)
			}
		})
	}
}

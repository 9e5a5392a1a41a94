package replica_test

import (
	"bytes"
	"encoding/gob"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// FuzzDeliver delivers whatever can be decoded as messages to primaries that offer a
// transfer, in the middle of one, and joint, to backups that wait for one, take in
// missing entries, and are in sync, and to a server without a view. Sender, receiver
// and view are made to fit half of them, or rule N1 would keep them all out. None may
// make it panic, but for the report that two primaries seem to have ordered
// different entries (I5), which stops a server on purpose; and its books stay right.
func FuzzDeliver(f *testing.F) {
	for _, m := range []replica.Message{
		{Kind: replica.Forward, Seq: 3, Index: 1, Commit: 1, Entries: []replica.Entry{{Epoch: 2, Index: 2, Payload: []byte("0/0 put k v")}}},
		{Kind: replica.Acknowledge, Seq: 2, Index: 2},
		{Kind: replica.Gap, Seq: 2, Index: 1},
		{Kind: replica.Chunk, Seq: 1, ChunkLast: true, SnapIndex: 1 << 63, Data: []byte{1}},
		{Kind: replica.ChunkTaken, Seq: 1, SnapIndex: 2, ChunkNumber: 1},
		{Kind: replica.Installed, Seq: 1, Index: 2},
		{Kind: replica.Offer, Seq: 3},
		{Kind: replica.Holds, Seq: 1, DeltaIndex: 1, DeltaEpoch: 1, Grace: 1},
		{Kind: replica.Chunk, Seq: 2, ChunkLast: true, SnapIndex: 2, Delta: true, DeltaIndex: 1, DeltaEpoch: 1, Entries: []replica.Entry{{Epoch: 2, Index: 2}}},
		{Kind: replica.ChunkTaken, Seq: 2, SnapIndex: 2, ChunkNumber: 1, Delta: true},
	} {
		var b bytes.Buffer
		e := gob.NewEncoder(&b)
		require.NoError(f, e.Encode(m))
		m.Seq++
		require.NoError(f, e.Encode(m))
		f.Add(b.Bytes(), uint8(0xff))
		f.Add(b.Bytes(), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, fitting uint8) {
		for role, n := range fuzzed(t) {
			d := gob.NewDecoder(bytes.NewReader(data))
			for i := range 8 {
				var m replica.Message
				if d.Decode(&m) != nil {
					break
				}
				if fitting>>i&1 == 1 {
					fit(&m, n)
				}
				deliverGarbage(t, role, n, m)
			}
		}
	})
}

// FuzzDeliverFields does the same with the fields of two messages, which are easier
// to vary.
func FuzzDeliverFields(f *testing.F) {
	f.Add(uint8(1), uint64(2), uint64(2), uint64(0), uint64(3), uint64(2), []byte("0/0 put k v"), true)
	f.Add(uint8(4), uint64(1), uint64(1), uint64(1), uint64(2), uint64(0), []byte{1, 1, 0, 0}, true)
	f.Add(uint8(5), uint64(2), uint64(2), uint64(1), uint64(3), uint64(2), []byte{}, false)
	f.Add(uint8(8), uint64(1), uint64(1), uint64(1), uint64(2), uint64(0), []byte{}, true)
	f.Fuzz(func(t *testing.T, kind uint8, seq, index, commit, first, number uint64, data []byte, last bool) {
		for role, n := range fuzzed(t) {
			for i := range uint64(2) {
				m := replica.Message{
					Kind: replica.Kind(kind) + replica.Kind(i), Seq: seq + i, Index: index, Commit: commit,
					ChunkNumber: number, ChunkLast: last, SnapIndex: index, SnapEpoch: 1, Data: data,
					Delta: last != (i == 1), DeltaIndex: commit, DeltaEpoch: 1, Grace: time.Duration(seq),
					Entries: []replica.Entry{{Epoch: 2, Index: first, Payload: data}, {Epoch: 2, Index: first + 1}},
				}
				fit(&m, n)
				deliverGarbage(t, role, n, m)
			}
		}
	})
}

// fit makes a message one between the members of the receiver's view.
func fit(m *replica.Message, n *replica.Replica) {
	st := n.Status()
	m.View, m.To, m.From = st.View, st.Self, st.View.PrimaryServer()
	if m.To == m.From {
		m.From = st.View.BackupServer()
	}
}

func deliverGarbage(t *testing.T, role string, n *replica.Replica, m replica.Message) {
	defer func() {
		if e := recover(); e != nil {
			broken, ok := e.(*tandem.InvariantError)
			if !ok || broken.Invariant != "I5" {
				panic(e)
			}
		}
	}()
	before := n.Status()
	n.Deliver(m)
	n.TakeEffects()
	n.Durable(1, m.Index)
	n.TakeEffects()
	require.NoError(t, n.Audit(), role)
	after := n.Status()
	require.LessOrEqual(t, before.View.Viewnum, after.View.Viewnum, "I1")
	require.LessOrEqual(t, after.Applied, after.Commit, "I6")
	require.LessOrEqual(t, after.Commit, after.Last, "I6")
	n.Tick()
	n.TakeEffects()
	require.True(t, n.Equal(n.Clone()), role)
}

// fuzzed returns servers in several roles.
func fuzzed(t *testing.T) map[string]*replica.Replica {
	all := map[string]*replica.Replica{"fresh": replica.New(replica.Config{Self: tandem.Server{Addr: "c", Incarnation: 3}, Machine: newRecorder()})}
	cfg := replica.Config{ChunkBytes: 20, ChunkWindow: 2, Lease: time.Second, Grace: time.Second}
	p := newPair(cfg)
	p.put("0/0 put k v")
	p.primary.ViewHeard(pairView, 0)
	p.put("0/0 put k w")
	all["offering"] = p.primary.Clone()
	p.step()
	p.step()
	all["transferring"], all["waiting"] = p.primary.Clone(), p.backup.Clone()
	p.exchange()
	p.put("0/0 put k x")
	all["joint"], all["backup"] = p.primary.Clone(), p.backup.Clone()
	require.Equal(t, replica.Joint, p.primary.Status().Authority)

	cfg.ChunkBytes = 1
	p = newPair(cfg)
	p.put("0/0 put k v")
	p.join()
	p.backAgain(3)
	for p.primary.Status().TransferChunksTaken == 0 {
		p.step()
	}
	all["sending a delta"], all["taking a delta"] = p.primary.Clone(), p.backup.Clone()
	return all
}

package replica_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// pair is a primary and its backup on a perfect net with perfect disks.
type pair struct {
	primary, backup *replica.Replica
	messages        []replica.Message
	answered        int
	id              uint64
}

var soloView = tandem.View{Viewnum: 1, Primary: "a", PrimaryIncarnation: 1, Cluster: 7}

var pairView = tandem.View{Viewnum: 2, Primary: "a", PrimaryIncarnation: 1, Backup: "b", BackupIncarnation: 2, Cluster: 7}

// newPair returns a solo primary of view 1 and a server without a view.
func newPair(cfg replica.Config) *pair {
	cfg.Self, cfg.Machine = pairView.PrimaryServer(), newRecorder()
	p := &pair{primary: replica.New(cfg)}
	cfg.Self, cfg.Machine = pairView.BackupServer(), newRecorder()
	p.backup = replica.New(cfg)
	p.primary.ViewHeard(soloView, 1)
	p.take(p.primary)
	return p
}

// join makes the pair joint, in the active view 2.
func (p *pair) join() *pair {
	p.primary.ViewHeard(pairView, 0)
	p.exchange()
	p.primary.ViewHeard(pairView, 2)
	return p
}

func (p *pair) take(r *replica.Replica) {
	for {
		e := r.TakeEffects()
		p.messages = append(p.messages, e.Messages...)
		p.answered += len(e.Replies)
		keep := e.Keep != nil
		if keep {
			r.Durable(e.Keep.Generation, e.Keep.Last)
		}
		r.Reuse(e)
		if !keep {
			return
		}
	}
}

// exchange delivers until there is nothing to deliver.
func (p *pair) exchange() {
	p.take(p.primary)
	for len(p.messages) > 0 {
		p.step()
	}
}

// step delivers what is on its way.
func (p *pair) step() {
	messages := p.messages
	p.messages = nil
	for _, m := range messages {
		if m.To == p.primary.Status().Self {
			p.primary.Deliver(m)
		} else {
			p.backup.Deliver(m)
		}
	}
	p.take(p.primary)
	p.take(p.backup)
}

// backAgain makes the backup of a joint pair miss so many updates, and be the backup
// of view 4; what brings it up to date is on its way.
func (p *pair) backAgain(updates int) {
	p.exchange()
	alone := pairView
	alone.Viewnum, alone.Backup, alone.BackupIncarnation = 3, "", 0
	p.primary.ViewHeard(alone, 3)
	for range updates {
		p.put("0/0 put k missed")
	}
	again := pairView
	again.Viewnum = 4
	p.primary.ViewHeard(again, 0)
	p.take(p.primary)
}

func (p *pair) put(payload string) {
	p.id++
	p.primary.Submit(replica.Request{ID: p.id, Payload: []byte(payload)})
	p.take(p.primary)
}

// TestStatesThatBehaveAlike shows what the canonical state leaves out: messages
// that were answered are as good as none, and pings are not counted.
func TestStatesThatBehaveAlike(t *testing.T) {
	p := newPair(replica.Config{PingTicks: 5, HeartbeatTicks: 5}).join()
	p.exchange()
	primary, backup := p.primary.Clone(), p.backup.Clone()
	for range 10 {
		p.primary.Tick()
		p.backup.Tick()
		p.exchange()
	}
	require.True(t, primary.Equal(p.primary))
	require.True(t, backup.Equal(p.backup))
	require.Equal(t, primary.Hash(), p.primary.Hash())
	require.Equal(t, backup.Hash(), p.backup.Hash())

	p.primary.Submit(replica.Request{Payload: []byte("0/0 put k v")})
	require.False(t, primary.Equal(p.primary))
	require.NotEqual(t, primary.Hash(), p.primary.Hash())
}

// TestSnapshotBelongsToTheState: two primaries that differ only in the snapshot that
// they are sending do not behave alike.
func TestSnapshotBelongsToTheState(t *testing.T) {
	sending := func(state string) *replica.Replica {
		r := replica.New(replica.Config{Self: pairView.PrimaryServer(), Machine: hidden{state: state}, WholeTransfers: true})
		r.ViewHeard(pairView, 0)
		return r
	}
	require.True(t, sending("x").Equal(sending("x")))
	require.False(t, sending("x").Equal(sending("y")))
}

// hidden is a Machine whose snapshots show more than its state.
type hidden struct {
	null
	state string
}

func (h hidden) Snapshot() replica.Snapshot             { return h }
func (h hidden) Chunk([]byte, int) (chunk, next []byte) { return []byte(h.state), nil }
func (h hidden) Size() int                              { return len(h.state) }

// TestCloneInMidTransfer: what original and clone load of a transfer is their own.
func TestCloneInMidTransfer(t *testing.T) {
	p := newPair(replica.Config{ChunkBytes: 1, ChunkWindow: 10, WholeTransfers: true})
	for range 3 {
		p.put("0/0 put k v")
	}
	p.primary.ViewHeard(pairView, 0)
	p.take(p.primary)
	chunks := p.messages
	require.Len(t, chunks, 3)
	p.backup.Deliver(chunks[0])
	clone := p.backup.Clone()
	for _, r := range []*replica.Replica{p.backup, clone} {
		r.Deliver(chunks[1])
		r.Deliver(chunks[2])
		require.True(t, r.Status().Installed)
	}
}

// TestConfiguredMachineIsLetGo: a transfer replaces the machine, which may be large.
func TestConfiguredMachineIsLetGo(t *testing.T) {
	r := replica.New(replica.Config{Machine: newRecorder()})
	require.False(t, r.RetainsConfiguredMachine())
}

// TestPipelinedForwardsWithoutRewind: in order and without faults nothing is sent
// twice (rule L1), and each batch costs one message each way.
func TestPipelinedForwardsWithoutRewind(t *testing.T) {
	p := newPair(replica.Config{}).join()
	p.exchange()
	before := p.primary.Status().Stats.Forwards
	for range 1000 {
		for range 3 {
			p.put("0/0 put k v") // sent at once, delivered later
		}
		p.exchange()
	}
	st := p.primary.Status()
	require.Zero(t, st.Stats.Rewinds)
	require.Zero(t, st.Stats.Resends)
	require.EqualValues(t, 3000, st.Stats.Forwards-before)
	require.EqualValues(t, 3000, st.Applied)
}

// TestWritesGoOnThroughALongTransfer is rule T5: what is kept for a transfer reaches its
// bound when the transfer is done, and not long before.
func TestWritesGoOnThroughALongTransfer(t *testing.T) {
	const pairs, kept = 1000, 40
	size := len("0/0 put k v") + replica.EntryOverhead
	for name, whole := range map[string]bool{"whole": true, "missing": false} {
		t.Run(name, func(t *testing.T) {
			p := newPair(replica.Config{
				ChunkBytes: size, ChunkWindow: 1, WholeTransfers: whole, MaxTransferBytes: kept * size,
				MaxEntriesToRetain: 2 * pairs, MaxBytesToRetain: 2 * pairs * size,
			}).join()
			p.backAgain(pairs)
			p.step() // to the backup, and
			p.step() // back: now it is decided what is sent
			before := p.answered
			for range 3 * kept {
				p.put("0/0 put k v")
			}
			require.Equal(t, kept/2, p.answered-before, "those that are free")

			var silences []int // steps
			last, steps, answered, during := 0, 0, p.answered, 0
			for p.primary.Status().TransferRunning {
				during = p.answered - before
				p.step()
				if steps++; p.answered > answered {
					silences = append(silences, steps-last)
					last, answered = steps, p.answered
				}
			}
			require.Greater(t, steps, 200)
			require.Less(t, slices.Max(silences), steps/10, "%v", silences)
			require.LessOrEqual(t, during, kept)
			require.Greater(t, during, kept*8/10)
			p.exchange()
			require.Equal(t, 3*kept, p.answered-before)
		})
	}
}

package tandem_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/kvservice/store"
)

// transferKeys are the keys of the store that is brought over in BenchmarkTransfer.
const transferKeys = 200_000

// BenchmarkTransfer brings a new backup up to date (rule T1) while others write, and
// one that missed a tenth of that many writes (T4): two cores with their stores, and no
// network. It reports the time of the steps in which the primary's clients wait, since
// no other event is served meanwhile, and what commits wait for when it turns joint (A4).
func BenchmarkTransfer(b *testing.B) {
	b.Run("whole", func(b *testing.B) { benchmarkTransfer(b, newTransferred) })
	b.Run("missing", func(b *testing.B) {
		benchmarkTransfer(b, func(b *testing.B) *transferred {
			p := newTransferred(b)
			p.view(p.backup)
			p.exchange()
			p.view(tandem.Server{})
			for range transferKeys / 10 {
				p.put()
				p.take(0)
			}
			return p
		})
	})
}

func benchmarkTransfer(b *testing.B, start func(*testing.B) *transferred) {
	b.ReportAllocs()
	var took time.Duration
	var steps []time.Duration
	rest := 0
	for b.Loop() {
		b.StopTimer()
		p := start(b)
		p.steps = nil
		b.StartTimer()
		began := time.Now()
		p.view(p.backup)
		p.exchange()
		took += time.Since(began)
		steps, rest = append(steps, p.steps...), max(rest, p.rest)
	}
	slices.Sort(steps)
	b.ReportMetric(float64(transferKeys)*float64(b.N)/took.Seconds(), "keys/s")
	b.ReportMetric(float64(median(steps).Microseconds()), "median-step-µs")
	b.ReportMetric(float64(steps[len(steps)*99/100].Microseconds()), "p99-step-µs")
	b.ReportMetric(float64(rest), "rest-B")
}

// transferred is a primary with a full store and a server that is to be its backup.
type transferred struct {
	b       *testing.B
	rng     *rand.Rand
	number  uint
	backup  tandem.Server
	servers [2]*replica.Replica
	to      [2][]replica.Message
	id      uint64
	steps   []time.Duration // of the primary
	rest    int             // bytes that the backup lacked when the primary turned joint
}

func newTransferred(b *testing.B) *transferred {
	p := &transferred{b: b, rng: rand.New(rand.NewPCG(1, 1)), backup: tandem.Server{Addr: "b", Incarnation: 2}}
	for i, self := range []tandem.Server{{Addr: "a", Incarnation: 1}, p.backup} {
		p.servers[i] = replica.New(replica.Config{
			Self: self, Machine: store.New(store.Limits{}),
			MaxEntriesToRetain: transferKeys, MaxBytesToRetain: 64 << 20,
		})
	}
	p.view(tandem.Server{})
	for key := range transferKeys {
		p.order(key)
		p.take(0)
	}
	return p
}

// view lets both hear of the next view.
func (p *transferred) view(backup tandem.Server) {
	p.number++
	v := tandem.View{
		Viewnum: p.number, Cluster: 1, Primary: "a", PrimaryIncarnation: 1,
		Backup: backup.Addr, BackupIncarnation: backup.Incarnation,
	}
	p.servers[1].ViewHeard(v, p.number-1)
	p.step(func() { p.servers[0].ViewHeard(v, p.number-1) })
	if backup.Addr == "" {
		p.step(func() { p.servers[0].ViewHeard(v, p.number) })
	}
}

func (p *transferred) order(key int) {
	c := store.Command{Kind: store.Update, Writes: []store.Write{
		{Op: tandem.OpPut, Key: fmt.Sprintf("%016d", key), Value: fmt.Sprintf("%0100d", p.id)},
	}}
	p.id++
	p.servers[0].Submit(replica.Request{ID: p.id, Kind: replica.Update, Payload: c.Append(nil)})
}

// put overwrites a key.
func (p *transferred) put() { p.order(p.rng.IntN(transferKeys)) }

// step is an event at the primary, and what follows from it.
func (p *transferred) step(event func()) {
	began := time.Now()
	before := p.servers[0].Status().Authority
	event()
	if st := p.servers[0].Status(); st.Authority == replica.Joint && before != replica.Joint {
		p.rest = max(p.rest, st.BackupLagBytes)
	}
	p.take(0)
	p.steps = append(p.steps, time.Since(began))
}

// take takes the effects of a server. What it keeps is durable at once.
func (p *transferred) take(i int) {
	for kept := true; kept; {
		e := p.servers[i].TakeEffects()
		p.to[1-i] = append(p.to[1-i], e.Messages...)
		if kept = e.Keep != nil; kept {
			p.servers[i].Durable(e.Keep.Generation, e.Keep.Last)
		}
	}
}

// exchange delivers messages until the backup is in sync, with eight writes for each
// that the primary gets.
func (p *transferred) exchange() {
	for !p.servers[0].Status().BackupInSync {
		require.NotZero(p.b, len(p.to[0])+len(p.to[1]), "nothing more is said")
		for i := range p.servers {
			mail := p.to[i]
			p.to[i] = nil
			for _, m := range mail {
				p.deliver(i, m)
			}
			p.take(i)
		}
	}
}

func (p *transferred) deliver(i int, m replica.Message) {
	if i == 1 {
		p.servers[1].Deliver(m)
		p.take(1)
		return
	}
	p.step(func() { p.servers[0].Deliver(m) })
	for range 8 {
		p.put()
	}
}

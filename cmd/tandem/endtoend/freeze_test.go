//go:build unix

package endtoend

import (
	"testing"

	"github.com/tandemkv/tandem/kvservice"
)

// A primary that stands still for longer than it takes to be followed by its backup,
// and goes on in the belief that it is the primary, answers nothing that is stale, of
// whoever asks it: what it was asked before it stood still, meanwhile, and after.
//
// On every other round nobody can have told it what has happened: the view service,
// which it waits for with a question, has been killed and is another process, and all
// stand still when it goes on. It would catch a breach of R2.
func TestFrozenPrimary(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	l := g.startLoad(4, false)
	w := g.startWitness()
	for round := range 4 {
		before := g.waitWell()
		w.grows()
		asker := w.askers[before.primary]
		asker.asks(10)

		g.freeze(before.primary)
		ignorant := round%2 == 1
		if ignorant {
			g.kill(monitorName)
			g.start(monitorName)
		}
		g.wait("the backup to take over", func() bool {
			now, _ := g.roles()
			return now.view > before.view && now.primary == before.backup
		})
		w.grows()      // the frozen one does not know it,
		asker.asks(10) // and is asked for it
		asked, answered := asker.asked.Load(), asker.answers()
		if ignorant {
			g.thawAlone(before.primary)
		} else {
			g.thaw(before.primary)
		}
		g.wait("it to answer what it was asked", func() bool { return asker.answers()-answered >= 10 })
		asker.asks(10)
		t.Logf("%s was frozen in view %d, and has been asked %d times before it went on; to all it was asked: %v", before.primary, before.view, asked, asker)
		g.waitWell()
	}
	w.stop()
	l.finish()
}

// thawAlone lets a frozen server go on while all others stand still, for as long as
// it takes it to read the questions that wait for it, and then all.
func (g *group) thawAlone(name string) {
	g.t.Helper()
	var others []string
	for other := range g.running {
		if other != name {
			g.freeze(other)
			others = append(others, other)
		}
	}
	g.thaw(name)
	g.wait("it to have read what it was asked", func() bool {
		st, err := kvservice.ReadStatus(g.t.Context(), g.places[name].reach())
		return err == nil && st.Waiting >= 10 || g.t.Failed()
	})
	for _, other := range others {
		g.thaw(other)
	}
}

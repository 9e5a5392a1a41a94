package simulation

import "github.com/tandemkv/tandem/kvservice/replica"

// goBackTicks is how many of its ticks a primary has to answer a gap: it may be
// slow to let go of what it sends (Options.Lazy).
const goBackTicks = 8

// goBack watches that a primary whose backup names a gap sends again from there
// (rule L1). It need not wait for anything, so that no other fault is an excuse.
type goBack struct {
	view     uint
	forwards []sentForward // of this view
	from     uint64        // where the backup's log ends
	left     int           // ticks until the primary has to have gone back there; 0: it need not
}

type sentForward struct{ seq, index uint64 }

// sent is told of what a server sends.
func (g *goBack) sent(m *replica.Message) {
	if m.Kind != replica.Forward {
		return
	}
	if m.View.Viewnum != g.view {
		*g = goBack{view: m.View.Viewnum}
	}
	g.forwards = append(g.forwards, sentForward{m.Seq, m.Index})
	if m.Index <= g.from {
		g.left = 0
	}
}

// heard is told of what a server is about to be given.
func (g *goBack) heard(s *server, m *replica.Message) {
	v := s.status.View
	if m.Kind != replica.Gap || g.left > 0 || m.To != s.self || m.View != v || v.Viewnum != g.view || m.From != v.BackupServer() ||
		s.status.Authority != replica.Joint || m.Index < s.status.BackupIndex {
		return
	}
	for i := len(g.forwards) - 1; i >= 0 && g.forwards[i].seq > m.Seq; i-- {
		if g.forwards[i].index <= m.Index {
			return // it has
		}
	}
	g.from, g.left = m.Index, goBackTicks
}

// tick is told that a server's clock ticked.
func (g *goBack) tick(s *server) {
	if g.left == 0 {
		return
	}
	if s.status.View.Viewnum != g.view || s.status.Authority != replica.Joint || s.status.BackupIndex > g.from {
		g.left = 0
		return
	}
	if g.left--; g.left == 0 {
		s.w.fail("L1", "primary %s was told that its backup's log ends at %d, and sends nothing from there", serverText(s.self), g.from)
	}
}

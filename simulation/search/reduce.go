package search

import (
	"slices"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// What can have no effect any more need not be told apart, or the same state
// would be looked at once for every choice of ghosts that it might hear. Dead is
//
//   - a message to a former life (rule N1), or of a view older than the
//     receiver's (rule F1): views only rise, and lives do not come back;
//   - at a joint primary, an answer of this epoch that changes nothing, but for a
//     gap: what the backup has, and what it has seen, only rises;
//   - at a backup that has installed this epoch's transfer, an offer, a chunk, or a
//     forward of nothing new, that changes nothing: the answer that it would bring is
//     sent at once, whenever it would be another than before (answerAgain);
//   - an announcement of a view older than the server's, or of the server's own
//     view, unless it says that it was activated and the server has not heard.
//
// All of these are delivered nevertheless, in every state in which they are found,
// and one of the first kind that has an effect is a breach of the rule that makes
// it dead.

// isLive tells whether a message can still have an effect at its receiver.
func (x *explorer) isLive(n *server, m *message) bool {
	st := &n.status
	if m.To != n.self || m.View.Viewnum < st.View.Viewnum {
		return false
	}
	if m.View != st.View {
		return true
	}
	switch m.Kind {
	case replica.Acknowledge, replica.Installed, replica.ChunkTaken, replica.Holds:
		return st.Authority != replica.Joint || !x.deliver(n, m).nothing
	case replica.Chunk, replica.Offer:
		return !st.Installed || x.deliver(n, m).server != n
	case replica.Forward:
		known := st.Installed && m.Index+uint64(len(m.Entries)) <= st.Durable && m.Commit <= st.Commit
		return !known || x.deliver(n, m).server != n
	}
	return true
}

// answerAgain sends what a backup that has installed a transfer would answer to the
// chunk that completed it, should that come once more: it acknowledges all that was
// seen since, of which the answer may have been a gap's, or be waiting for the disk.
// As that chunk can come at any time, it may as well come now. What the server has
// sent already is as good.
func (s *State) answerAgain(n *server, sent []*message) {
	if !n.status.Installed || s.x.cfg.KeepDead || slices.ContainsFunc(sent, (*message).acknowledges) {
		return // with dead messages kept the chunk comes as often as it likes
	}
	for _, m := range s.sent.members {
		if m.Kind != replica.Chunk || m.To != n.self || m.View != n.status.View {
			continue
		}
		if o := s.x.deliver(n, m); o.server == n {
			if !s.answered(o.sends) {
				s.send(o.sends)
			}
			return
		}
	}
}

// acknowledges tells whether a message is a backup's word for what it has.
func (m *message) acknowledges() bool {
	return m.Kind == replica.Acknowledge || m.Kind == replica.Installed
}

// answered tells whether a backup has given these answers before, or acknowledged the
// same.
func (s *State) answered(answers []*message) bool {
	for _, a := range answers {
		if !slices.ContainsFunc(s.sent.members, func(m *message) bool {
			return m.acknowledges() && m.View == a.View && m.From == a.From && m.Seq == a.Seq && m.Index == a.Index
		}) {
			return false
		}
	}
	return true
}

// deliver lets a server take a message.
func (x *explorer) deliver(n *server, m *message) *outcome {
	e := event{delivers, uint8(m.to), m.id}
	return x.step(n, e, x.serverTakes(n, e))
}

// liveAt returns what of the messages is live now that a server is in a state.
func (x *explorer) liveAt(live *set[message], n *server) *set[message] {
	return x.messageSets.part(live, uint64(n.id), func(m *message) bool { return m.to != n.place || x.isLive(n, m) })
}

// isNews tells whether an announcement can still have an effect (rules F1, A2).
func isNews(n *server, a *announcement) bool {
	st := &n.status
	return a.view.Viewnum > st.View.Viewnum || (a.view.Viewnum == st.View.Viewnum && a.active == a.view.Viewnum && !st.Activated)
}

// newsAt returns what of the announcements is news to a server now.
func (x *explorer) newsAt(news *set[announcement], n *server) *set[announcement] {
	key := uint64(n.status.View.Viewnum) << 1
	if n.status.Activated {
		key |= 1
	}
	return x.announcements.part(news, key, func(a *announcement) bool { return isNews(n, a) })
}

package kvservice

import (
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// hearing is what a server has heard of the view service. It is safe for
// concurrent use.
type hearing struct {
	mu       sync.Mutex
	sent     uint64 // pings
	answered uint64
	at       time.Time // of the last answer; before the first, when the server started
	trouble  error     // why the last ping was not answered; nil if it was
}

// pinged notes that a ping is sent.
func (h *hearing) pinged() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent++
}

// answer notes what came of a ping, and returns for how long none had been answered,
// and what had come of the one before.
func (h *hearing) answer(err error) (silent time.Duration, before error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, h.trouble = h.trouble, err
	silent = time.Since(h.at)
	if err == nil {
		h.answered++
		h.at = time.Now()
	}
	return silent, before
}

// last returns what came of the last ping, nil also if there was none.
func (h *hearing) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.trouble
}

// tell puts it into a Status.
func (h *hearing) tell(st *Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st.PingsSent, st.PingsAnswered = h.sent, h.answered
	st.MonitorSilent = time.Since(h.at)
	if h.trouble != nil {
		st.MonitorTrouble = h.trouble.Error()
	}
}

// peer is when the other member of the view was last heard. It belongs to
// whoever has the turn.
type peer struct {
	who   tandem.Server // nobody: there is none
	heard time.Time     // in this view; before that, when the view was adopted
}

// peerOf returns the other member of a view that self is a member of, unheard.
func peerOf(v tandem.View, self tandem.Server) peer {
	p := peer{heard: time.Now()}
	switch self {
	case v.PrimaryServer():
		p.who = v.BackupServer()
	case v.BackupServer():
		p.who = v.PrimaryServer()
	}
	return p
}

// silent returns how long ago it was heard, zero if there is nobody to hear.
func (p *peer) silent() time.Duration {
	if p.who.Addr == "" {
		return 0
	}
	return time.Since(p.heard)
}

// deliver hands a message to the core, and notes who was heard.
func (l *loop) deliver(m replica.Message) {
	l.core.Deliver(m)
	if m.From == l.peer.who && m.View.Viewnum == l.news.view.Viewnum {
		l.peer.heard = time.Now()
	}
}

package search

import (
	"sync"

	"github.com/tandemkv/tandem/kvservice/replica"
)

// healRoundsMax is after how many rounds in which everything is delivered a
// state that still changes counts as one that never comes to rest.
const healRoundsMax = 60

// healthy remembers the states from which service comes back. What clients are
// still to ask does not matter to that.
type healthy struct {
	mu    sync.Mutex
	known map[key]struct{}
}

func (h *healthy) has(k key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.known[k]
	return ok
}

func (h *healthy) add(keys []key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil {
		h.known = make(map[key]struct{})
	}
	for _, k := range keys {
		h.known[k] = struct{}{}
	}
}

// deadlock looks whether service comes back from a state once there are no more
// faults and everything is delivered, again and again, as long as a member of
// the in-sync set lives. It returns the events of that attempt, and what is
// wrong, nil if nothing is.
func (s *State) deadlock(good *healthy) ([]event, *violation) {
	c := *s
	c.unbound = true
	h := &healer{state: &c, other: new(State)}
	if good.has(s.keyOf(false)) {
		return nil, nil
	}
	var path []key
	for round := 0; ; round++ {
		k := h.state.keyOf(false)
		if good.has(k) {
			break
		}
		path = append(path, k)
		if h.state.serves() {
			break
		}
		if !h.round() || round == healRoundsMax {
			if h.broken != nil || !h.state.hopeful() {
				break
			}
			return h.events, broken("P1", "with everything delivered and no more faults nobody serves: %s", h.state.blame())
		}
	}
	if h.broken == nil {
		good.add(path)
	}
	return h.events, h.broken
}

// healer walks the one fair way on from a state.
type healer struct {
	state  *State
	other  *State // its place is free
	events []event
	broken *violation
	moved  bool
}

func (h *healer) do(e event) {
	if h.broken != nil {
		return
	}
	t := h.other
	changed, v := h.state.into(t, e)
	if v == nil && changed {
		v = t.check()
	}
	if v != nil {
		h.broken = v
		h.events = append(h.events, e)
		return
	}
	if changed {
		h.moved = h.moved || t.keyOf(false) != h.state.keyOf(false)
		h.state, h.other = t, h.state
		h.events = append(h.events, e)
	}
}

// round lets everybody ping, hear the news, confirm and take what there is. It
// tells whether that changed anything; if not, primaries send again.
func (h *healer) round() bool {
	h.moved = false
	x := h.state.x
	for i := range x.cfg.Servers {
		for len(h.state.servers[i].disk) > 0 && h.broken == nil {
			h.do(event{diskConfirms, uint8(i), 0})
		}
		if life := h.state.lifeKnown(i); life >= 0 && life != h.state.servers[i].life {
			h.do(event{suspects, uint8(i), uint32(life)}) // that life is over, and falls silent
		}
		h.do(event{hearsPing, uint8(i), h.state.servers[i].ping.id})
		h.do(event{learns, uint8(i), h.state.service.told.id})
	}
	for _, m := range h.state.live.members {
		if h.state.isLive(m) {
			h.do(event{delivers, uint8(m.to), m.id})
		}
	}
	if h.moved || h.broken != nil {
		return h.broken == nil
	}
	for i := range x.cfg.Servers {
		n := h.state.servers[i]
		if n.status.Authority != replica.None && n.status.View.Backup != "" {
			h.do(event{sendsAgain, uint8(i), 0})
		}
	}
	return h.moved && h.broken == nil
}

// blame tells what the state looks like in which nothing goes on.
func (s *State) blame() string {
	text := "view " + viewText(s.service.view)
	for _, line := range s.lines()[1:] {
		text += "; " + line
	}
	return text
}

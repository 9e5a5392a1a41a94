package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Decision names one fault that struck: its kind, where, and at which of the
// opportunities that its kind had there. A message has one for each kind of fault
// on its link; a record on its disk; everything else one in every 10 ms, and its
// place is empty. Whether a fault strikes, and how, is drawn from the seed and
// these three alone, so that leaving one out changes no other.
//
// As text it is "drop:a>client1:12", "slow-disk:b:3", "crash::341".
type Decision struct {
	Fault string
	Place string // a node, or a link as from>to
	N     uint64
}

// Schedule says exactly which faults strike, whatever the rates are. A run makes
// one of what struck (Report.Schedule, Failure.Schedule); with it in
// Options.Schedule the run is the same, and with a part of it a smaller one.
type Schedule struct {
	Faults []Decision
	// Millis is how long there are faults, in virtual time, after which the world
	// is well. Clients start Options.Ops operations and no more.
	Millis int64
}

// MarshalText returns the decision as text.
func (d Decision) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s:%s:%d", d.Fault, d.Place, d.N), nil
}

// UnmarshalText reads what MarshalText wrote.
func (d *Decision) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), ":")
	if len(parts) != 3 {
		return fmt.Errorf("fault decision %q is not kind:place:number", text)
	}
	n, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return fmt.Errorf("fault decision %q: %w", text, err)
	}
	if _, ok := faultNamed(parts[0]); !ok {
		return fmt.Errorf("fault decision %q: there is no fault %q", text, parts[0])
	}
	*d = Decision{parts[0], parts[1], n}
	return nil
}

// decision is a Decision inside a World, where places are numbers: those of a
// node, or of a link, by the slots of the nodes.
type decision struct {
	kind  fault
	place uint16
	n     uint64
}

// everywhere is the place of faults that choose theirs themselves.
const everywhere = 0xffff

// schedule is what a World knows of its faults.
type schedule struct {
	rates [numFaults]float64
	// kept, if a Schedule was given, are the faults that strike; keeps has their
	// kinds.
	kept  map[decision]bool
	keeps [numFaults]bool

	struck  []decision // in order
	ofNodes int        // those that concern whole nodes
}

func (w *World) startSchedule() {
	s := &w.schedule
	s.rates = w.opt.Faults.rates()
	if w.opt.Schedule == nil {
		return
	}
	s.kept = make(map[decision]bool)
	for _, d := range w.opt.Schedule.Faults {
		k, known := faultNamed(d.Fault)
		place, exists := w.placeNamed(d.Place)
		if known && exists { // otherwise it is of a node that this world has not
			s.kept[decision{k, place, d.N}] = true
			s.keeps[k] = true
		}
	}
}

// strikes decides whether a fault strikes at an opportunity. Whoever makes it
// strike says so to struck, and draws what else there is to draw from the dice.
// Every fault goes through here.
func (w *World) strikes(d decision) (dice, bool) {
	s := &w.schedule
	if w.calm {
		return dice{}, false
	}
	if s.kept != nil {
		if !s.keeps[d.kind] || !s.kept[d] {
			return dice{}, false
		}
		rolled := newDice(w.opt.Seed, uint64(d.kind), uint64(d.place), d.n)
		rolled.next()
		return rolled, true
	}
	rate := s.rates[d.kind]
	if rate <= 0 {
		return dice{}, false
	}
	rolled := newDice(w.opt.Seed, uint64(d.kind), uint64(d.place), d.n)
	return rolled, rolled.float() < rate
}

// struck notes a fault that struck.
func (w *World) struck(d decision) {
	s := &w.schedule
	s.struck = append(s.struck, d)
	if faultKinds[d.kind].node {
		s.ofNodes++
	}
	w.cover.count(d.kind)
}

// The least that a run has to stand before its faults may stop, if they are of
// kinds that can.
const (
	strikesMin     = 20
	nodeStrikesMin = 5
	// patienceMillis is for how long a run waits for that, once the clients have
	// started their operations.
	patienceMillis = 20_000
)

// stressed tells whether a run has had what it has to stand.
func (w *World) stressed() bool {
	if w.started < w.opt.Ops {
		return false
	}
	if s := w.opt.Schedule; s != nil {
		return w.now >= s.Millis
	}
	if w.startedAt == 0 {
		w.startedAt = w.now
	}
	strikes, ofNodes := 0, 0
	for k, rate := range w.schedule.rates {
		if rate > 0 {
			strikes = strikesMin
			if faultKinds[k].node {
				ofNodes = nodeStrikesMin
			}
		}
	}
	return w.now > w.startedAt+patienceMillis || (len(w.schedule.struck) >= strikes && w.schedule.ofNodes >= ofNodes)
}

// scheduled returns what has struck so far as a Schedule.
func (w *World) scheduled() Schedule {
	s := Schedule{Millis: w.faultMillis}
	if !w.calm {
		s.Millis = w.now
	}
	for _, d := range w.schedule.struck {
		s.Faults = append(s.Faults, Decision{faultKinds[d.kind].Name, w.placeName(d.place), d.n})
	}
	return s
}

// The slots of nodes: numbers that a node keeps in a world with fewer others.
const (
	firstServerSlot = 1
	firstClientSlot = 32
)

// link returns the place of a link.
func (w *World) link(from, to int) uint16 {
	return uint16(w.nodes[from].slot)<<8 | uint16(w.nodes[to].slot)
}

// at returns the place of a node.
func (w *World) at(node int) uint16 { return 0xff00 | uint16(w.nodes[node].slot) }

func (w *World) placeName(place uint16) string {
	switch {
	case place == everywhere:
		return ""
	case place>>8 == 0xff:
		return w.slotName(uint8(place))
	}
	return w.slotName(uint8(place>>8)) + ">" + w.slotName(uint8(place))
}

func (w *World) slotName(slot uint8) string {
	i := slices.IndexFunc(w.nodes, func(n node) bool { return n.slot == slot })
	return w.nodes[i].name
}

// placeNamed is the opposite of placeName. It tells whether there is the place.
func (w *World) placeNamed(name string) (uint16, bool) {
	if name == "" {
		return everywhere, true
	}
	from, to, isLink := strings.Cut(name, ">")
	a, b := w.byName(from), w.byName(to)
	switch {
	case isLink && a >= 0 && b >= 0:
		return w.link(a, b), true
	case !isLink && a >= 0:
		return w.at(a), true
	}
	return 0, false
}

package workload

import "time"

// Gap is a time without an answer, since the history's start. An answer is that of
// an operation that is Done.
type Gap struct{ From, To time.Duration }

// Length returns how long it was.
func (g Gap) Length() time.Duration { return g.To - g.From }

// longer makes the gap the one between two times, if that is longer.
func (g *Gap) longer(from, to time.Duration) {
	if to-from > g.Length() {
		*g = Gap{from, to}
	}
}

// answers watches the times of answers, for gaps.
type answers struct {
	all     time.Duration         // the last answer
	last    map[int]time.Duration // and that of each client
	longest Gap
	ofOne   Gap
}

func (a *answers) add(client int, at time.Duration) {
	a.longest.longer(a.all, at)
	a.all = max(a.all, at)
	if last, ok := a.last[client]; ok {
		a.ofOne.longer(last, at)
	}
	a.last[client] = at
}

// LongestGap returns the longest time in which no client had an answer, the time
// before the first one included.
func (h *History) LongestGap() Gap {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answers.longest
}

// LongestWait returns the longest time between two answers to one client, who may
// have had operations in it that were not Done.
func (h *History) LongestWait() Gap {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answers.ofOne
}

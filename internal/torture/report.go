package torture

import (
	"cmp"
	"slices"
	"time"

	"github.com/tandemkv/tandem/internal/workload"
)

// Report is what came of it, as it stands in JSON.
type Report struct {
	Verdict workload.Verdict `json:"verdict"`
	Why     []string         `json:"why,omitempty"` // the verdict is not valid

	Seed          uint64 `json:"seed"`
	Servers       int    `json:"servers"`
	Clients       int    `json:"clients"`
	FaultsMillis  int64  `json:"faults_ms"`  // how long there were faults
	ElapsedMillis int64  `json:"elapsed_ms"` // in all, with the judgement

	Operations workload.Counts            `json:"operations"`
	ByKind     map[string]workload.Counts `json:"operations_by_kind"`
	Faults     map[string]int             `json:"faults"` // by kind, all that there are
	Views      uint                       `json:"view_changes"`

	LongestGap  Gap `json:"longest_gap"`  // in which no operation of any client was answered
	LongestWait Gap `json:"longest_wait"` // between two answers to one client

	Keys   int `json:"keys"`
	Judged int `json:"keys_judged"`
	workload.Witnessed
	BadKeys []string `json:"bad_keys"` // not linearizable, or nobody can tell

	history  *workload.History
	timeline []Struck
	bad      []workload.BadKey
}

// Gap is a time without an answer.
type Gap struct {
	AtMillis int64    `json:"at_ms"` // since the clients began
	Millis   int64    `json:"ms"`
	Faults   []string `json:"faults"` // that were on in it, or had just ended, for the most of it first
}

// gap tells of a gap what was on in it, and what was on for the most of it first. A
// fault's consequence may come a while after its end.
func (r *run) gap(g workload.Gap) Gap {
	const consequence = time.Second
	told := Gap{AtMillis: g.From.Milliseconds(), Millis: g.Length().Milliseconds(), Faults: []string{}}
	within := func(f Struck) time.Duration { return min(f.To+consequence, g.To) - max(f.From, g.From) }
	for _, f := range slices.SortedStableFunc(slices.Values(r.timeline), func(a, b Struck) int { return cmp.Compare(within(b), within(a)) }) {
		if within(f) > 0 {
			told.Faults = append(told.Faults, f.Kind+": "+f.What)
		}
	}
	return told
}

// report makes the report of a run that is over.
func (r *run) report(j workload.Judgement) *Report {
	rep := &Report{
		Verdict: j.Verdict, Why: r.reasons(j),
		Seed: r.cfg.Seed, Servers: r.cfg.Servers, Clients: r.cfg.Clients,
		FaultsMillis: r.faultsLasted.Milliseconds(), ElapsedMillis: time.Since(r.began).Milliseconds(),
		Operations: r.history.Counts(), ByKind: make(map[string]workload.Counts),
		Faults: make(map[string]int), Views: r.lastView.Viewnum - r.firstView.Viewnum,
		LongestGap: r.gap(r.history.LongestGap()), LongestWait: r.gap(r.history.LongestWait()),
		Keys: j.Keys, Judged: j.Judged, Witnessed: j.Witnessed, BadKeys: []string{},
		history: r.history, timeline: r.timeline, bad: j.Bad,
	}
	for k, c := range r.history.CountsByKind() {
		rep.ByKind[k.String()] = c
	}
	for _, k := range allKinds {
		rep.Faults[k.name] = 0
	}
	for _, f := range r.timeline {
		rep.Faults[f.Kind]++
	}
	for _, b := range j.Bad {
		rep.BadKeys = append(rep.BadKeys, b.Key)
	}
	switch {
	case len(r.violations()) > 0:
		rep.Verdict = workload.Invalid
	case rep.Verdict == workload.Valid && (r.cutShort != "" || rep.Operations.Done == 0):
		rep.Verdict = workload.Unknown
	}
	return rep
}

// reasons says why the verdict is not valid, nothing if it is.
func (r *run) reasons(j workload.Judgement) []string {
	why := r.violations()
	for _, b := range j.Bad {
		why = append(why, b.String())
	}
	if j.Witnessed.Any() {
		why = append(why, "writes were lost or executed twice, or reads were stale")
	}
	if j.Judged < j.Keys && len(j.Bad) == 0 {
		why = append(why, "not all keys were judged")
	}
	if r.cutShort != "" {
		why = append(why, r.cutShort)
	}
	if r.history.Counts().Done == 0 {
		why = append(why, "no operation was answered")
	}
	return why
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/simulation"
	"github.com/tandemkv/tandem/simulation/diagram"
	"github.com/tandemkv/tandem/simulation/runfolder"
	"github.com/tandemkv/tandem/simulation/search"
)

// searchReport is the answer of search.
type searchReport struct {
	Verdict string        `json:"verdict"`
	Why     string        `json:"why,omitempty"`
	End     string        `json:"end"`
	Limit   string        `json:"limit,omitempty"`
	Bounds  search.Bounds `json:"bounds"`
	Goals   []string      `json:"goals,omitempty"`
	Random  bool          `json:"random,omitempty"`

	Deadlocks bool     `json:"deadlocks_looked_for"`
	States    int      `json:"states"`
	Explored  int      `json:"explored"`
	Pruned    int      `json:"pruned,omitempty"`
	Depth     int      `json:"depth"`
	Steps     int      `json:"steps"`
	Elapsed   int64    `json:"elapsed_ms"`
	PerSecond uint64   `json:"states_per_second"`
	Memory    uint64   `json:"memory_bytes"`
	Trace     []string `json:"trace,omitempty"` // events, for a goal or a failure
	Folder    string   `json:"folder,omitempty"`

	Failures []searchFailure `json:"failures,omitempty"`

	transcript, replay string
}

type searchFailure struct {
	Invariant string `json:"invariant"`
	Detail    string `json:"detail"`
	Words     string `json:"should_hold,omitempty"`
}

// report tells what a search came to, and leaves a run folder if it found a way.
func (f *searchFlags) report(cmd *cobra.Command, cfg search.Config, r search.Result) (*searchReport, error) {
	report := &searchReport{
		End: r.End.String(), Limit: r.Limit, Bounds: cfg.Bounds, Goals: f.goals, Random: f.random, Deadlocks: cfg.Deadlocks,
		States: r.Found, Explored: r.Explored, Pruned: r.Pruned, Depth: r.Depth, Steps: r.Steps, Elapsed: r.Elapsed.Milliseconds(),
		PerSecond: perSecond(r.Found, r.Elapsed), Memory: r.Memory, Trace: r.Trace,
	}
	report.conclude(r)
	if len(r.Trace) == 0 || (r.End != search.Broken && r.End != search.GoalFound) {
		return report, nil
	}
	trace, err := search.Replay(cfg.Bounds, r.Trace)
	if err != nil {
		return nil, fmt.Errorf("going the way again that was found: %w", err)
	}
	var text bytes.Buffer
	if err := trace.WriteTranscript(&text); err != nil {
		return nil, err
	}
	report.transcript = text.String()
	if f.runDir == "" {
		return report, nil
	}
	if err := f.leave(report, trace); err != nil {
		tellNoFolder(cmd, err)
		report.Folder = ""
	}
	return report, nil
}

// conclude sets the verdict.
func (r *searchReport) conclude(result search.Result) {
	switch {
	case result.End == search.Broken:
		r.Verdict = broken
		r.Failures = []searchFailure{{result.Invariant, result.Detail, simulation.Predicate(result.Invariant)}}
	case result.End == search.LimitReached:
		r.Verdict, r.Why = unknown, "the search reached its limit, "+result.Limit+", before it was through"
	case result.End == search.Exhausted && len(r.Goals) > 0:
		r.Verdict, r.Why = broken, "within the bounds the goal cannot be reached"
		r.Failures = []searchFailure{{Invariant: "goal", Detail: r.Why}}
	default:
		r.Verdict = held
	}
}

// leave writes the run folder.
func (f *searchFlags) leave(r *searchReport, trace *search.Trace) error {
	name := "search-goal"
	if len(r.Failures) > 0 {
		name = "search-" + strings.Map(nameRune, r.Failures[0].Invariant)
	}
	folder, err := freeFolder(f.runDir, name)
	if err != nil {
		return err
	}
	var page, summary bytes.Buffer
	d := trace.Diagram()
	if len(r.Failures) > 0 && r.Failures[0].Words != "" {
		d.Facts = append(d.Facts, diagram.Fact{Name: "what should be true", Value: r.Failures[0].Words})
	}
	if err := d.WriteHTML(&page); err != nil {
		return err
	}
	r.Folder = folder
	r.tell(&summary)
	r.replay = f.asBuilt("tandem search --replay " + filepath.Join(folder, "transcript.txt"))
	fmt.Fprintf(&summary, "\nreplay: %s\n", r.replay)
	return runfolder.WriteFiles(folder, []runfolder.File{
		{Name: "summary.txt", Content: summary.Bytes()},
		{Name: "transcript.txt", Content: []byte(r.transcript)},
		{Name: "diagram.html", Content: page.Bytes()},
	})
}

// nameRune keeps what may stand in the name of a file anywhere.
func nameRune(c rune) rune {
	if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return c
	}
	return '-'
}

// write tells the answer to a person.
func (r *searchReport) write(w io.Writer) error {
	var b bytes.Buffer
	if r.transcript != "" {
		b.WriteString(r.transcript)
		b.WriteByte('\n')
	}
	r.tell(&b)
	if r.Folder != "" {
		fmt.Fprintf(&b, "folder       %s\nreplay       %s\n", r.Folder, r.replay)
	}
	_, err := w.Write(b.Bytes())
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

func (r *searchReport) tell(w io.Writer) {
	end := r.End
	switch {
	case len(r.Failures) > 0 && r.End == search.Broken.String():
		end += ": " + r.Failures[0].Invariant + ", after " + fmt.Sprint(len(r.Trace)) + " events"
	case r.Limit != "":
		end += ": " + r.Limit + " (this is no proof)"
	case len(r.Goals) > 0 && r.Verdict == held:
		end += ": " + strings.Join(r.Goals, ", then ") + ", after " + fmt.Sprint(len(r.Trace)) + " events"
	case len(r.Goals) > 0:
		end += ", and the goal was not reached"
	}
	fmt.Fprintf(w, "%s\n\n", end)
	for _, x := range r.Failures {
		if r.End == search.Broken.String() {
			fmt.Fprintf(w, "what broke   %s\n", x.Detail)
		}
		if x.Words != "" {
			fmt.Fprintf(w, "should hold  %s\n", x.Words)
		}
	}
	fmt.Fprintf(w, "bounds       %s\n", r.Bounds)
	if r.Random {
		fmt.Fprintf(w, "walks        %s states, to depth %d\n", thousands(uint64(r.States)), r.Depth)
	} else {
		fmt.Fprintf(w, "states       %s found, %s looked at, to depth %d; %s events tried\n",
			thousands(uint64(r.States)), thousands(uint64(r.Explored)), r.Depth, thousands(uint64(r.Steps)))
	}
	deadlocks := "looked for"
	if !r.Deadlocks {
		deadlocks = "not looked for"
	}
	fmt.Fprintf(w, "deadlocks    %s\n", deadlocks)
	fmt.Fprintf(w, "time         %.1f s, %s states a second, %.2f GiB\n", float64(r.Elapsed)/1000, thousands(r.PerSecond), gib(r.Memory))
}

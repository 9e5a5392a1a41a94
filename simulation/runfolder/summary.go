package runfolder

import (
	"bytes"
	"fmt"

	"github.com/tandemkv/tandem/simulation"
	"github.com/tandemkv/tandem/simulation/diagram"
)

// summary tells what a reader needs first.
func summary(r *run, files []File) []byte {
	var b bytes.Buffer
	o := &r.options
	if f := r.failure; f != nil {
		fmt.Fprintf(&b, "%s broken\n\n", f.Name())
		if words := simulation.Predicate(f.Invariant); words != "" {
			fmt.Fprintf(&b, "what should be true   %s\n", words)
		}
		fmt.Fprintf(&b, "what was seen         %s\n", f.Detail)
		fmt.Fprintf(&b, "when                  after event %d, at %d ms of virtual time\n", f.Event, f.Millis)
	} else {
		fmt.Fprintf(&b, "Everything held\n\n")
	}
	fmt.Fprintf(&b, "seed                  %d\n", o.Seed)
	fmt.Fprintf(&b, "replay                %s\n", replayOf(r))
	fmt.Fprintf(&b, "hash of the run       %016x\n", r.report.Hash)
	fmt.Fprintf(&b, "world                 %d servers, %d clients, %d keys\n", o.Servers, o.Clients, o.Keys)
	fmt.Fprintf(&b, "run                   %d events in %d ms of virtual time; %d faults; %d operations\n",
		r.report.Coverage.Events, r.report.Coverage.Millis, len(r.report.Schedule.Faults), len(r.report.History))

	fmt.Fprintf(&b, "\nWhere everybody stood at the end\n\n%s\n", states(r))
	fmt.Fprintf(&b, "Files\n\n")
	for _, f := range files {
		fmt.Fprintf(&b, "%-21s %s\n", f.Name, f.About)
	}
	b.WriteString(`
How to read them

Open diagram.html: time runs to the right, each process has a line, and the bands
say who was primary, and in which view. It opens where the invariant broke; the red
line is that moment, the red arrow the message whose delivery broke it, if one did.
Then search log.txt for the same millisecond and read upwards. There, "->" is a
message sent, "<-" one that arrived, "x-" one that was lost, "==" what a process has
come to be, "**" a fault, "++" an entry committed, ">>" and "<<" an operation begun
and ended. Names such as A3 or I5 are those of docs/protocol.md.
`)
	return b.Bytes()
}

// states tells where the servers stood, as the failure saw it if there is one.
func states(r *run) string {
	if r.failure != nil {
		return r.failure.Servers
	}
	return r.recording.States()
}

// replayOf returns the command that does the run again.
func replayOf(r *run) string {
	if r.replay != "" {
		return r.replay
	}
	return r.options.Replay()
}

func replayFact(r *run) diagram.Fact { return diagram.Fact{Name: "replay", Value: replayOf(r)} }

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tandemkv/tandem/internal/torture"
)

// tortureReport is the answer of torture, as it stands in JSON.
type tortureReport struct {
	*torture.Report
	Again  string `json:"again"`            // draws the same faults, at other moments
	Folder string `json:"folder,omitempty"` // of the run
}

// fill writes the run folder.
func (r *tortureReport) fill(dir string) error {
	var text, object bytes.Buffer
	err := errors.Join(r.write(&text), writeJSON(&object, r))
	text.WriteString("\nFiles\n\n")
	for _, f := range torture.Files {
		fmt.Fprintf(&text, "%-27s %s\n", f.Name, f.About)
	}
	err = errors.Join(err,
		os.WriteFile(filepath.Join(dir, "report.txt"), text.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "report.json"), object.Bytes(), 0o644),
		r.Report.Write(dir))
	if err != nil {
		return fmt.Errorf("writing the run folder %s: %w", dir, err)
	}
	return nil
}

// write tells the answer to a person.
func (r *tortureReport) write(w io.Writer) error {
	var b strings.Builder
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	fmt.Fprintf(&b, "%s: %s operations, %d faults in %s, %d changes of view\n", r.Verdict,
		thousands(uint64(r.Operations.All())), faults, millis(r.FaultsMillis), r.Views)
	for _, why := range r.Why {
		fmt.Fprintf(&b, "  %s\n", why)
	}
	fmt.Fprintf(&b, "\n%d servers, %d clients; %s in all; seed %d\n", r.Servers, r.Clients, millis(r.ElapsedMillis), r.Seed)
	fmt.Fprintf(&b, "writes lost %d, writes executed twice %d, stale reads %d; %s keys judged of %s\n",
		r.Lost, r.Duplicated, r.Stale, thousands(uint64(r.Judged)), thousands(uint64(r.Keys)))
	writeGap(&b, "longest time without any answer", r.LongestGap)
	writeGap(&b, "longest wait of one client", r.LongestWait)
	r.writeOperations(&b)
	var kinds []counted
	for _, f := range torture.Faults() {
		kinds = append(kinds, counted{f.Name, uint64(r.Faults[f.Name])})
	}
	writeCounts(&b, "faults", kinds)
	fmt.Fprintf(&b, "\nagain, with the same faults at other moments: %s\n", r.Again)
	if r.Folder != "" {
		fmt.Fprintf(&b, "folder: %s (begin with report.txt)\n", r.Folder)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// gapFaultsMax is how many faults are told of a gap: report.json has all.
const gapFaultsMax = 4

// writeGap tells a gap, and what was on in it.
func writeGap(b *strings.Builder, title string, g torture.Gap) {
	fmt.Fprintf(b, "%s: %s, from %s on", title, millis(g.Millis), millis(g.AtMillis))
	b.WriteByte('\n')
	for _, f := range g.Faults[:min(len(g.Faults), gapFaultsMax)] {
		fmt.Fprintf(b, "  %s\n", f)
	}
	if more := len(g.Faults) - gapFaultsMax; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func (r *tortureReport) writeOperations(b *strings.Builder) {
	fmt.Fprintf(b, "\n%-16s %10s %10s %10s\n", "operations", "done", "failed", "unknown")
	for _, kind := range slices.Sorted(maps.Keys(r.ByKind)) {
		c := r.ByKind[kind]
		fmt.Fprintf(b, "  %-14s %10s %10s %10s\n", kind, thousands(uint64(c.Done)), thousands(uint64(c.Failed)), thousands(uint64(c.Unknown)))
	}
}

package runfolder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tandemkv/tandem/simulation"
)

// judging is how long porcupine may take to draw a history.
const judging = 30 * time.Second

// Write runs a world once more, with everything recorded, and leaves a run
// folder, whether the run holds or not. Replay is the command that does the
// same run again; if it is empty the summary names one.
//
// The report is that of simulation.Run, and so is the failure, nil if the run
// holds. The error says why the folder could not be written; it is ErrNotEmpty,
// wrapped, if the directory has something in it, in which case nothing was run.
func Write(dir string, o simulation.Options, replay string) (simulation.Report, *simulation.Failure, error) {
	if err := free(dir); err != nil {
		return simulation.Report{}, nil, fmt.Errorf("writing the run folder %s: %w", dir, err)
	}
	recording, report, err := simulation.Record(o)
	var failure *simulation.Failure
	if err != nil && !errors.As(err, &failure) {
		return report, nil, err
	}
	files, err := contents(&run{o, replay, recording, &report, failure})
	if err != nil {
		return report, failure, fmt.Errorf("writing the run folder %s: %w", dir, err)
	}
	return report, failure, WriteFiles(dir, files)
}

// run is what a folder tells of.
type run struct {
	options   simulation.Options
	replay    string
	recording *simulation.Recording
	report    *simulation.Report
	failure   *simulation.Failure
}

// contents makes the files of a run's folder, the summary first.
func contents(r *run) ([]File, error) {
	var files []File
	add := func(name, about string, content []byte) { files = append(files, File{name, about, content}) }

	d := r.recording.Diagram()
	d.Facts = append(d.Facts, replayFact(r))
	var page, log bytes.Buffer
	if err := d.WriteHTML(&page); err != nil {
		return nil, err
	}
	if err := r.recording.WriteLog(&log); err != nil {
		return nil, err
	}
	operations, err := historyJSON(r.recording, r.report.History)
	if err != nil {
		return nil, err
	}
	add("diagram.html", "the messages over time, with who was what when; opens in any browser, at the failure", page.Bytes())
	add("log.txt", "everything that happened, a line each, by virtual time", log.Bytes())
	add("history.txt", "what the clients asked for and were told", historyText(r.recording, r.report.History))
	add("history.jsonl", "the same for programs, one operation a line", operations)
	if r.failure != nil && r.failure.Invariant == "Linearizable" {
		var picture bytes.Buffer
		if err := simulation.Picture(r.report.History, judging, &picture); err != nil {
			return nil, err
		}
		add("linearizability.html", "porcupine's picture of the history: the longest order it could find, and where it stops", picture.Bytes())
	}
	scheduled := r.options
	scheduled.Schedule = &r.report.Schedule
	for _, part := range []struct {
		name, about string
		options     simulation.Options
	}{
		{"options.json", "all that the run is made of", r.options},
		{"schedule.json", "the same, with the faults that struck one by one in place of chance", scheduled},
	} {
		content, err := json.MarshalIndent(part.options, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		add(part.name, part.about, append(content, '\n'))
	}
	return append([]File{{"summary.txt", "", summary(r, files)}}, files...), nil
}

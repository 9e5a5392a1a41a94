package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// history is what was typed at a prompt, kept in a file for the next time. Several
// processes may add to it at once. It may hold what others should not see, and so
// the file is its owner's alone to read.
type history struct {
	file string // empty: nothing is kept
	last string // that was added
}

// Bounds on what is kept: lines of one that is loaded, and bytes of a line.
const (
	historyLines = 1000
	historyLine  = 4 << 10
)

// defaultHistory returns the file where history is kept if nobody says where: as XDG
// has it, in a directory of the user's for what programs remember. Empty if there is
// no such place.
func defaultHistory() string {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // a relative one is to be ignored, it says there
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "tandem", "history")
}

// load returns the last lines that were kept, the oldest first, and shortens a file
// that holds many more. After an error nothing is kept.
func (h *history) load() (lines []string, err error) {
	if h.file == "" {
		return nil, nil
	}
	defer func() {
		if err != nil {
			h.file = ""
		}
	}()
	lines, n, err := h.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading history from %s: %w", h.file, err)
	}
	if len(lines) > 0 {
		h.last = lines[len(lines)-1]
	}
	if n <= 2*historyLines {
		return lines, nil
	}
	return lines, writeWholeFile(h.file, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
		return err
	})
}

// read returns the last lines of the file, and how many there are.
func (h *history) read() (lines []string, n int, err error) {
	f, err := os.Open(h.file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		if n++; len(lines) == 2*historyLines {
			lines = slices.Delete(lines, 0, historyLines)
		}
		lines = append(lines, scanner.Text())
	}
	return lines[max(0, len(lines)-historyLines):], n, scanner.Err()
}

// add keeps a line, unless it is empty, too long, or the last once more.
func (h *history) add(line string) error {
	if h.file == "" || line == "" || len(line) > historyLine || line == h.last {
		return nil
	}
	h.last = line
	if err := h.write(line + "\n"); err != nil {
		h.file = "" // it would fail again, and that is told once
		return fmt.Errorf("writing history: %w", err)
	}
	return nil
}

// write appends to the file.
func (h *history) write(text string) error {
	if err := os.MkdirAll(filepath.Dir(h.file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(h.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

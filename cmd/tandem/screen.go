package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// screen shows one picture after the other: on a terminal each in the place of the
// one before, elsewhere below it, with an empty line between.
type screen struct {
	w        io.Writer
	terminal bool
	shown    bool
}

// The control sequences of terminals, of which all know these.
const (
	otherScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // a screen of its own: no cursor, and long lines are cut
	firstScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l" // what was there before
	toTop       = "\x1b[H"
	endOfLine   = "\x1b[K" // erases what is left of a line
	belowHere   = "\x1b[J" // erases all below
)

func newScreen(w io.Writer) *screen { return &screen{w: w, terminal: isTerminal(w)} }

// size returns how many characters and lines there are; lines is zero if nothing is
// ever cut.
func (s *screen) size() (width, lines int) {
	if f, ok := s.w.(*os.File); ok && s.terminal {
		if width, lines := windowSize(f); width > 0 && lines > 0 {
			return width, lines
		}
	}
	return plainWidth, 0
}

// show shows a picture. Of one that is higher than the terminal it shows the top.
// Nothing is erased that stays, so it does not flicker.
func (s *screen) show(picture string) error {
	if !s.terminal {
		if s.shown {
			picture = "\n" + picture
		}
		s.shown = true
		_, err := io.WriteString(s.w, picture)
		return err
	}
	_, height := s.size()
	var b strings.Builder
	if !s.shown {
		b.WriteString(otherScreen)
	}
	s.shown = true
	b.WriteString(toTop)
	lines := strings.Split(strings.TrimSuffix(picture, "\n"), "\n")
	if height > 0 && len(lines) > height {
		lines = append(lines[:height-1], fmt.Sprintf("... %d lines more", len(lines)-height+1))
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + endOfLine)
	}
	b.WriteString(belowHere)
	_, err := io.WriteString(s.w, b.String())
	return err
}

// close gives a terminal back as it was, with the last picture on it.
func (s *screen) close(last string) {
	if s.terminal && s.shown {
		fmt.Fprint(s.w, firstScreen+last)
	}
}

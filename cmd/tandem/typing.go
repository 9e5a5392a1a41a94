package main

import (
	"io"
	"os"
)

// endOfTyping returns what is closed when the reader of a terminal types the end of
// the input, Ctrl-D. It is nil if the input is no terminal, but a file or a pipe,
// whose end means nothing: what is started with no input must live.
func endOfTyping(in io.Reader) <-chan struct{} {
	f, ok := in.(*os.File)
	if !ok || !isTerminal(f) || isNull(f) {
		return nil
	}
	letReadsFailInBackground()
	end := make(chan struct{})
	go func() { // it ends with the process
		if _, err := io.Copy(io.Discard, f); err == nil {
			close(end)
		}
	}()
	return end
}

// isNull reports whether a file is the system's empty one, which is a character
// device as terminals are.
func isNull(f *os.File) bool {
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(null, info)
}

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
	if !ok || !isTerminal(f) {
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

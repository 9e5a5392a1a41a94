package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line that is read, in bytes: two values and a key of the largest
// size, every byte an escape of four, and the words around them.
func (s *shell) maxLine() int { return 4*(2*int(s.conn.maxValue)+maxKey) + 1<<10 }

// maxKey bounds a key, in bytes.
const maxKey = 64 << 10

// follow carries out the lines that it reads, up to the first that fails.
func (s *shell) follow(ctx context.Context, r io.Reader, who string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := readLines(ctx, r, s.maxLine())
	worst := error(nil)
	for n := 1; ; n++ {
		line, err := lines.next(ctx)
		if errors.Is(err, io.EOF) {
			return worst
		}
		at := fmt.Sprintf("%s: line %d", who, n)
		if err != nil {
			return &failedError{fmt.Errorf("line %d: %w", n, err)}
		}
		err = s.carryOut(ctx, at, line)
		var status *statusError
		var usage *usageError
		switch {
		case err == nil:
		case errors.Is(err, errLeave):
			return worst
		case errors.As(err, &usage):
			return usageErrorf("line %d: %w", n, err)
		case errors.As(err, &status) && status.status == exitBroken:
			worst = err
		default:
			return err
		}
	}
}

// lineReader reads lines for one who may not have the patience.
type lineReader struct {
	lines chan string
	err   error // why there are no more, once lines is closed
}

// readLines starts to read lines of max bytes at most. If the context ends, a goroutine is left behind that
// reads until something comes: a read from a pipe cannot be broken off.
func readLines(ctx context.Context, r io.Reader, max int) *lineReader {
	l := &lineReader{lines: make(chan string)}
	go func() {
		defer close(l.lines)
		scanner := bufio.NewScanner(r)
		scanner.Buffer(nil, max)
		for scanner.Scan() {
			select {
			case l.lines <- scanner.Text():
			case <-ctx.Done():
				l.err = errInterrupted
				return
			}
		}
		switch l.err = scanner.Err(); {
		case l.err == nil:
			l.err = io.EOF
		case errors.Is(l.err, bufio.ErrTooLong):
			l.err = fmt.Errorf("it is longer than %d bytes", max)
		}
	}()
	return l
}

// next returns the next line, io.EOF if there is none.
func (l *lineReader) next(ctx context.Context) (string, error) {
	if ctx.Err() != nil {
		return "", errInterrupted
	}
	select {
	case line, ok := <-l.lines:
		if !ok {
			return "", l.err
		}
		return line, nil
	case <-ctx.Done():
		return "", errInterrupted
	}
}

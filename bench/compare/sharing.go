package main

import (
	"io"
	"sync"
)

// sharing hands out connections: one to each client, or one to all that are open. It is
// safe for concurrent use.
type sharing[C io.Closer] struct {
	dial   func() (C, error)
	shared bool

	mu    sync.Mutex
	users int // of conn, if it is shared; zero: there is none
	conn  C
}

// open returns a client's connection.
func (s *sharing[C]) open() (C, error) {
	if !s.shared {
		return s.dial()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		var err error
		if s.conn, err = s.dial(); err != nil {
			return s.conn, err
		}
	}
	s.users++
	return s.conn, nil
}

// release closes a client's connection, unless another uses it.
func (s *sharing[C]) release(conn C) error {
	if !s.shared {
		return conn.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	return conn.Close()
}

//go:build !unix

package rpcnet

import "net"

// tryWriter would write to a connection without waiting; here there is none.
type tryWriter struct{}

func newTryWriter(net.Conn) *tryWriter { return nil }

func (*tryWriter) try([]byte) (int, error) { return 0, nil }

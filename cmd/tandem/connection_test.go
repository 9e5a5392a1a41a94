package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoutesLeadElsewhere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	r := routes{list: []string{"nowhere.invalid:1=" + l.Addr().String()}}
	dial, err := r.dialer()
	require.NoError(t, err)
	for _, addr := range []string{"nowhere.invalid:1", l.Addr().String()} {
		conn, err := dial(t.Context(), "tcp", addr)
		require.NoError(t, err, addr)
		require.Equal(t, l.Addr().String(), conn.RemoteAddr().String())
		require.NoError(t, conn.Close())
	}
}

func TestRoutesThatMakeNoSense(t *testing.T) {
	for _, list := range [][]string{{"a:1"}, {"=b:1"}, {"a:1="}, {"a:1=b:1", "a:1=c:1"}} {
		_, err := (&routes{list: list}).dialer()
		var usage *usageError
		require.ErrorAs(t, err, &usage, "%q", list)
		require.ErrorContains(t, err, list[len(list)-1])
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOrders(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)

	t.Run("the end of the context is leave, a further signal kill", func(t *testing.T) {
		i := &interruption{again: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), interruptionKey{}, i))
		orders, stop := new(daemon).orders(ctx, strings.NewReader("kill\n"), quiet)
		defer stop()
		require.True(t, i.claimed.Load())
		cancel()
		require.Equal(t, leave, <-orders)
		close(i.again)
		require.Equal(t, kill, <-orders)
	})

	t.Run("standard input gives orders, and its end is kill", func(t *testing.T) {
		var log bytes.Buffer
		d := &daemon{untilEOF: true}
		in, out := io.Pipe()
		orders, stop := d.orders(t.Context(), in, slog.New(slog.NewTextHandler(&log, nil)))
		defer stop()
		_, err := io.WriteString(out, "\n leave \nlive\n")
		require.NoError(t, err)
		require.Equal(t, leave, <-orders)
		require.NoError(t, out.Close())
		require.Equal(t, kill, <-orders)
		require.Contains(t, log.String(), "order=live")
	})

	t.Run("nobody has to take them", func(t *testing.T) {
		d := &daemon{untilEOF: true}
		_, stop := d.orders(t.Context(), strings.NewReader("leave"), quiet)
		stop()
	})
}

func TestReadyLine(t *testing.T) {
	r := ready{Role: "server", Addr: "0.0.0.0:7001", Advertise: "10.0.0.1:7001", Incarnation: "ab"}
	var text, object bytes.Buffer
	require.NoError(t, (&daemon{}).announce(&text, r))
	require.Regexp(t, `^server listening on 0\.0\.0\.0:7001, known as 10\.0\.0\.1:7001, process \d+\n$`, text.String())

	require.NoError(t, (&daemon{json: true}).announce(&object, r))
	var got ready
	require.NoError(t, json.Unmarshal(object.Bytes(), &got))
	r.PID = os.Getpid()
	require.Equal(t, r, got)
}

func TestLogger(t *testing.T) {
	var w bytes.Buffer
	log, err := (&daemon{logLevel: "warn", logFormat: "json"}).logger(&w)
	require.NoError(t, err)
	log.Info("one")
	log.Warn("two")
	require.Equal(t, 1, strings.Count(w.String(), "\n"))
	require.Contains(t, w.String(), `"msg":"two"`)

	for _, d := range []daemon{{logLevel: "loud", logFormat: "text"}, {logLevel: "info", logFormat: "xml"}} {
		_, err := d.logger(&w)
		var usage *usageError
		require.ErrorAs(t, err, &usage)
	}
}

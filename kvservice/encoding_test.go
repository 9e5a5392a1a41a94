package kvservice

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/compact"
	"github.com/tandemkv/tandem/kvservice/replica"
)

func TestBatchThroughItsCompactEncoding(t *testing.T) {
	view := tandem.View{Viewnum: 2, Primary: "a", Backup: "b", PrimaryIncarnation: 1, BackupIncarnation: 2, Cluster: 3}
	m := replica.Message{Kind: replica.Forward, View: view, From: view.PrimaryServer(), To: view.BackupServer(), Seq: 1, Index: 4, Commit: 3}
	forward := m
	forward.Entries = []replica.Entry{{Epoch: 2, Index: 5, Time: 6, Payload: []byte("put")}}
	for _, sent := range []Batch{{}, {Messages: []replica.Message{m}}, {Messages: []replica.Message{forward, m, forward}}} {
		b := sent.AppendCompact(nil)
		got := Batch{Messages: []replica.Message{m, m}, arrival: &arrival{from: "of the batch before"}}
		require.NoError(t, got.DecodeCompact(b))
		require.Equal(t, sent, got)
		for n := range b {
			require.ErrorIs(t, got.DecodeCompact(b[:n:n]), compact.ErrMalformed)
			require.Equal(t, Batch{}, got, "after an error")
		}
		require.ErrorContains(t, got.DecodeCompact(append(b, 0)), "1 of")
		require.Equal(t, Batch{}, got, "after an error")
	}
}

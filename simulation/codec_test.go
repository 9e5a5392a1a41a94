package simulation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// TestRecodingIsTheSameEitherWay sends a message of each kind through both
// encodings: what arrives is equal to what was sent, and stays so when the codec is
// used again, and the sender's differs.
func TestRecodingIsTheSameEitherWay(t *testing.T) {
	target := tandem.Target{Cluster: 1, Group: 2, Viewnum: 3}
	view := tandem.View{Viewnum: 4, Primary: "a", Backup: "b", PrimaryIncarnation: 5, BackupIncarnation: 6, Cluster: 1, Group: 2}
	messages := func() []*body {
		return []*body{
			{Kind: peerMessage, Peer: &replica.Message{
				Kind: replica.Forward, View: view, From: view.PrimaryServer(), To: view.BackupServer(), Seq: 7, Index: 8, Commit: 9,
				Entries: []replica.Entry{{Epoch: 4, Index: 9, Time: 10, Payload: []byte("payload")}},
			}},
			{Kind: putArgs, Call: 1, Put: &tandem.PutArgs{Key: "k", Value: "v", Session: 1, Number: 2, Target: target}},
			{Kind: putReply, Life: 2, Call: 1, PutReply: &tandem.PutReply{Err: tandem.OK, PreviousValue: "v", Outcome: tandem.DidRun}},
			{Kind: getArgs, Call: 2, Get: &tandem.GetArgs{Key: "k", Target: target}},
			{Kind: getReply, Life: 2, Call: 2, GetReply: &tandem.GetReply{Err: tandem.ErrNoKey}},
			{Kind: scanArgs, Call: 3, Scan: &tandem.ScanArgs{Prefix: "k", Limit: 4, Scan: 5, After: "ka", Target: target}},
			{Kind: scanReply, Life: 2, Call: 3, ScanReply: &tandem.ScanReply{Err: tandem.OK, Pairs: []tandem.Pair{{Key: "k", Value: "v"}}, Scan: 5, Index: 6}},
		}
	}
	c := newCodec()
	for i, b := range messages() {
		t.Run(b.Kind.String(), func(t *testing.T) {
			compactly := c.throughCompact(b)
			require.NotNil(t, compactly)
			byGob := c.throughGob(b)
			if b.Kind == peerMessage {
				b.Peer.Entries[0].Payload[0]++
			}
			for _, other := range messages() {
				c.throughCompact(other)
			}
			want := messages()[i]
			require.Equal(t, want, compactly)
			require.Equal(t, want, byGob)
			require.Equal(t, want, c.recode(want, 1))
			require.Equal(t, want, c.recode(want, 2))
		})
	}
	require.Nil(t, c.throughCompact(&body{Kind: ping, Ping: &tandem.PingArgs{}}))
	view.Backup = ""
	pinged := &body{Kind: pingReply, PingReply: &tandem.PingReply{View: view}}
	require.Equal(t, pinged, c.recode(pinged, 2))
}

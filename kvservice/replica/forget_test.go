package replica_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// Requests that are forgotten together leave what they leave when they are forgotten
// one by one, wherever they wait: in the log, as duplicates that joined, for
// confirmation, or for room; and nobody else's answer is lost with theirs.
func TestForgettingTogetherIsForgettingEach(t *testing.T) {
	p := newPair(replica.Config{MaxInFlight: 4}).join()
	submit := func(r replica.Request) {
		p.id++
		r.ID = p.id
		p.primary.Submit(r)
	}
	for n := range uint64(8) { // of which four find room
		put := replica.Request{Payload: fmt.Appendf(nil, "%d/1 put k v", n+1), Session: n + 1, Number: 1}
		if submit(put); n < 4 {
			submit(put)
			submit(put)
			submit(replica.Request{Kind: replica.Read, Payload: []byte("get k")})
		}
	}
	require.Equal(t, uint64(4), p.primary.Status().Last-p.primary.Status().Commit)
	require.Equal(t, 8, p.primary.Status().Waiting)
	for _, every := range []uint64{1, 2, 3, 5} {
		t.Run(fmt.Sprint("every ", every), func(t *testing.T) {
			together, each := p.primary.Clone(), p.primary.Clone()
			gone := map[uint64]bool{}
			var ids []uint64
			for id := p.id; id > 0; id -= min(id, every) {
				gone[id] = true
				ids = append(ids, id)
				each.Forget(id)
			}
			ids = append(ids, p.id+1) // nobody's
			together.Forget(ids...)
			require.True(t, together.Equal(each))

			// The view changes; whoever waits is told.
			superseded := pairView
			superseded.Viewnum, superseded.Primary, superseded.PrimaryIncarnation = 3, "c", 3
			together.ViewHeard(superseded, 0)
			told := 0
			for _, reply := range together.TakeEffects().Replies {
				require.False(t, gone[reply.ID], "request %d was forgotten", reply.ID)
				require.Equal(t, tandem.ErrWrongServer, reply.Err)
				told++
			}
			require.Equal(t, int(p.id)-len(gone), told)
		})
	}
}

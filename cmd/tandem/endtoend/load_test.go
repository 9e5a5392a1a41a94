//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/internal/workload"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation/runfolder"
)

// load is clients at work, whose history is judged at the end.
type load struct {
	g       *group
	clients int
	history *workload.History
	keys    *workload.Keys
	workers *workload.Workers
	cancel  context.CancelFunc
}

// startLoad starts clients. Those who are patient have no operation with a deadline.
func (g *group) startLoad(clients int, patient bool) *load {
	l := &load{g: g, clients: clients, history: workload.NewHistory(), keys: workload.NewKeys(max(2, clients))}
	// Not the test's own context, which ends before its cleanup does.
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	var all []*kvservice.KVClient
	for range clients {
		all = append(all, g.client())
	}
	seed := uint64(time.Now().UnixNano())
	g.t.Logf("the seed of the clients is %d", seed)
	l.workers = workload.Start(ctx, workload.Load{History: l.history, Keys: l.keys, Seed: seed, Clients: all, Patient: patient})
	g.t.Cleanup(func() { // before the clients are closed
		cancel()
		l.workers.Wait()
	})
	return l
}

// progress waits until so many more operations are done.
func (l *load) progress(n int) {
	l.g.t.Helper()
	want := l.history.Counts().Done + n
	l.g.wait(fmt.Sprintf("%d more operations", n), func() bool { return l.history.Counts().Done >= want })
}

// finish lets the clients finish what they have begun, which must take no faults
// long (P1), reads every key, crashes the primary and reads every key again, since
// what one member answers the other has, too (I3). Then it has the history judged. No
// fault may be left.
func (l *load) finish() {
	g := l.g
	g.t.Helper()
	g.waitWell()
	l.workers.Stop()
	g.wait("the clients, of whom none may wait in vain", func() bool { return l.workers.Running() == 0 })
	l.readAll()
	g.crash(g.waitWell().primary)
	l.readAll()
	l.cancel()
	l.workers.Wait()
	n, gap, wait := l.history.Counts(), l.history.LongestGap(), l.history.LongestWait()

	g.t.Logf("%d operations, %d of unknown outcome, %d failed; longest time without an answer to anybody %v, to one client %v",
		n.All(), n.Unknown, n.Failed, gap.Length().Round(time.Millisecond), wait.Length().Round(time.Millisecond))
	l.judge()
}

func (l *load) readAll() {
	l.g.t.Helper()
	k := l.g.client()
	require.NoError(l.g.t, l.history.ReadAll(l.g.t.Context(), k, l.clients, 1, l.keys.Used(), patience), "the last reads")
}

// judge has the history judged. If it is not linearizable it is kept.
func (l *load) judge() {
	l.g.t.Helper()
	j := l.history.Judge(context.Background(), 1, nil)
	if j.Verdict == workload.Valid {
		return
	}
	dir, err := l.keep(j.Bad)
	l.g.t.Errorf("the history is %s; %+v; keys %v; it is in %s (%v)", j.Verdict, j.Witnessed, j.Bad, dir, err)
}

// keep writes the history and a picture of the keys that are bad into a directory of
// its own, and returns that.
func (l *load) keep(bad []workload.BadKey) (string, error) {
	var history, picture bytes.Buffer
	err := errors.Join(l.history.WriteJSON(&history), l.history.WritePicture(bad, &picture))
	dir, failed := os.MkdirTemp("", "tandem-endtoend-history-")
	if failed != nil {
		return "", errors.Join(err, failed)
	}
	return dir, errors.Join(err, runfolder.WriteFiles(filepath.Join(dir, "run"), []runfolder.File{
		{Name: "history.jsonl", Content: history.Bytes()},
		{Name: "picture.html", Content: picture.Bytes()},
	}))
}

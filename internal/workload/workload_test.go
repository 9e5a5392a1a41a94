package workload

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
	"github.com/tandemkv/tandem/sysmonitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// store starts a view service and a server, and returns a client of theirs.
func store(t *testing.T) *kvservice.KVClient {
	t.Helper()
	dir := t.TempDir()
	m, err := sysmonitor.Start(filepath.Join(dir, "m"))
	require.NoError(t, err)
	t.Cleanup(m.Kill)
	s, err := kvservice.Start(m.Addr(), filepath.Join(dir, "s"))
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	k := kvservice.MakeKVClient(m.Addr())
	t.Cleanup(k.Close)
	return k
}

// op makes an operation that was done.
func op(kind simulation.OpKind, call, back int64, value, got string) simulation.Operation {
	return simulation.Operation{
		Call: call, Return: back, Verdict: simulation.Done,
		Input: simulation.Input{Kind: kind, Key: "k", Value: value}, Output: simulation.Output{Value: got},
	}
}

func put(call, back int64, value string) simulation.Operation {
	return op(simulation.Put, call, back, value, "")
}

func app(call, back int64, value string) simulation.Operation {
	return op(simulation.Append, call, back, value, "")
}

func get(call, back int64, got string) simulation.Operation {
	return op(simulation.Get, call, back, "", got)
}

func historyOf(ops ...simulation.Operation) *History {
	h := NewHistory()
	for _, op := range ops {
		h.add(op)
	}
	return h
}

func TestWorkersLeaveAHistoryThatIsJudged(t *testing.T) {
	k := store(t)
	h, keys := NewHistory(), NewKeys(3)
	w := Start(t.Context(), Load{History: h, Keys: keys, Seed: 1, Clients: []*kvservice.KVClient{k, k, k}})
	defer w.Wait()
	defer w.Stop()
	require.Eventually(t, func() bool { return len(keys.Used()) > 8 && len(h.CountsByKind()) == 6 }, patience, time.Millisecond)
	w.Stop()
	w.Stop()
	require.Eventually(t, func() bool { return w.Running() == 0 }, patience, time.Millisecond)
	w.Wait()

	before := h.Counts()
	require.NoError(t, h.ReadAll(t.Context(), k, 3, 2, keys.Used(), patience))
	require.Equal(t, before.All()+len(keys.Used()), h.Counts().All())
	require.Equal(t, before.Done+len(keys.Used()), h.Counts().Done)
	require.ElementsMatch(t, keys.Used(), h.Keys())
	for _, key := range h.Keys() {
		for _, op := range h.Of(key) {
			require.True(t, op.Client != 0 || op.Input.Kind == simulation.Get, "the first worker only reads")
		}
	}

	told := 0
	j := h.Judge(t.Context(), 1, func(judged, keys int) {
		told++
		require.Equal(t, told, judged)
		require.Equal(t, len(h.Keys()), keys)
	})
	require.Equal(t, Judgement{Verdict: Valid, Keys: told, Judged: told}, j)
	require.Less(t, h.LongestGap().Length(), time.Since(h.Start()))
	require.Positive(t, h.LongestGap().Length())
	require.Positive(t, h.LongestWait().Length())
}

func TestWorkersEndWithTheContext(t *testing.T) {
	k := kvservice.MakeKVClient(filepath.Join(t.TempDir(), "nobody"))
	defer k.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h := NewHistory()
	w := Start(ctx, Load{History: h, Keys: NewKeys(2), Clients: []*kvservice.KVClient{k, k}})
	require.Equal(t, 2, w.Running())
	cancel()
	w.Wait()
	require.Zero(t, w.Running())
	require.Zero(t, h.Counts().Done)
	require.Zero(t, h.Counts().Unknown, "nothing was ever sent")
	require.ErrorContains(t, h.ReadAll(ctx, k, 0, 1, []string{"some key"}, patience), `read "some key"`)
}

func TestKeysAreGivenUp(t *testing.T) {
	k, rng := NewKeys(2), rand.New(rand.NewPCG(1, 1))
	spent := make(map[string]int)
	for range 20 * keyBudget {
		spent[k.next(rng)]++
	}
	notFull := 0
	for _, key := range k.Used() {
		require.LessOrEqual(t, spent[key], keyBudget)
		if spent[key] < keyBudget {
			notFull++
		}
	}
	require.LessOrEqual(t, notFull, 2, "those in use")
	require.Len(t, spent, len(k.Used()))

	key := k.next(rng)
	for range unknownsPerKey + 1 {
		k.unknown(key)
	}
	for range 20 {
		require.NotEqual(t, key, k.next(rng), "too much of it is unknown")
	}
	k.unknown(key) // late: it is no longer in use
	require.Panics(t, func() { NewKeys(1) })
}

func TestEveryTokenIsToldFromItsSurroundings(t *testing.T) {
	value := "12" + token(3, 7) + token(53, 7) + token(5, 37)
	require.Equal(t, 1, strings.Count(value, token(3, 7)))
	require.Zero(t, duplicated([]simulation.Operation{get(1, 2, value)}))
	require.Equal(t, 1, duplicated([]simulation.Operation{get(1, 2, value+token(53, 7)), get(3, 4, value+token(53, 7))}), "one token")
}

func TestWitnessed(t *testing.T) {
	unknown := func(op simulation.Operation) simulation.Operation {
		op.Verdict, op.Output = simulation.Unknown, simulation.Output{}
		return op
	}
	failed := func(op simulation.Operation) simulation.Operation {
		op.Verdict, op.Output = simulation.Failed, simulation.Output{}
		return op
	}
	swap := func(call, back int64, value string, swapped bool) simulation.Operation {
		o := op(simulation.CompareAndSwap, call, back, value, "")
		o.Output.Swapped = swapped
		return o
	}
	for _, tc := range []struct {
		name string
		ops  []simulation.Operation
		want Witnessed
	}{
		{"nothing", nil, Witnessed{}},
		{"all is shown", []simulation.Operation{put(1, 2, "[a]"), app(3, 4, "[b]"), get(5, 6, "[a][b]")}, Witnessed{}},
		{"a write that no read shows", []simulation.Operation{put(1, 2, "[a]"), app(3, 4, "[b]"), get(5, 6, "[a]")}, Witnessed{Lost: 1}},
		{"a write that no read shows before it is removed", []simulation.Operation{put(1, 2, "[a]"), get(3, 4, ""), op(simulation.Delete, 5, 6, "", ""), get(7, 8, "")}, Witnessed{Stale: 1}},
		{"one that is lost, and one that is read too late", []simulation.Operation{app(1, 2, "[a]"), app(1, 2, "[b]"), get(3, 4, ""), get(5, 6, "[b]")}, Witnessed{Lost: 1, Stale: 1}},
		{"two", []simulation.Operation{put(1, 2, "[a]"), app(3, 4, "[b]"), get(5, 6, ""), get(7, 8, "")}, Witnessed{Lost: 2}},
		{"a read between two that show it", []simulation.Operation{put(1, 2, "[a]"), get(3, 4, ""), get(5, 6, "[a]")}, Witnessed{Stale: 1}},
		{"the same, answered out of order", []simulation.Operation{put(1, 2, "[a]"), get(5, 6, "[a]"), get(3, 4, "")}, Witnessed{Stale: 1}},
		{"one read, two writes", []simulation.Operation{app(1, 2, "[a]"), app(1, 2, "[b]"), get(3, 4, ""), get(5, 6, "[b][a]")}, Witnessed{Stale: 1}},
		{"a put at the same time", []simulation.Operation{put(1, 2, "[a]"), app(1, 2, "[b]"), get(3, 4, "[a]")}, Witnessed{}},
		{"one read, an append after a write", []simulation.Operation{put(1, 2, "[a]"), app(3, 4, "[b]"), get(5, 6, "[a]"), get(7, 8, "[a][b]")}, Witnessed{Stale: 1}},
		{"a read that began before the answer", []simulation.Operation{put(1, 4, "[a]"), get(3, 6, "")}, Witnessed{}},
		{"a delete between", []simulation.Operation{put(1, 2, "[a]"), op(simulation.Delete, 3, 4, "", ""), get(5, 6, "")}, Witnessed{}},
		{"a hash between", []simulation.Operation{put(1, 2, "[a]"), op(simulation.PutHash, 3, 4, "[b]", "[a]"), get(5, 6, "17")}, Witnessed{}},
		{"a delete before", []simulation.Operation{op(simulation.Delete, 1, 2, "", ""), put(3, 4, "[a]"), get(5, 6, "")}, Witnessed{Lost: 1}},
		{"a delete at the same time", []simulation.Operation{op(simulation.Delete, 1, 4, "", ""), put(3, 6, "[a]"), get(7, 8, "")}, Witnessed{}},
		{"a delete while it is read", []simulation.Operation{put(1, 2, "[a]"), get(3, 6, ""), op(simulation.Delete, 5, 8, "", "")}, Witnessed{}},
		{"a delete after it is read", []simulation.Operation{put(1, 2, "[a]"), get(3, 4, ""), op(simulation.Delete, 5, 8, "", "")}, Witnessed{Lost: 1}},
		{"a delete of unknown outcome, long before", []simulation.Operation{unknown(op(simulation.Delete, 1, 2, "", "")), put(3, 4, "[a]"), get(5, 6, "")}, Witnessed{}},
		{"a delete that failed", []simulation.Operation{put(1, 2, "[a]"), failed(op(simulation.Delete, 3, 4, "", "")), get(5, 6, "")}, Witnessed{Lost: 1}},
		{"a swap that did not", []simulation.Operation{put(1, 2, "[a]"), swap(3, 4, "[b]", false), get(5, 6, "")}, Witnessed{Lost: 1}},
		{"a swap that did", []simulation.Operation{put(1, 2, "[a]"), swap(3, 4, "[b]", true), get(5, 6, "")}, Witnessed{Lost: 1}},
		{"a swap of unknown outcome", []simulation.Operation{put(1, 2, "[a]"), unknown(swap(3, 4, "[b]", true)), get(5, 6, "")}, Witnessed{}},
		{"a write that nobody acknowledged", []simulation.Operation{unknown(put(1, 2, "[a]")), get(5, 6, "")}, Witnessed{}},
		{"a write twice", []simulation.Operation{app(1, 2, "[a]"), get(3, 4, "[a][a]")}, Witnessed{Duplicated: 1}},
		{"twice in what a PutHash replaced", []simulation.Operation{op(simulation.PutHash, 3, 4, "[b]", "[a][c][a]")}, Witnessed{Duplicated: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := witness(tc.ops)
			require.Equal(t, tc.want, got)
			if got.Any() {
				require.Equal(t, porcupine.Illegal, simulation.Linearizable(tc.ops, judgingMax), "what is witnessed is no matter of taste")
			}
		})
	}
}

func TestJudge(t *testing.T) {
	good := []simulation.Operation{put(1, 2, "[a]"), get(3, 4, "[a]")}
	require.Equal(t, Judgement{Verdict: Valid}, historyOf().Judge(t.Context(), 2, nil))
	require.Equal(t, Judgement{Verdict: Valid, Keys: 1, Judged: 1}, historyOf(good...).Judge(t.Context(), 2, nil))

	// Nothing is witnessed, and yet: the order of two appends changes.
	swapped := []simulation.Operation{app(1, 4, "[a]"), app(1, 4, "[b]"), get(5, 6, "[a][b]"), get(7, 8, "[b][a]")}
	j := historyOf(swapped...).Judge(t.Context(), 2, nil)
	require.Equal(t, Judgement{Verdict: Invalid, Keys: 1, Judged: 1, Bad: []BadKey{{"k", porcupine.Illegal}}}, j)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, Judgement{Verdict: Unknown, Keys: 1}, historyOf(good...).Judge(ctx, 2, nil))
	j = historyOf(put(1, 2, "[a]"), get(3, 4, "")).Judge(ctx, 2, nil)
	require.Equal(t, Judgement{Verdict: Invalid, Keys: 1, Witnessed: Witnessed{Lost: 1}}, j, "broken is broken")
}

func TestJudgingEndsAfterAFewBadKeys(t *testing.T) {
	h := NewHistory()
	for i := range 50 {
		for _, op := range []simulation.Operation{put(1, 2, "x"), get(3, 4, "y")} {
			op.Input.Key = fmt.Sprintf("key %02d", i)
			h.add(op)
		}
	}
	j := h.Judge(t.Context(), 2, nil)
	require.Equal(t, Invalid, j.Verdict)
	require.GreaterOrEqual(t, len(j.Bad), badKeysMax)
	require.Less(t, j.Judged, 10)
	require.True(t, slices.IsSortedFunc(j.Bad, func(a, b BadKey) int { return strings.Compare(a.Key, b.Key) }))

	var picture bytes.Buffer
	require.NoError(t, h.WritePicture(j.Bad, &picture))
	require.Contains(t, picture.String(), `Get \"key 00\"`)
	require.NotContains(t, picture.String(), "key 49")
}

func TestGaps(t *testing.T) {
	h := NewHistory()
	answer := func(client int, at time.Duration, v simulation.Verdict) {
		h.add(simulation.Operation{Client: client, Return: int64(at), Verdict: v})
	}
	require.Zero(t, h.LongestGap())
	answer(0, 3, simulation.Done)
	require.Equal(t, Gap{0, 3}, h.LongestGap())
	require.Zero(t, h.LongestWait(), "its first answer")
	answer(1, 5, simulation.Done)
	answer(0, 6, simulation.Unknown)
	answer(1, 9, simulation.Done)
	require.Equal(t, Gap{5, 9}, h.LongestGap())
	answer(0, 8, simulation.Done) // written down late
	answer(0, 12, simulation.Failed)
	require.Equal(t, Gap{5, 9}, h.LongestGap())
	require.Equal(t, Gap{3, 8}, h.LongestWait())
	require.Equal(t, Counts{Done: 4, Failed: 1, Unknown: 1}, h.Counts())
}

// What is kept of an operation is all of it.
func TestNothingOfAnOperationIsForgotten(t *testing.T) {
	ops := []simulation.Operation{
		{Client: 3, Call: 1, Return: 2, Verdict: simulation.Done, Input: simulation.Input{Kind: simulation.CompareAndSwap, Key: "k", Value: "v", Expected: "e"}, Output: simulation.Output{Swapped: true}},
		{Client: 4, Call: 3, Return: 9, Verdict: simulation.Done, Input: simulation.Input{Kind: simulation.Delete, Key: "k"}, Output: simulation.Output{Absent: true}},
		{Client: 5, Call: 4, Return: 5, Verdict: simulation.Done, Input: simulation.Input{Kind: simulation.PutHash, Key: "k", Value: "w"}, Output: simulation.Output{Value: "was"}},
		{Client: 6, Call: 6, Return: 7, Verdict: simulation.Unknown, Input: simulation.Input{Kind: simulation.Append, Key: "k", Value: "x"}, Err: "lost"},
		{Client: 7, Call: 8, Return: 9, Verdict: simulation.Failed, Input: simulation.Input{Kind: simulation.Put, Key: "k", Value: "y"}, Err: "refused"},
	}
	h := historyOf(ops...)
	require.Equal(t, ops, h.Of("k"))

	var b bytes.Buffer
	require.NoError(t, h.WriteJSON(&b))
	lines := bufio.NewScanner(&b)
	for _, op := range ops {
		require.True(t, lines.Scan())
		var got line
		require.NoError(t, json.Unmarshal(lines.Bytes(), &got))
		require.Equal(t, lineOf(op), got)
	}
	require.False(t, lines.Scan())
}

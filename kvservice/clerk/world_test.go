package clerk

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
)

// world is what a clerk lives in, at its worst: a group of servers behind a
// network in which a message is never gone, but may be delivered again at any
// time, with the one exception that the clerk asks for (a copy does not outlive
// the session in which another copy of it ran). The servers share one state, as replicas do, and obey S3; who of them
// is primary changes, sessions expire, and once in a while the whole cluster is
// replaced by one that knows nothing and gives out the same session ids.
type world struct {
	until int // ticks, by which time must do nothing
	clerk *Clerk

	cluster  uint64
	belongs  uint64 // the cluster of the clerk's first view
	view     tandem.View
	sessions map[uint64]*served
	lastID   uint64
	full     bool // no session can be opened

	network []Call             // every copy ever sent, but those that never left
	gone    []CallID           // of these, calls that no copy is left of
	inbox   map[CallID][]any   // replies on their way
	asked   *AskView           // the ask that is out
	pending map[RequestID]bool // true once any attempt was handed out

	effects map[RequestID]int       // how often each update took effect
	answers map[RequestID]string    // what the first said
	ended   map[RequestID]Done      // what each came to
	keys    map[string]contentOfKey // by "cluster/session/number": what was sent under it
	lastReq RequestID
}

type served struct {
	number uint64
	reply  tandem.PutReply
}

type contentOfKey struct{ key, value string }

func newWorld(config Config) *world {
	w := &world{
		inbox:   map[CallID][]any{},
		pending: map[RequestID]bool{},
		effects: map[RequestID]int{},
		answers: map[RequestID]string{},
		ended:   map[RequestID]Done{},
		keys:    map[string]contentOfKey{},
	}
	w.clerk = New(config)
	w.newCluster(5)
	return w
}

func (w *world) newCluster(viewnum uint) {
	w.cluster++
	w.view = tandem.View{Viewnum: viewnum, Primary: "a", Cluster: w.cluster}
	w.sessions, w.lastID = map[uint64]*served{}, 0
}

func (w *world) start(t require.TestingT, kind string) {
	w.lastReq++
	id := w.lastReq
	w.pending[id] = false
	switch kind {
	case "get":
		w.clerk.Start(id, Request{Get: &tandem.GetArgs{Key: "k"}})
	case "scan":
		w.clerk.Start(id, Request{
			Scan:   &tandem.ScanArgs{Scan: 3, After: "k"},
			Origin: Origin{w.view.Primary, w.view.Cluster},
		})
	default:
		// The key says which request it is, so that its effects can be counted.
		w.clerk.Start(id, Request{Put: &tandem.PutArgs{Op: tandem.OpAppend, Key: fmt.Sprint(id), Value: kind}})
	}
	w.carryOut(t)
}

// carryOut does what the clerk wants done, and checks it.
func (w *world) carryOut(t require.TestingT) {
	out := w.clerk.Take()
	for _, call := range out.Calls {
		if p := call.Put; p != nil && p.Op != tandem.OpOpenSession {
			// S1: a number stands for one content, and none is used without a
			// session (C3).
			name := fmt.Sprintf("%d/%d/%d", p.Cluster, p.Session, p.Number)
			is := contentOfKey{p.Key, p.Value}
			was, again := w.keys[name]
			require.True(t, !again || was == is, "%s was %v and is %v", name, was, is)
			require.NotZero(t, p.Session)
			w.keys[name] = is
			w.pending[w.requestOf(&call)] = true
		}
		require.Equal(t, call.Addr, w.clerk.View().Primary)
		w.network = append(w.network, call)
	}
	for _, ask := range out.Ask {
		require.Nil(t, w.asked, "C1: one ask at a time")
		w.asked = &ask
	}
	for _, d := range out.Done {
		_, ours := w.pending[d.ID]
		_, twice := w.ended[d.ID]
		require.True(t, ours && !twice, "request %d is done once", d.ID)
		w.ended[d.ID] = d
		w.checkDone(t, d)
	}
	checkClerk(t, w.clerk)
}

// checkDone asserts that an answer is definite only where it is right (S5).
func (w *world) checkDone(t require.TestingT, d Done) {
	effects, isUpdate := w.effects[d.ID], w.answers[d.ID] != "" || d.Put != (tandem.PutReply{})
	require.LessOrEqual(t, effects, 1, "I10: request %d", d.ID)
	switch d.Outcome {
	case tandem.DidNotRun:
		require.Zero(t, effects, "request %d is said not to have run: %v", d.ID, d.Err)
	case tandem.DidRun:
		if isUpdate {
			require.Equal(t, 1, effects, "request %d is said to have run", d.ID)
			require.Equal(t, w.answers[d.ID], d.Put.PreviousValue, "I10: the answer is that of the first")
		}
		require.NoError(t, d.Err)
	default:
		require.Error(t, d.Err)
	}
	if !errors.Is(d.Err, ErrCanceled) && !errors.Is(d.Err, ErrClosed) && !errors.Is(d.Err, ErrSessionLost) {
		require.True(t, d.Err == nil || errors.Is(d.Err, tandem.ErrTooLarge) || errors.Is(d.Err, tandem.ErrScanLost) ||
			errors.Is(d.Err, tandem.ErrWrongCluster) && w.cluster > 1, "%v", d.Err)
	}
}

func (w *world) requestOf(call *Call) RequestID {
	id, err := strconv.ParseUint(call.Put.Key, 10, 64)
	if err != nil {
		panic(err)
	}
	return RequestID(id)
}

// deliver hands a copy of a call to the server it was for, and the reply to
// whoever carries replies.
func (w *world) deliver(call Call) {
	var reply any
	code := w.door(&call)
	switch {
	case call.Get != nil:
		reply = &tandem.GetReply{Err: code}
	case call.Scan != nil:
		reply = &tandem.ScanReply{Err: code}
	case code != tandem.OK:
		reply = &tandem.PutReply{Err: code, Outcome: tandem.DidNotRun}
	default:
		p := w.execute(&call)
		reply = &p
	}
	w.inbox[call.ID] = append(w.inbox[call.ID], reply)
}

// door is what a server decides by itself.
func (w *world) door(call *Call) tandem.Err {
	var target tandem.Target
	switch {
	case call.Put != nil:
		target = call.Put.Target
	case call.Get != nil:
		target = call.Get.Target
	case call.Scan != nil:
		target = call.Scan.Target
	}
	switch {
	case target.Cluster != w.cluster:
		return tandem.ErrWrongCluster
	case call.Addr != w.view.Primary:
		return tandem.ErrWrongServer
	case call.Addr == "b" && call.Put != nil && call.Put.Value == "large":
		return tandem.ErrTooLarge // b's limit is lower than the others'
	}
	return tandem.OK
}

// execute applies an update, by rule S3.
func (w *world) execute(call *Call) tandem.PutReply {
	p := call.Put
	if p.Op == tandem.OpOpenSession {
		if w.full {
			return tandem.PutReply{Err: tandem.ErrTooManySessions, Outcome: tandem.DidNotRun}
		}
		w.lastID++
		w.sessions[w.lastID] = &served{}
		return tandem.PutReply{Err: tandem.OK, Session: w.lastID, Outcome: tandem.DidRun}
	}
	s := w.sessions[p.Session]
	switch {
	case s == nil:
		return tandem.PutReply{Err: tandem.ErrSessionExpired, Outcome: tandem.DidNotRun}
	case p.Number < s.number:
		return tandem.PutReply{Err: tandem.ErrStaleRequest, Outcome: tandem.DidNotRun}
	case p.Number > s.number:
		id := w.requestOf(call)
		w.effects[id]++
		w.answers[id] = fmt.Sprintf("answer %d to %d", w.effects[id], id)
		s.number = p.Number
		s.reply = tandem.PutReply{Err: tandem.OK, PreviousValue: w.answers[id], Outcome: tandem.DidRun}
	}
	return s.reply
}

// expire drops a session, and the copies of what ran in it.
func (w *world) expire(id uint64) {
	delete(w.sessions, id)
	w.network = slices.DeleteFunc(w.network, func(call Call) bool {
		ran := call.Put != nil && call.Put.Session == id && call.Put.Cluster == w.cluster && len(w.inbox[call.ID]) > 0
		if ran {
			w.gone = append(w.gone, call.ID)
		}
		return ran
	})
}

// answer gives the clerk a reply that is on its way.
func (w *world) answer(t require.TestingT, id CallID, i int) {
	reply := w.inbox[id][i]
	switch reply := reply.(type) {
	case *tandem.PutReply:
		w.clerk.PutReplied(id, reply)
	case *tandem.GetReply:
		w.clerk.GetReplied(id, reply)
	case *tandem.ScanReply:
		w.clerk.ScanReplied(id, reply)
	}
	w.carryOut(t)
}

// tell answers the ask that is out: as the view service does, which refuses a
// client of another cluster.
func (w *world) tell(t require.TestingT) {
	ask := w.asked
	if ask == nil {
		return
	}
	w.asked = nil
	if ask.Cluster != 0 && ask.Cluster != w.cluster {
		w.clerk.ViewReplied(&tandem.ViewReply{Err: tandem.ErrWrongCluster})
	} else {
		w.clerk.ViewReplied(&tandem.ViewReply{View: w.view})
	}
	w.carryOut(t)
}

// check asserts what holds at all times.
func (w *world) check(t require.TestingT) {
	if v := w.clerk.View(); v.Viewnum != 0 {
		if w.belongs == 0 {
			w.belongs = v.Cluster
		}
		require.Equal(t, w.belongs, v.Cluster, "V0: a client keeps to its cluster")
	}
	for id, n := range w.effects {
		require.LessOrEqual(t, n, 1, "I10: request %d", id)
	}
	for id, d := range w.ended {
		// Also for what arrived after the caller was told.
		require.True(t, d.Outcome != tandem.DidNotRun || w.effects[id] == 0,
			"request %d ran after it was said that it never would: %v", id, d.Err)
	}
}

// heal ends the faults and demands that all requests end (P1).
func (w *world) heal(t require.TestingT) {
	w.full = false
	for round := 0; w.clerk.Stats().Requests > 0; round++ {
		require.Less(t, round, 1000, "P1: %+v", w.clerk.Stats())
		w.tell(t)
		for _, id := range w.gone {
			w.clerk.Failed(id, true)
			w.carryOut(t)
		}
		for _, call := range w.network {
			if w.clerk.Awaits(call.ID) {
				w.deliver(call)
				w.answer(t, call.ID, len(w.inbox[call.ID])-1)
			}
		}
		w.tick(t)
	}
	// Every ghost arrives in the end.
	for _, call := range w.network {
		w.deliver(call)
		w.deliver(call)
	}
	w.check(t)
	for id := range w.pending {
		require.Contains(t, w.ended, id)
	}
}

// tick counts time, which does what it may no sooner than the clerk said.
func (w *world) tick(t require.TestingT) {
	if w.clerk.Delayed() || w.until == 0 {
		w.until = w.clerk.Until()
	}
	// What was called since has doubts or is abandoned no sooner than this.
	c := w.clerk.config
	for _, ticks := range []int{c.AttemptTicks, c.DoubtTicks} {
		w.until = sooner(w.until, ticks)
	}
	w.until = max(w.until-1, 0)
	w.clerk.Tick()
	if w.until > 0 {
		require.True(t, w.clerk.out.Empty(), "early by %d ticks: %+v", w.until, w.clerk.out)
	}
	w.carryOut(t)
}

// TestAtMostOnceInTheWorstOfWorlds checks S1, S5, C3 and I10 under loss,
// duplication and delay without bound, changes of primary, expiry of sessions
// and the loss of a whole cluster; and P1 once that is over.
func TestAtMostOnceInTheWorstOfWorlds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(Config{
			MaxSessions:  rapid.SampledFrom([]int{1, 2, 5}).Draw(t, "sessions"),
			AttemptTicks: rapid.SampledFrom([]int{0, 2, 5}).Draw(t, "attempt"),
			Seed:         rapid.Uint64Range(0, 3).Draw(t, "seed"),
		})
		someCall := func(t *rapid.T) Call {
			if len(w.network) == 0 {
				t.Skip("nothing was sent")
			}
			// Mostly one of the last; any of those before is a ghost.
			back := rapid.IntRange(1, len(w.network)).Draw(t, "back")
			return w.network[len(w.network)-back]
		}
		request := func(t *rapid.T) {
			for range rapid.IntRange(1, 3).Draw(t, "requests") {
				w.start(t, rapid.SampledFrom([]string{"v", "v", "v", "large", "get", "scan"}).Draw(t, "kind"))
			}
		}
		deliver := func(t *rapid.T) {
			call := someCall(t)
			w.deliver(call)
			w.check(t)
			if rapid.Bool().Draw(t, "reply arrives") {
				w.answer(t, call.ID, len(w.inbox[call.ID])-1)
			}
		}
		flow := func(t *rapid.T) {
			// Nothing goes wrong, for a while.
			w.tell(t)
			for _, call := range slices.Clone(w.network) {
				if w.clerk.Awaits(call.ID) {
					w.deliver(call)
					w.answer(t, call.ID, len(w.inbox[call.ID])-1)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"start": request, "start more": request,
			"deliver": deliver, "deliver more": deliver,
			"flow": flow, "flow more": flow,
			"late reply": func(t *rapid.T) {
				call := someCall(t)
				if n := len(w.inbox[call.ID]); n > 0 {
					w.answer(t, call.ID, rapid.IntRange(0, n-1).Draw(t, "reply"))
				}
			},
			"fail": func(t *rapid.T) {
				call := someCall(t)
				w.clerk.Failed(call.ID, true)
				w.carryOut(t)
			},
			"fail unsent": func(t *rapid.T) {
				// A promise that the network keeps: no copy of it will arrive.
				i := len(w.network) - 1
				if i < 0 || len(w.inbox[w.network[i].ID]) > 0 || !w.clerk.Awaits(w.network[i].ID) {
					t.Skip("it was seen")
				}
				id := w.network[i].ID
				w.network = slices.Delete(w.network, i, i+1)
				w.clerk.Failed(id, false)
				w.carryOut(t)
			},
			"busy": func(t *rapid.T) {
				call := someCall(t)
				if call.Put != nil {
					w.clerk.PutReplied(call.ID, &tandem.PutReply{Err: tandem.ErrBusy, Outcome: tandem.DidNotRun})
					w.carryOut(t)
				}
			},
			"cancel": func(t *rapid.T) {
				if w.lastReq == 0 {
					t.Skip("nothing to cancel")
				}
				w.clerk.Cancel(RequestID(rapid.Uint64Range(1, uint64(w.lastReq)).Draw(t, "request")))
				w.carryOut(t)
			},
			"tick": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "ticks") {
					w.tick(t)
				}
			},
			"tell": func(t *rapid.T) { w.tell(t) },
			"view fails": func(t *rapid.T) {
				if w.asked != nil {
					w.asked = nil
					w.clerk.ViewFailed()
					w.carryOut(t)
				}
			},
			"expire": func(t *rapid.T) {
				ids := slices.Sorted(maps.Keys(w.sessions))
				if len(ids) > 0 {
					w.expire(rapid.SampledFrom(ids).Draw(t, "session"))
				}
			},
			"change view": func(t *rapid.T) {
				w.view.Viewnum++
				w.view.Primary = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "primary")
				w.view.PrimaryIncarnation = rapid.Uint64Range(0, 1).Draw(t, "incarnation")
			},
			"fill up": func(t *rapid.T) { w.full = !w.full },
			"lose the cluster": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					w.newCluster(uint(rapid.IntRange(1, 9).Draw(t, "viewnum")))
				}
			},
			"clone": func(t *rapid.T) {
				// The original is disturbed; the copy must not notice.
				c := w.clerk.Clone()
				require.True(t, c.Equal(w.clerk))
				require.Equal(t, c.Hash(), w.clerk.Hash())
				was := c.AppendState(nil)
				w.clerk.Close()
				require.Equal(t, was, c.AppendState(nil))
				w.clerk = c
			},
			"": func(t *rapid.T) {
				checkClerk(t, w.clerk)
				w.check(t)
			},
		})
		if rapid.Bool().Draw(t, "close") {
			w.clerk.Close()
			w.carryOut(t)
		}
		w.heal(t)
	})
}

// C1: without faults, the view service is asked once, however much is done.
func TestAskingIsBounded(t *testing.T) {
	w := newWorld(DefaultConfig())
	asks := 0
	for i := range 1000 {
		w.start(t, []string{"v", "get", "v"}[i%3])
		if w.asked != nil {
			asks++
			w.tell(t)
		}
		for n := 0; n < len(w.network); n++ {
			if call := w.network[n]; w.clerk.Awaits(call.ID) {
				w.deliver(call)
				w.answer(t, call.ID, 0)
			}
		}
		w.network = w.network[:0]
		w.clerk.Tick()
	}
	require.Len(t, w.ended, 1000)
	for _, d := range w.ended {
		require.NoError(t, d.Err)
	}
	require.Equal(t, 1, asks)
	require.Equal(t, 1, w.clerk.Stats().Sessions, "C3: one update at a time, one session")
}

// C1, C2: with the primary gone and a view service that has no news and does
// not wait, both are asked ever more rarely, down to the bound.
func TestNothingSpins(t *testing.T) {
	c := New(Config{BackoffTicksMin: 1, BackoffTicksMax: 16})
	c.Start(1, Request{Put: &tandem.PutArgs{Key: "k"}})
	asks, calls := 0, 0
	view := tandem.View{Viewnum: 1, Primary: "a"}
	for range 1600 {
		c.Tick()
		for out := c.Take(); !out.Empty(); out = c.Take() {
			for range out.Ask {
				asks++
				c.ViewReplied(&tandem.ViewReply{View: view})
			}
			for _, call := range out.Calls {
				calls++
				c.Failed(call.ID, false)
			}
		}
	}
	require.InDelta(t, 105, asks, 2)
	require.InDelta(t, 105, calls, 2)
}

// C3: as many sessions as updates were ever under way at once, and no more than
// the bound; all requests are served, in order.
func TestAPoolOfSessions(t *testing.T) {
	w := newWorld(Config{MaxSessions: 8})
	for range 100 {
		w.start(t, "v")
	}
	w.tell(t)
	peak := 0
	for n := 0; n < len(w.network); n++ {
		busy := map[uint64]bool{}
		for _, call := range w.network[n:] {
			if p := call.Put; p.Op == tandem.OpAppend && w.clerk.Awaits(call.ID) {
				require.False(t, busy[p.Session], "session %d serves two", p.Session)
				busy[p.Session] = true
			}
		}
		peak = max(peak, len(busy))
		w.deliver(w.network[n])
		w.answer(t, w.network[n].ID, 0)
	}
	require.Len(t, w.ended, 100)
	require.Equal(t, 8, w.clerk.Stats().Sessions)
	require.Equal(t, 8, peak)
	var order []RequestID
	for _, call := range w.network {
		if call.Put.Op == tandem.OpAppend {
			order = append(order, w.requestOf(&call))
		}
	}
	require.True(t, slices.IsSorted(order), "first come, first served")
}

func TestMistakesOfTheShellAreCaught(t *testing.T) {
	requireBroken := func(t *testing.T, invariant string, f func(*Clerk)) {
		t.Helper()
		c := New(Config{})
		c.Start(1, Request{Get: &tandem.GetArgs{}})
		c.ViewReplied(&tandem.ViewReply{View: tandem.View{Viewnum: 1, Primary: "a"}})
		defer func() {
			e, ok := recover().(*tandem.InvariantError)
			require.True(t, ok, "no invariant broke")
			require.Equal(t, invariant, e.Invariant)
		}()
		f(c)
	}
	requireBroken(t, "RequestID", func(c *Clerk) { c.Start(1, Request{Get: &tandem.GetArgs{}}) })
	requireBroken(t, "CallKind", func(c *Clerk) { c.PutReplied(1, &tandem.PutReply{}) })
	requireBroken(t, "CallKind", func(c *Clerk) { c.ScanReplied(1, &tandem.ScanReply{}) })
	requireBroken(t, "S1", func(c *Clerk) {
		args := &tandem.PutArgs{Key: "k", Value: "v"}
		c.Start(2, Request{Put: args})
		c.PutReplied(2, &tandem.PutReply{Err: tandem.OK, Session: 7})
		args.Value = "changed under way"
		c.Failed(3, true)
		c.Tick()
	})
	requireBroken(t, "S4", func(c *Clerk) {
		for id := RequestID(2); id < 4; id++ {
			c.Start(id, Request{Put: &tandem.PutArgs{}})
		}
		c.PutReplied(2, &tandem.PutReply{Err: tandem.OK, Session: 7})
		c.PutReplied(3, &tandem.PutReply{Err: tandem.OK, Session: 7})
	})
}

// Names that mean nothing do not tell states apart; what matters does.
func TestStatesAreNormalised(t *testing.T) {
	build := func(detour bool) *Clerk {
		c := New(Config{})
		reply := &tandem.ViewReply{View: tandem.View{Viewnum: 1, Primary: "a"}}
		c.Start(1, Request{Get: &tandem.GetArgs{Key: "k"}})
		c.ViewReplied(reply)
		if detour {
			for id := RequestID(2); id < 100; id++ {
				c.Start(id, Request{Get: &tandem.GetArgs{Key: "x"}})
				c.GetReplied(CallID(id), &tandem.GetReply{})
			}
		}
		return c
	}
	direct, detour := build(false), build(true)
	require.True(t, direct.Equal(detour))
	require.Equal(t, direct.Hash(), detour.Hash())
	for _, act := range []func(c *Clerk){
		func(c *Clerk) { c.Start(500, Request{Get: &tandem.GetArgs{Key: "k"}}) },
		func(c *Clerk) { c.Failed(1, true) },
		func(c *Clerk) { c.Failed(1, false) },
		func(c *Clerk) { c.Cancel(1) },
		func(c *Clerk) { c.Close() },
	} {
		other := build(false)
		act(other)
		require.False(t, direct.Equal(other))
		require.NotEqual(t, direct.Hash(), other.Hash())
	}
	sent, unsent := build(false), build(false)
	sent.Failed(1, true)
	unsent.Failed(1, false)
	require.False(t, sent.Equal(unsent), "what may have run decides what will be said")
}

func TestDefaultConfigIsTheStatedOne(t *testing.T) {
	require.Equal(t, Config{MaxSessions: 256, AttemptTicks: 3000, DoubtTicks: 20, BackoffTicksMin: 1, BackoffTicksMax: 64}, DefaultConfig())
}

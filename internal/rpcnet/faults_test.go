package rpcnet

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const quickStall = 200 * time.Millisecond

func TestUnreliableLosesTheStatedShares(t *testing.T) {
	const calls = 5000
	addr, w := start(t, ServerConfig{})
	f := NewFaults(1)
	f.Unreliable(LabDropRequest, LabDropReply)
	tr := client(t, TransportConfig{Name: "me", Faults: f})
	ok, lost := 0, 0
	var results []<-chan result
	for i := range calls {
		_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: i})
		results = append(results, ch)
	}
	for _, ch := range results {
		if r := await(t, ch); r.err == nil {
			ok++
		} else {
			lost++
			require.ErrorIs(t, r.err, ErrConnLost)
			require.NotErrorIs(t, r.err, ErrNotSent)
			require.ErrorContains(t, r.err, addr)
		}
	}
	require.InDelta(t, calls*(LabDropRequest+LabDropReply), lost, calls*0.03)
	w.locked(func() {
		require.InDelta(t, calls*(1-LabDropRequest), len(w.ran), calls*0.03)
		require.Len(t, w.conns, 1, "neighbours are unaffected")
		for i := 1; i < len(w.arrived); i++ {
			require.Less(t, w.arrived[i-1], w.arrived[i], "what is not lost stays in order")
		}
		require.Equal(t, map[string]int{"Probe.Same": len(w.ran)}, f.Counts())
		require.Equal(t, map[Route]int{{"me", addr, "Probe.Same"}: len(w.ran)}, f.CountsBy())
	})
	f.ReliableAgain()
	same(t, tr, addr, 1)
}

func TestUnreliableAtConcernsOneAddress(t *testing.T) {
	a, wa := start(t, ServerConfig{})
	b, wb := start(t, ServerConfig{})
	f := NewFaults(1)
	f.UnreliableAt(a, 1, 0)
	f.UnreliableAt(b, 0, 1)
	tr := client(t, TransportConfig{Faults: f})
	for _, addr := range []string{a, b} {
		_, err := Call[Msg](bg(t), tr, addr, "Probe.Same", &Msg{N: 1})
		require.ErrorIs(t, err, ErrConnLost)
	}
	require.Equal(t, 0, wa.ranCount(1))
	require.Equal(t, 1, wb.ranCount(1))
	f.ReliableAgain()
	same(t, tr, a, 2)
	same(t, tr, b, 2)
}

func TestDecisionsDependOnSeedAndRouteAlone(t *testing.T) {
	decide := func(seed uint64, dir string, others int) (fates []bool) {
		f := NewFaults(seed)
		f.Unreliable(0.3, 0.3)
		f.Delay(time.Millisecond, time.Second)
		for range 200 {
			for range others { // traffic on other routes changes nothing
				f.draw(Route{"other", "/x/y", "A.B"})
			}
			ft := f.draw(Route{"/a/" + dir + "/me", "/b/" + dir + "/peer", "A.B"})
			fates = append(fates, ft.dropRequest, ft.dropReply, ft.delayRequest > ft.delayReply)
			require.GreaterOrEqual(t, ft.delayRequest, time.Millisecond)
			require.LessOrEqual(t, ft.delayReply, time.Second)
			require.False(t, ft.dropRequest && ft.dropReply)
		}
		return fates
	}
	require.Equal(t, decide(7, "tmp1", 0), decide(7, "tmp2", 3))
	require.NotEqual(t, decide(7, "tmp1", 0), decide(8, "tmp1", 0))
}

func TestDelayHoldsMessagesForATime(t *testing.T) {
	const least = 30 * time.Millisecond
	addr, _ := start(t, ServerConfig{})
	f := NewFaults(1)
	f.Delay(least, 2*least)
	tr := client(t, TransportConfig{Faults: f})
	begun := time.Now()
	same(t, tr, addr, 1)
	require.GreaterOrEqual(t, time.Since(begun), 2*least, "request and reply")

	ctx, cancel := context.WithTimeout(context.Background(), least/3)
	defer cancel()
	_, err := Call[Msg](ctx, tr, addr, "Probe.Same", &Msg{N: 1})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, ErrNotSent, "it is on its way")
	f.Delay(0, 0)
	same(t, tr, addr, 2)
}

func TestCutRequestNeverArrives(t *testing.T) {
	for _, perCall := range []bool{false, true} {
		addr, w := start(t, ServerConfig{})
		f := NewFaults(1)
		tr := client(t, TransportConfig{Name: "me", Faults: f, StallTimeout: quickStall, DialPerCall: perCall})
		f.Cut("me", addr)

		// A caller that is patient finds out after StallTimeout, but with
		// DialPerCall never.
		_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 1})
		ctx, cancel := context.WithTimeout(context.Background(), quickStall/4)
		_, err := Call[Msg](ctx, tr, addr, "Probe.Same", &Msg{N: 1})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrNotSent, "the caller cannot know")
		if perCall {
			ctx, cancel := context.WithTimeout(context.Background(), 3*quickStall)
			_, err := Call[Msg](ctx, tr, addr, "Probe.Same", &Msg{N: 1})
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Empty(t, ch)
			f.HealAll()
			same(t, tr, addr, 2)
			tr.Close()
			require.ErrorIs(t, await(t, ch).err, ErrClosed)
		} else {
			r := await(t, ch)
			require.ErrorIs(t, r.err, ErrConnLost)
			require.NotErrorIs(t, r.err, ErrNotSent)
			f.Heal("me", addr)
			same(t, tr, addr, 2)
		}
		require.Zero(t, w.ranCount(1))
	}
}

func TestCutReplyIsLostThoughTheRequestRan(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	f := NewFaults(1)
	tr := client(t, TransportConfig{Name: "me", Faults: f, StallTimeout: quickStall})
	f.Cut(addr, "me")
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 1})
	eventually(t, "it ran", func() bool { return w.ranCount(1) == 1 })
	r := await(t, ch)
	require.ErrorIs(t, r.err, ErrConnLost)
	f.HealAll()
	same(t, tr, addr, 2)
}

func TestCutBreaksAConnectionWithALongPoll(t *testing.T) {
	for name, cut := range map[string]func(f *Faults, addr string){
		"request direction": func(f *Faults, addr string) { f.Cut("me", addr) },
		"reply direction":   func(f *Faults, addr string) { f.Cut(addr, "me") },
		"frozen":            func(f *Faults, addr string) { f.Freeze(addr) },
	} {
		t.Run(name, func(t *testing.T) {
			addr, w := start(t, ServerConfig{})
			f := NewFaults(1)
			down := make(chan error, 1)
			tr := client(t, TransportConfig{Name: "me", Faults: f, StallTimeout: quickStall, OnDown: func(_ string, err error) { down <- err }})
			_, ch := begin(t, tr, addr, "Probe.Wait", &Msg{})
			eventually(t, "it waits", func() bool { return w.arrivedCount() == 1 })
			cut(f, addr) // Echo is cut as well
			require.ErrorIs(t, await(t, ch).err, ErrConnLost)
			require.ErrorIs(t, <-down, ErrConnLost)
		})
	}
}

func TestCutIsOneWayAndBetweenTwo(t *testing.T) {
	addr, _ := start(t, ServerConfig{})
	f := NewFaults(1)
	f.Cut("me", addr)
	same(t, client(t, TransportConfig{Name: "you", Faults: f}), addr, 1)
	f.HealAll()
	f.Cut("other", "me")
	same(t, client(t, TransportConfig{Name: "me", Faults: f}), addr, 2)
}

func TestFrozenMessagesAreDeliveredInOrderWhenThawed(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	f := NewFaults(1)
	tr := client(t, TransportConfig{Name: "me", Faults: f, StallTimeout: quickStall})
	f.Freeze(addr)
	var lost []<-chan result
	for i := range 10 {
		_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: i})
		lost = append(lost, ch)
	}
	for _, ch := range lost {
		require.ErrorIs(t, await(t, ch).err, ErrConnLost)
	}
	require.Zero(t, w.arrivedCount())
	require.Empty(t, f.Counts())
	f.Thaw(addr)
	eventually(t, "they run although nobody waits", func() bool { return w.arrivedCount() == 10 })
	same(t, tr, addr, 10)
	w.locked(func() { require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, w.arrived) })

	f.Freeze("me")
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 11})
	f.Thaw("me")
	r := await(t, ch)
	require.NoError(t, r.err)
	require.Equal(t, 11, r.reply.N)
}

func TestGateHoldsChosenRequests(t *testing.T) {
	for _, perCall := range []bool{false, true} {
		addr, w := start(t, ServerConfig{})
		f := NewFaults(1)
		tr := client(t, TransportConfig{Name: "me", Faults: f, StallTimeout: quickStall, DialPerCall: perCall})
		g := f.Hold(func(from, to, method string) bool { return from == "me" && to == addr && method == "Probe.Same" })
		begun := time.Now()
		_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 1})
		ctx, cancel := context.WithTimeout(context.Background(), quickStall/4)
		_, err := Call[Msg](ctx, tr, addr, "Probe.Same", &Msg{N: 2})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrNotSent)
		require.Equal(t, 2, g.Held())
		_, err = Call[Msg](bg(t), tr, addr, "Probe.Long", &Msg{N: 1})
		require.NoError(t, err, "others pass")
		eventually(t, "held longer than a stall", func() bool { return time.Since(begun) > 3*quickStall })
		require.Zero(t, w.ranCount(1))
		g.Release()
		g.Release()
		require.Zero(t, g.Held())
		r := await(t, ch)
		require.NoError(t, r.err)
		eventually(t, "the abandoned one runs late", func() bool { return w.ranCount(2) == 1 })
		same(t, tr, addr, 3)
	}
}

func TestGateHoldsReplies(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	f := NewFaults(1)
	tr := client(t, TransportConfig{Name: "me", Faults: f})
	g := f.Hold(func(from, to, _ string) bool { return from == addr && to == "me" })
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 1})
	eventually(t, "the reply is at the gate", func() bool { return g.Held() == 1 })
	require.Equal(t, 1, w.ranCount(1))
	require.Empty(t, ch)
	g.Release()
	require.NoError(t, await(t, ch).err)
}

func TestHeldRequestMeetsTheFaultsOfItsRelease(t *testing.T) {
	addr, w := start(t, ServerConfig{})
	f := NewFaults(1)
	tr := client(t, TransportConfig{Name: "me", Faults: f, StallTimeout: quickStall})
	g := f.Hold(func(_, _, method string) bool { return method == "Probe.Same" })
	_, ch := begin(t, tr, addr, "Probe.Same", &Msg{N: 1})
	f.Cut("me", addr)
	g.Release()
	require.ErrorIs(t, await(t, ch).err, ErrConnLost)
	f.HealAll()
	same(t, tr, addr, 2)
	require.Zero(t, w.ranCount(1))
}

func TestRefusedDialStaysDefiniteBehindFaults(t *testing.T) {
	f := NewFaults(1)
	tr := client(t, TransportConfig{Faults: f})
	_, err := Call[Msg](bg(t), tr, sockPath(t), "Probe.Same", &Msg{})
	require.ErrorIs(t, err, ErrNotSent)
}

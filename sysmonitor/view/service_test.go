package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
)

// script feeds a Service some events that any bytes stand for, and returns what
// came out. Unlike the model's, the servers keep to nothing.
func script(s *Service, events []byte) string {
	var out strings.Builder
	seq := map[tandem.Server]uint64{}
	for i, e := range events {
		who := tandem.Server{Addr: string(rune('a' + e&3)), Incarnation: uint64(e >> 2 & 1)}
		v, _ := s.View()
		switch e >> 4 {
		case 0:
			s.Tick()
		case 1:
			s.Suspect(who)
		case 2:
			s.Hint(who)
		case 3, 4:
			if n, ok := s.Pending(); ok {
				s.Durable(n)
			}
		default:
			p := tandem.PingArgs{Me: who.Addr, Incarnation: who.Incarnation, Leaving: e>>4 == 5}
			if e&8 != 0 {
				p.Viewnum = v.Viewnum
			}
			if e>>4 == 6 {
				p.Unreachable, p.UnreachableIncarnation = v.Viewnum, v.BackupIncarnation
			}
			if p.Incarnation != 0 {
				seq[who]++
				p.Seq = seq[who]
			}
			s.Ping(uint64(i), p)
		}
		effects := s.Take()
		fmt.Fprintf(&out, "%v %v\n", effects.Replies, effects.News)
		if effects.Record != nil {
			fmt.Fprintf(&out, "%+v\n", *effects.Record)
		}
	}
	return out.String()
}

func small() Config { return Config{Cluster: 1, DeadPings: 2, CoolDownPings: 2, ForgetPings: 3} }

// TestDeterminism: V10. The same events in the same order have the same effects
// and lead to the same state, from the start or from a clone in between, and a
// clone is not disturbed by what happens to the original.
func TestDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "events")
		cut := rapid.IntRange(0, len(events)).Draw(t, "cut")
		a, b := New(small()), New(small())
		script(a, events[:cut])
		script(b, events[:cut])
		c := a.Clone()
		before := c.AppendState(nil)
		outA := script(a, events[cut:])
		require.Equal(t, before, c.AppendState(nil), "the original disturbed its clone")
		outB, outC := script(b, events[cut:]), script(c, events[cut:])
		require.Equal(t, outA, outB)
		require.Equal(t, outA, outC)
		require.True(t, a.Equal(b) && b.Equal(c))
		require.Equal(t, a.Hash(), b.Hash())
		require.Equal(t, a.Status(), b.Status())
	})
}

// TestStateDistinguishes: states that behave differently are not equal, and
// what only grows does not tell equal states apart.
func TestStateDistinguishes(t *testing.T) {
	ping := func(s *Service, addr string, number uint, seq uint64) {
		s.Ping(1, tandem.PingArgs{Me: addr, Viewnum: number, Incarnation: 9, Seq: seq})
		s.Take()
	}
	durable := func(s *Service) {
		n, _ := s.Pending()
		s.Durable(n)
		s.Take()
	}
	base := func() *Service {
		s := New(Config{Cluster: 1})
		ping(s, "a", 0, 1)
		durable(s)
		return s
	}
	differ := map[string]func(*Service){
		"a tick":            func(s *Service) { s.Tick() },
		"a suspicion":       func(s *Service) { s.Suspect(tandem.Server{Addr: "a", Incarnation: 9}) },
		"a hint":            func(s *Service) { s.Hint(s.state.view.PrimaryServer()) },
		"a pending record":  func(s *Service) { ping(s, "a", 1, 2) },
		"an activation":     func(s *Service) { ping(s, "a", 1, 2); durable(s) },
		"an idle server":    func(s *Service) { ping(s, "b", 0, 1) },
		"a leaving server":  func(s *Service) { s.Ping(1, tandem.PingArgs{Me: "a", Incarnation: 9, Seq: 2, Leaving: true}); s.Take() },
		"an unsent reply":   func(s *Service) { s.Ping(1, tandem.PingArgs{Me: "a", Incarnation: 9, Seq: 2}) },
		"a memory lost":     func(s *Service) { ping(s, "a", 7, 2) },
		"a new incarnation": func(s *Service) { s.Ping(1, tandem.PingArgs{Me: "a", Incarnation: 8, Seq: 1}); durable(s) },
	}
	seen := map[uint64]string{base().Hash(): "nothing"}
	for what, change := range differ {
		s := base()
		change(s)
		require.False(t, s.Equal(base()), what)
		require.NotContains(t, seen, s.Hash(), what)
		seen[s.Hash()] = what
	}
	s := base()
	ping(s, "a", 0, 500)
	require.True(t, s.Equal(base()), "a ping's sequence number tells equal states apart")
	require.Equal(t, uint64(500), s.LastSeq(tandem.Server{Addr: "a", Incarnation: 9}))
	require.Zero(t, s.LastSeq(tandem.Server{Addr: "a", Incarnation: 8}))
	require.Zero(t, s.LastSeq(tandem.Server{Addr: "nobody"}))
}

// TestCommandsFromAnywhere: a State that is fed any commands in any order, as a
// log of several monitors might hold them, keeps I1, I2 and V10: the checks in
// decide do not fire.
func TestCommandsFromAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{max: 4, cluster: 1}
		var o State
		for range rapid.IntRange(1, 200).Draw(t, "commands") {
			who := func(what string) tandem.Server {
				return tandem.Server{
					Addr:        rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, what),
					Incarnation: uint64(rapid.IntRange(0, 2).Draw(t, "incarnation")),
				}
			}
			c := Command{
				Kind:    CommandKind(rapid.IntRange(1, 6).Draw(t, "kind")),
				Server:  who("server"),
				By:      who("by"),
				Number:  s.view.Viewnum - min(s.view.Viewnum, uint(rapid.IntRange(0, 2).Draw(t, "behind"))),
				Leaving: rapid.Bool().Draw(t, "leaving"),
			}
			require.NotContains(t, c.String(), "unknown")
			o = s
			s.apply(c)
			if s.active != o.active { // V3
				require.Equal(t, Command{Kind: Acknowledged, Server: o.view.PrimaryServer(), By: c.By, Number: o.view.Viewnum, Leaving: c.Leaving}, c)
			}
			s.decide()
			require.LessOrEqual(t, o.view.Viewnum, s.view.Viewnum)
			require.LessOrEqual(t, o.active, s.active)
			require.LessOrEqual(t, len(s.servers), s.max)
			require.LessOrEqual(t, len(s.inSync), 2)
		}
	})
}

// TestInvariantsFire: the checks of a new view notice what they are there for.
func TestInvariantsFire(t *testing.T) {
	a, b, c := tandem.Server{Addr: "a"}, tandem.Server{Addr: "b"}, tandem.Server{Addr: "c"}
	state := func() *State {
		s := &State{max: 9, cluster: 1, active: 2, inSync: []tandem.Server{a, b}}
		for _, who := range []tandem.Server{a, b, c} {
			s.servers = append(s.servers, server{Server: who, presence: alive})
		}
		s.view = tandem.View{Viewnum: 2, Primary: "a", Backup: "b", Cluster: 1}
		return s
	}
	next := func(p, b tandem.Server) tandem.View { return state().with(p, b) }
	for _, test := range []struct {
		invariant string
		view      tandem.View
		before    func(*State)
	}{
		{"I1", tandem.View{Viewnum: 4, Primary: "a"}, nil},
		{"I1", tandem.View{Viewnum: 2, Primary: "a"}, nil},
		{"V9", next(tandem.Server{}, tandem.Server{}), nil},
		{"V4", next(a, a), nil},
		{"I2", next(c, tandem.Server{}), nil},
		{"V10", next(a, b), nil},
		{"V4", next(b, c), nil},
		{"V4", next(a, c), nil},
		{"V4", next(a, b), func(s *State) { s.view.Backup, s.active = "", 1 }},
		{"V9", next(b, tandem.Server{}), func(s *State) { s.servers[1].presence = suspected }},
	} {
		s := state()
		if test.before != nil {
			test.before(s)
		}
		func() {
			defer func() {
				err, ok := recover().(*tandem.InvariantError)
				require.True(t, ok, "%s: %s passed", test.invariant, viewText(test.view))
				require.True(t, strings.HasPrefix(err.Invariant, test.invariant), "wanted %s, got %v", test.invariant, err)
			}()
			s.check(test.view)
		}()
	}
	require.NotPanics(t, func() { state().check(next(b, tandem.Server{})) })
}

// TestRecordRoundTrip: V10. What is kept is what comes back.
func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(small())
		script(s, rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "events"))
		if s.durable.Number == 0 {
			return
		}
		b, err := s.durable.MarshalBinary()
		require.NoError(t, err)
		var r Record
		require.NoError(t, r.UnmarshalBinary(b))
		require.True(t, r.same(s.durable))
		require.Equal(t, s.durable.Number, r.Number)
		restored, err := Restore(small(), r)
		require.NoError(t, err)
		v, active := restored.View()
		told, toldActive := s.View()
		require.Equal(t, told, v)
		require.Equal(t, toldActive, active)
	})
}

// FuzzRestore: any bytes are a record or an error that says so; a record has
// one encoding; and whatever Restore accepts can be gone on from.
func FuzzRestore(f *testing.F) {
	for _, r := range []Record{
		{Number: 1, View: tandem.View{Viewnum: 1, Primary: "a", Cluster: 1}},
		{Number: 9, View: tandem.View{Viewnum: 5, Primary: "a", PrimaryIncarnation: 4, Backup: "b", BackupIncarnation: 1 << 60, Cluster: 1}, Active: 4,
			InSync: []tandem.Server{{Addr: "a", Incarnation: 4}}},
		{Number: 9, View: tandem.View{Viewnum: 5, Primary: "a", Backup: "b", Cluster: 1}, Active: 5,
			InSync: []tandem.Server{{Addr: "a"}}, BackupLost: true, Abandoned: []uint64{2, 1 << 63}},
		{Number: 2, Abandoned: []uint64{2}},
	} {
		b, _ := r.MarshalBinary()
		f.Add(b, []byte{0x78, 0x79, 0, 0, 0x7a, 0x30})
	}
	f.Fuzz(func(t *testing.T, b, events []byte) {
		var r Record
		if err := r.UnmarshalBinary(b); err != nil {
			require.ErrorIs(t, err, ErrBadRecord)
			return
		}
		again, _ := r.MarshalBinary()
		require.Equal(t, b, again)
		if r.Number > 1<<62 || r.View.Viewnum > 1<<62 {
			return // counters do not come around in any real life
		}
		s, err := Restore(small(), r)
		if err != nil {
			require.ErrorIs(t, err, ErrBadRecord)
			return
		}
		script(s, events)
	})
}

// TestRestoreRefuses: a record that no Service can have made is an error.
func TestRestoreRefuses(t *testing.T) {
	good := Record{Number: 3, View: tandem.View{Viewnum: 3, Primary: "a", Backup: "b", Cluster: 1}, Active: 2, InSync: []tandem.Server{{Addr: "a"}}}
	_, err := Restore(small(), good)
	require.NoError(t, err)
	for what, change := range map[string]func(*Record){
		"number 0":            func(r *Record) { r.Number = 0 },
		"no primary":          func(r *Record) { r.View.Primary = "" },
		"primary is backup":   func(r *Record) { r.View.Backup = "a" },
		"no cluster":          func(r *Record) { r.View.Cluster = 0 },
		"another group":       func(r *Record) { r.View.Group = 4 },
		"view 0":              func(r *Record) { r.View.Viewnum = 0 },
		"active beyond view":  func(r *Record) { r.Active = 4 },
		"backup before store": func(r *Record) { r.Active, r.InSync = 0, nil },
		"nobody lost":         func(r *Record) { r.View.Backup, r.BackupLost = "", true },
		"nobody in sync":      func(r *Record) { r.InSync = []tandem.Server{{}} },
		"twice in sync":       func(r *Record) { r.InSync = []tandem.Server{{Addr: "a"}, {Addr: "a", Incarnation: 1}} },
		"stranger in sync":    func(r *Record) { r.Active, r.InSync = 3, []tandem.Server{{Addr: "c"}} },
		"long address":        func(r *Record) { r.View.Primary = strings.Repeat("a", AddrMax+1) },
		"nothing":             func(r *Record) { *r = Record{Number: 3} },
		"roles in view 0":     func(r *Record) { r.View.Viewnum, r.Active, r.InSync, r.Abandoned = 0, 0, nil, []uint64{2} },
		"its own end":         func(r *Record) { r.Abandoned = []uint64{1} },
		"cluster 0 given up":  func(r *Record) { r.Abandoned = []uint64{2, 0} },
		"given up again":      func(r *Record) { *r = Record{Number: 3, Abandoned: []uint64{small().Cluster}} },
		"too many given up":   func(r *Record) { r.Abandoned = slices.Repeat([]uint64{2}, AbandonedMax+1) },
	} {
		r := good
		change(&r)
		_, err := Restore(small(), r)
		require.ErrorIs(t, err, ErrBadRecord, what)
	}
	b, _ := good.MarshalBinary()
	for i := range b {
		require.ErrorIs(t, new(Record).UnmarshalBinary(b[:i]), ErrBadRecord)
	}
	require.ErrorIs(t, new(Record).UnmarshalBinary(append(b, 0)), ErrBadRecord)
	require.ErrorIs(t, new(Record).UnmarshalBinary([]byte{recordVersion, 0x81, 0}), ErrBadRecord, "a number has one encoding")
}

// TestBounds: the table, the history and the held pings have limits, and a
// countdown does not run under zero.
func TestBounds(t *testing.T) {
	s := New(Config{Cluster: 1, ServersMax: 4, ForgetPings: 3})
	for i := range 5000 {
		addr := fmt.Sprint("s", i)
		s.Ping(uint64(i), tandem.PingArgs{Me: addr})
		if n, ok := s.Pending(); ok {
			s.Durable(n)
		}
		s.Tick()
		s.Take()
	}
	require.LessOrEqual(t, len(s.state.servers), 4)
	require.LessOrEqual(t, len(s.detector.watches), 4)
	require.Len(t, s.history, HistoryMax)

	s = New(Config{Cluster: 1})
	s.Ping(0, tandem.PingArgs{Me: "a"})
	for i := range HeldMax + 10 {
		s.Ping(uint64(i), tandem.PingArgs{Me: "a"})
	}
	require.Len(t, s.held, HeldMax)
	e := s.Take()
	require.Len(t, e.Replies, 11)
	require.Equal(t, tandem.ErrBusy, e.Replies[0].Ping.Err)
	s.Durable(e.Record.Number)
	require.Len(t, s.Take().Replies, HeldMax)

	require.Panics(t, func() { New(Config{}) })
	// A long life of many incarnations at one address.
	for i := range 100 {
		s.Ping(1, tandem.PingArgs{Me: "a", Incarnation: uint64(i) + 1, Seq: 1})
		if n, ok := s.Pending(); ok {
			s.Durable(n)
		}
	}
	require.LessOrEqual(t, len(s.detector.find("a").lives), livesMax)
}

// TestStartOver: V0. From whatever record a cluster is given up, its servers are
// refused for what they are and silence nobody, and fresh ones form a new cluster
// from view 1 on, that remembers.
func TestStartOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(small())
		script(s, rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "events"))
		if s.durable.Number == 0 {
			return
		}
		old := tandem.PingArgs{Me: "a", Incarnation: 1, Seq: 1, Cluster: 1, Viewnum: uint(rapid.IntRange(0, 9).Draw(t, "number"))}
		r := s.durable
		for id := uint64(2); id < 2+AbandonedMax-1; id++ {
			b, err := r.StartOver().MarshalBinary()
			require.NoError(t, err)
			var kept Record
			require.NoError(t, kept.UnmarshalBinary(b))
			require.Greater(t, kept.Number, r.Number)
			cfg := small()
			cfg.Cluster = id
			s, err := Restore(cfg, kept)
			require.NoError(t, err)
			refused := func() {
				s.Ping(1, old)
				replies := s.Take().Replies
				require.Len(t, replies, 1)
				require.Equal(t, tandem.ErrWrongCluster, replies[0].Ping.Err)
				require.False(t, s.LostMemory())
				g, _ := s.Get(tandem.ViewArgs{Cluster: old.Cluster, Viewnum: old.Viewnum})
				require.Equal(t, tandem.ErrWrongCluster, g.Err)
			}
			refused()
			s.Ping(2, tandem.PingArgs{Me: "b", Incarnation: 2, Seq: 1})
			made := s.Take().Record
			s.Durable(made.Number)
			s.Take()
			refused()
			v, _ := s.View()
			require.Equal(t, tandem.View{Viewnum: 1, Primary: "b", PrimaryIncarnation: 2, Cluster: id}, v)
			r = *made
		}
		require.Len(t, r.Abandoned, AbandonedMax-1)
		r = r.StartOver().StartOver() // of no cluster, the second time
		require.Len(t, r.Abandoned, AbandonedMax)
		r.View = tandem.View{Viewnum: 1, Primary: "b", Cluster: 99}
		require.Equal(t, append(slices.Clone(r.Abandoned[1:]), 99), r.StartOver().Abandoned, "the oldest goes")
	})
}

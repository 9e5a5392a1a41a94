package replica_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// TestTranscripts replays the exchanges in testdata/transcripts. Each file is
// about the rules that it names; go test -rewrite writes the answers anew, to be
// reviewed as a diff. A "run" block is a script, one event a line, and its
// answer repeats each line with what came of it:
//
//	new NAME [SETTING=N ...] [late] [delta]   a new life of a server; late: what it
//	                                  keeps is durable only when the script says so;
//	                                  delta: it may send what is missing alone (T4)
//	view N PRIMARY [BACKUP]           what view N is; NAME/INCARNATION for another life
//	hear NAME N [active=N]            the view service tells a server of view N
//	pinged NAME N [active=N] [seq=N]  it answers its last ping, or another
//	put|append NAME KEY VALUE [id=N] [session=N/N] [view=N] [cluster=N] [group=N]
//	get|local NAME KEY [id=N] ...     VALUE*N is a value of N letters
//	forget NAME ID
//	deliver [mN ...]                  messages on their way, and what they lead to;
//	                                  or just these, even if dropped or delivered before
//	drop [mN ...]                     all that are on their way, or these
//	forge mN FIELD=VALUE ...          delivers an altered copy
//	durable NAME [N] [records=N]      all that is kept, or up to index N, or the first records
//	gone NAME N                       replies of N bytes have left
//	elapsed NAME MS                   so long after its start (R3)
//	tick NAME [N]     clock NAME MS   ping|lost|moving|resend|report|leave|stay NAME
//	hold NAME         take NAME       hold: effects stay in the outbox until taken
//	status NAME       log NAME        crash NAME
//
// A "pair" block stands for the events that make a, with the settings given, the
// primary of the active view (2,a,b), and b its backup; "late" and "delta" are for
// both, and so are lease and grace.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		s := &scribe{t: t, players: map[string]*player{}, views: map[uint]tandem.View{}, lives: map[string]uint64{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "run":
				return s.run(d.Pos, d.Input)
			case "pair":
				s.pair(d)
				return ""
			}
			t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
			return ""
		})
	})
}

func (s *scribe) run(pos, script string) string {
	s.out.Reset()
	for text := range strings.Lines(script) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(&s.out, "> %s\n", text)
			s.event(pos, parseLine(text))
		}
	}
	return s.out.String()
}

func (s *scribe) pair(d *datadriven.TestData) {
	both, settings := "", ""
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "late", "delta":
			both += " " + arg.Key
		case "lease", "grace":
			both += " " + arg.Key + "=" + arg.Vals[0]
		default:
			settings += " " + arg.Key + "=" + arg.Vals[0]
		}
	}
	s.run(d.Pos, "new a"+both+settings+"\nnew b"+both+`
		view 1 a
		view 2 a b
		hear a 1 active=1
		hear b 1 active=1
		hear a 2
		deliver
		durable b
		deliver
		hear a 2 active=2`)
	s.letters = nil
}

// scribe runs a transcript.
type scribe struct {
	t       *testing.T
	players map[string]*player
	views   map[uint]tandem.View
	lives   map[string]uint64
	letters []*letter
	out     strings.Builder
}

// player is a server in a transcript.
type player struct {
	*replica.Replica
	name   string
	late   bool
	hold   bool
	kept   []replica.Record // not durable yet
	pings  uint64
	nextID uint64
}

// letter is a message and whether it is on its way.
type letter struct {
	replica.Message
	name    string
	text    string
	waiting bool
}

// line is an event of a script, taken apart.
type line struct {
	verb  string
	words []string
	named map[string]string
}

func parseLine(text string) line {
	l := line{named: map[string]string{}}
	for i, w := range strings.Fields(text) {
		key, value, named := strings.Cut(w, "=")
		switch {
		case i == 0:
			l.verb = w
		case named:
			l.named[key] = value
		default:
			l.words = append(l.words, w)
		}
	}
	return l
}

func (l line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

func (l line) number(key string) uint64 { return number(l.named[key]) }

func (s *scribe) event(pos string, l line) {
	switch l.verb {
	case "new":
		s.players[l.word(0)] = s.newPlayer(pos, l)
		return
	case "view":
		v := tandem.View{Viewnum: uint(number(l.word(0))), Cluster: max(7, l.number("cluster")), Group: uint32(l.number("group"))}
		p, b := s.server(l.word(1)), s.server(l.word(2))
		v.Primary, v.PrimaryIncarnation, v.Backup, v.BackupIncarnation = p.Addr, p.Incarnation, b.Addr, b.Incarnation
		s.views[v.Viewnum] = v
		return
	case "deliver":
		s.deliver(pos, l.words)
		return
	case "drop":
		for _, m := range s.letters {
			if len(l.words) == 0 || slices.Contains(l.words, m.name) {
				m.waiting = false
			}
		}
		return
	case "forge":
		m := *s.letter(pos, l.word(0))
		s.forge(pos, &m.Message, l)
		s.hand(m.Message, "a forged "+m.name)
		return
	case "crash":
		delete(s.players, l.word(0))
		return
	}
	p, ok := s.players[l.word(0)]
	if !ok {
		s.t.Fatalf("%s: no server %q", pos, l.word(0))
	}
	switch l.verb {
	case "durable":
		s.durable(p, l)
	case "status":
		s.status(p)
	case "log":
		s.log(p)
	case "hold":
		p.hold = true
	case "take":
		p.hold = false
		s.settle(p)
	default:
		s.step(p, func() { s.player(pos, p, l) })
	}
}

// player is an event that concerns one Replica.
func (s *scribe) player(pos string, p *player, l line) {
	n := number(l.word(1))
	switch l.verb {
	case "hear":
		p.ViewHeard(s.view(pos, n), uint(l.number("active")))
	case "pinged":
		seq := p.pings
		if l.named["seq"] != "" {
			seq = l.number("seq")
		}
		p.PingReplied(seq, tandem.PingReply{View: s.view(pos, n), Active: uint(l.number("active")), Err: tandem.Err(l.named["err"])})
	case "put", "append", "get", "local":
		p.Submit(p.request(l))
	case "forget":
		p.Forget(n)
	case "gone":
		p.AnswersGone(int(n))
	case "clock":
		p.Clock(int64(n))
	case "elapsed":
		p.Elapsed(time.Duration(n) * time.Millisecond)
	case "tick":
		for range max(1, n) {
			p.Tick()
			if !p.hold {
				s.settle(p)
			}
		}
	case "ping":
		p.Ping()
	case "lost":
		p.Lost()
	case "moving":
		p.Moving()
	case "resend":
		p.Resend()
	case "report":
		p.ReportBackup()
	case "leave":
		p.Leave()
	case "stay":
		p.Stay()
	default:
		s.t.Fatalf("%s: unknown event %q", pos, l.verb)
	}
}

func (s *scribe) newPlayer(pos string, l line) *player {
	p := &player{name: l.word(0), late: slices.Contains(l.words, "late")}
	s.lives[p.name]++
	machine := newRecorder()
	machine.every = int64(l.number("sweep"))
	cfg := replica.Config{
		Self:           s.server(p.name),
		WholeTransfers: !slices.Contains(l.words, "delta"),
		Group:          uint32(l.number("group")),
		Machine:        machine,
		Observer: func(o tandem.Observation) {
			fmt.Fprintf(&s.out, "%s: (%s) %s\n", p.name, o.Rule, o.Detail)
		},
	}
	settings := map[string]*int{
		"ping": &cfg.PingTicks, "heartbeat": &cfg.HeartbeatTicks, "resend": &cfg.ResendTicks,
		"answers": &cfg.MaxAnswerBytes, "unreachable": &cfg.UnreachableTicks, "park": &cfg.ParkTicks,
		"forwardbytes": &cfg.MaxForwardBytes, "inflight": &cfg.MaxInFlight, "inflightbytes": &cfg.MaxInFlightBytes,
		"transferbytes": &cfg.MaxTransferBytes, "waiting": &cfg.MaxWaiting, "waitingbytes": &cfg.MaxWaitingBytes,
		"chunk": &cfg.ChunkBytes, "window": &cfg.ChunkWindow, "rest": &cfg.TransferRestBytes, "retain": &cfg.MaxEntriesToRetain,
	}
	cfg.Lease = time.Duration(l.number("lease")) * time.Millisecond
	cfg.Grace = time.Duration(l.number("grace")) * time.Millisecond
	cfg.Restarted = slices.Contains(l.words, "restarted")
	for key, value := range l.named {
		if slices.Contains([]string{"group", "sweep", "lease", "grace"}, key) {
			continue
		}
		if settings[key] == nil {
			s.t.Fatalf("%s: unknown setting %q", pos, key)
		}
		*settings[key] = int(number(value))
	}
	p.Replica = replica.New(cfg)
	return p
}

// server returns the present life at a name, or the one of NAME/INCARNATION.
func (s *scribe) server(name string) tandem.Server {
	addr, life, other := strings.Cut(name, "/")
	switch {
	case addr == "":
		return tandem.Server{}
	case other:
		return tandem.Server{Addr: addr, Incarnation: number(life)}
	}
	return tandem.Server{Addr: addr, Incarnation: s.lives[addr]}
}

func (s *scribe) view(pos string, n uint64) tandem.View {
	v, ok := s.views[uint(n)]
	if !ok && n != 0 {
		s.t.Fatalf("%s: no view %d", pos, n)
	}
	return v
}

func (p *player) request(l line) replica.Request {
	p.nextID++
	req := replica.Request{ID: p.nextID}
	if id := l.number("id"); id != 0 {
		req.ID, p.nextID = id, id
	}
	req.Viewnum, req.Cluster, req.Group = uint(l.number("view")), l.number("cluster"), uint32(l.number("group"))
	key, value := l.word(1), l.word(2)
	if letter, count, ok := strings.Cut(value, "*"); ok {
		value = strings.Repeat(letter, int(number(count)))
	}
	switch l.verb {
	case "get", "local":
		req.Kind, req.Payload = replica.Read, []byte(key)
		if l.verb == "local" {
			req.Kind = replica.Local
		}
	default:
		session, n, _ := strings.Cut(l.named["session"], "/")
		req.Session, req.Number = number(session), number(n)
		req.Payload = command(req.Session, req.Number, l.verb+" "+key+" "+value)
	}
	return req
}

// step carries out an event and shows its effects, or how an invariant broke.
func (s *scribe) step(p *player, f func()) {
	defer func() {
		if e := recover(); e != nil {
			broken, ok := e.(*tandem.InvariantError)
			if !ok {
				panic(e)
			}
			detail, _, _ := strings.Cut(broken.Detail, ";")
			fmt.Fprintf(&s.out, "%s: STOPS, %s broken: %s\n", p.name, broken.Invariant, detail)
			delete(s.players, p.name)
		}
	}()
	f()
	require.NoError(s.t, p.Audit())
	if !p.hold {
		s.settle(p)
	}
}

// settle takes effects until there are none that lead to others.
func (s *scribe) settle(p *player) {
	for {
		e := p.TakeEffects()
		s.show(p, e)
		if e.Keep == nil || p.late {
			return
		}
		p.Durable(e.Keep.Generation, e.Keep.Last)
		require.NoError(s.t, p.Audit())
	}
}

func (s *scribe) show(p *player, e replica.Effects) {
	if k := e.Keep; k != nil && p.late {
		p.kept = append(p.kept, *k)
		state := ""
		switch {
		case k.Installed != nil:
			state = fmt.Sprintf(" a new state as of %d,", k.Base)
		case k.Cut:
			state = fmt.Sprintf(" nothing after %d but %d entries,", k.Base, len(k.Entries))
		}
		fmt.Fprintf(&s.out, "%s: keeps%s up to %d\n", p.name, state, k.Last)
	}
	for _, m := range e.Messages {
		l := &letter{Message: m, name: "m" + strconv.Itoa(len(s.letters)+1), text: describe(m), waiting: true}
		s.letters = append(s.letters, l)
		fmt.Fprintf(&s.out, "%s: sends %s to %s: %s\n", p.name, l.name, m.To.Addr, l.text)
	}
	for _, r := range e.Replies {
		if r.Err == tandem.OK && r.Outcome == tandem.DidRun {
			fmt.Fprintf(&s.out, "%s: answers %d: %s\n", p.name, r.ID, brief(r.Payload))
		} else {
			fmt.Fprintf(&s.out, "%s: answers %d: %s, %s\n", p.name, r.ID, string(r.Err), r.Outcome)
		}
	}
	if e.Ping != nil {
		p.pings = e.Ping.Seq
		fmt.Fprintf(&s.out, "%s: pings %d", p.name, e.Ping.Viewnum)
		if e.Ping.Leaving {
			s.out.WriteString(", leaving")
		}
		if e.Ping.Unreachable != 0 {
			fmt.Fprintf(&s.out, ", of view %d the backup's life %d is unreachable", e.Ping.Unreachable, e.Ping.UnreachableIncarnation)
		}
		s.out.WriteString("\n")
	}
	if e.Departed {
		fmt.Fprintf(&s.out, "%s: departs\n", p.name)
	}
}

func brief(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%s... of %d", b[:24], len(b))
	}
	return string(b)
}

func describe(m replica.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %d #%d", m.Kind, m.View.Viewnum, m.Seq)
	switch m.Kind {
	case replica.Forward:
		fmt.Fprintf(&b, " after %d commit %d%s", m.Index, m.Commit, describeEntries(m.Entries))
	case replica.Chunk:
		fmt.Fprintf(&b, " as of %d number %d, ", m.SnapIndex, m.ChunkNumber)
		if m.Delta {
			fmt.Fprintf(&b, "after %d of %d%s", m.DeltaIndex, m.DeltaEpoch, describeEntries(m.Entries))
		} else {
			fmt.Fprintf(&b, "%d bytes%s", len(m.Data), describeEntries(m.Entries))
		}
		if m.ChunkLast {
			b.WriteString(", the last")
		}
	case replica.ChunkTaken:
		fmt.Fprintf(&b, " as of %d: %d", m.SnapIndex, m.ChunkNumber)
	case replica.Offer:
	case replica.Holds:
		fmt.Fprintf(&b, " %d of %d", m.DeltaIndex, m.DeltaEpoch)
	default:
		fmt.Fprintf(&b, " up to %d", m.Index)
	}
	return b.String()
}

func describeEntries(entries []replica.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, " [%s]", describeEntry(e))
	}
	return b.String()
}

func describeEntry(e replica.Entry) string {
	return fmt.Sprintf("%d of %d at %d: %s", e.Index, e.Epoch, e.Time, brief(e.Payload))
}

func (s *scribe) letter(pos, name string) *letter {
	n := number(strings.TrimPrefix(name, "m"))
	if n == 0 || n > uint64(len(s.letters)) {
		s.t.Fatalf("%s: no message %q", pos, name)
	}
	return s.letters[n-1]
}

func (s *scribe) deliver(pos string, names []string) {
	for _, name := range names {
		m := s.letter(pos, name)
		m.waiting = false
		s.hand(m.Message, m.name)
	}
	if len(names) > 0 {
		return
	}
	for i := 0; i < len(s.letters); i++ { // the list grows as answers are sent
		if m := s.letters[i]; m.waiting {
			m.waiting = false
			s.hand(m.Message, m.name)
		}
		if i > 2000 {
			s.t.Fatalf("%s: no end of messages", pos)
		}
	}
}

// hand gives a message to whoever lives at its address.
func (s *scribe) hand(m replica.Message, name string) {
	p, ok := s.players[m.To.Addr]
	if !ok {
		fmt.Fprintf(&s.out, "%s is lost\n", name)
		return
	}
	fmt.Fprintf(&s.out, "%s gets %s\n", p.name, name)
	s.step(p, func() { p.Deliver(m) })
}

func (s *scribe) forge(pos string, m *replica.Message, l line) {
	m.Entries = slices.Clone(m.Entries)
	for key, value := range l.named {
		n := number(value)
		switch key {
		case "from":
			m.From = s.server(value)
		case "to":
			m.To = s.server(value)
		case "view":
			m.View = s.view(pos, n)
		case "cluster":
			m.View.Cluster = n
		case "group":
			m.View.Group = uint32(n)
		case "backup":
			b := s.server(value)
			m.View.Backup, m.View.BackupIncarnation = b.Addr, b.Incarnation
		case "kind":
			m.Kind = replica.Kind(n)
		case "seq":
			m.Seq = n
		case "index":
			m.Index = n
		case "commit":
			m.Commit = n
		case "grace":
			m.Grace = time.Duration(n) * time.Millisecond
		case "deltaindex":
			m.DeltaIndex = n
		case "deltaepoch":
			m.DeltaEpoch = n
		case "sum":
			m.ChunkSum = uint32(n)
		case "number":
			m.ChunkNumber = n
		case "data":
			m.Data = []byte(value)
		case "epoch": // of its entries
			for i := range m.Entries {
				m.Entries[i].Epoch = n
			}
		case "first": // index of its entries
			for i := range m.Entries {
				m.Entries[i].Index = n + uint64(i)
			}
		default:
			s.t.Fatalf("%s: unknown field %q", pos, key)
		}
	}
}

func (s *scribe) durable(p *player, l line) {
	kept := p.kept
	p.kept = nil
	if n := int(l.number("records")); n != 0 {
		kept, p.kept = kept[:n], kept[n:]
	}
	for _, k := range kept {
		last := k.Last
		if limit := number(l.word(1)); limit != 0 && last > limit {
			p.kept = append(p.kept, k)
			last = limit
		}
		s.step(p, func() { p.Durable(k.Generation, last) })
	}
}

func (s *scribe) status(p *player) {
	st := p.Status()
	fmt.Fprintf(&s.out, "%s: %s, %s, in view %d; last %d, commit %d, applied %d", p.name, st.Role, st.Authority, st.View.Viewnum, st.Last, st.Commit, st.Applied)
	for _, f := range []struct {
		holds bool
		text  string
	}{
		{st.Activated, "active"},
		{st.BackupInSync, fmt.Sprintf("backup in sync up to %d", st.BackupIndex)},
		{st.BackupUnreachable, "backup unreachable"},
		{st.TransferRunning, fmt.Sprintf("%d chunks taken", st.TransferChunksTaken)},
		{st.Installed, "installed"},
		{st.Leaving, "leaving"},
		{st.LeaseUntil > 0, fmt.Sprintf("a lease until %s", st.LeaseUntil)},
		{st.Waiting > 0, fmt.Sprintf("%d wait", st.Waiting)},
		{st.Stats.Rewinds > 0, fmt.Sprintf("%d rewinds", st.Stats.Rewinds)},
	} {
		if f.holds {
			s.out.WriteString("; " + f.text)
		}
	}
	s.out.WriteString("\n")
}

// log shows what is applied, from the machine, and what is not.
func (s *scribe) log(p *player) {
	st := p.Status()
	for _, e := range p.Machine().(*recorder).history {
		fmt.Fprintf(&s.out, "%s: applied %s\n", p.name, describeEntry(e))
	}
	for i := st.Applied + 1; i <= st.Last; i++ {
		e, _ := p.Entry(i)
		fmt.Fprintf(&s.out, "%s: holds %s\n", p.name, describeEntry(e))
	}
}

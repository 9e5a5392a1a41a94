package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// TestSessions runs the transcripts of rules S2, S3, S4, S6 and L6. Every
// command is one entry; t sets the log's time from there on.
//
//	open [max=N]                                 open a session
//	do [s=ID n=N] [max=BYTES] [budget=BYTES]     an update, one write a line
//	expire age=MS
//	duplicate s=ID n=N                           what is answered on arrival
//	housekeeping now=MS
//	sessions                                     the table
//	reload                                       replace the store by its snapshot, loaded
func TestSessions(t *testing.T) {
	datadriven.Walk(t, "testdata/sessions", func(t *testing.T, path string) {
		l := newLog(Limits{SessionTTLMillis: 1000, ExpireEveryMillis: 100})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			d.MaybeScanArgs(t, "t", &l.now)
			out := step(t, l, d)
			check(t, l.store)
			return out
		})
	})
}

func step(t *testing.T, l *log, d *datadriven.TestData) string {
	var s, n, age, budget, limit uint64
	d.MaybeScanArgs(t, "s", &s)
	d.MaybeScanArgs(t, "n", &n)
	d.MaybeScanArgs(t, "age", &age)
	d.MaybeScanArgs(t, "budget", &budget)
	switch d.Cmd {
	case "open":
		limit = 100
		d.MaybeScanArgs(t, "max", &limit)
		return describe(l, l.command(t, Command{Kind: OpenSession, MaxSessions: limit, AgeMillis: age}))
	case "do":
		d.MaybeScanArgs(t, "max", &limit)
		c := Command{Kind: Update, Session: s, Number: n, ReplyBudget: budget, MaxValue: limit}
		for _, line := range strings.Split(d.Input, "\n") {
			c.Writes = append(c.Writes, parseWrite(t, line))
		}
		return describe(l, l.command(t, c))
	case "expire":
		return describe(l, l.command(t, Command{Kind: Expire, AgeMillis: age}))
	case "duplicate":
		b, ok := l.store.Duplicate(s, n)
		if !ok {
			return "none"
		}
		reply, err := DecodeReply(b)
		require.NoError(t, err)
		return describe(l, reply)
	case "housekeeping":
		var now int64
		d.ScanArgs(t, "now", &now)
		b := l.store.Housekeeping(now)
		if b == nil {
			return "nothing to do"
		}
		c, err := DecodeCommand(b)
		require.NoError(t, err)
		return fmt.Sprintf("%v age=%d", c.Kind, c.AgeMillis)
	case "sessions":
		var b strings.Builder
		for ses := range l.store.Sessions() {
			fmt.Fprintf(&b, "session %d: number %d, reply of %d bytes, used by %d at %d ms\n",
				ses.ID, ses.Number, len(ses.Reply), ses.UsedIndex, ses.UsedMillis)
		}
		fmt.Fprintf(&b, "%d sessions, %d bytes of replies", l.store.Stats().Sessions, l.store.Stats().ReplyBytes)
		return b.String()
	case "get":
		value, ok := l.store.Get(d.CmdArgs[0].Key)
		return fmt.Sprintf("%q %v", short(value), ok)
	case "reload":
		fresh := load(t, l.store, l.store.Snapshot(), 1)
		require.True(t, fresh.Equal(l.store))
		l.store = fresh
		return "ok"
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return ""
}

// parseWrite parses "append key value", or a value of "x*1000".
func parseWrite(t *testing.T, line string) Write {
	words := append(strings.Fields(line), "", "", "")
	w := Write{Key: words[1], Value: words[2], Expected: words[3]}
	var n int
	if what, times, ok := strings.Cut(w.Value, "*"); ok {
		_, err := fmt.Sscan(times, &n)
		require.NoError(t, err)
		w.Value = strings.Repeat(what, n)
	}
	for op := tandem.OpPut; op <= tandem.OpCompareAndSwap; op++ {
		if strings.EqualFold(op.String(), words[0]) {
			w.Op = op
			return w
		}
	}
	t.Fatalf("unknown operation in %q", line)
	return w
}

func describe(l *log, p Reply) string {
	var b strings.Builder
	fmt.Fprintf(&b, "entry %d: %s", len(l.entries), string(p.Err))
	if p.Session != 0 {
		fmt.Fprintf(&b, " session=%d", p.Session)
	}
	for _, r := range p.Results {
		fmt.Fprintf(&b, " %s", string(r.Err))
		if r.Swapped {
			b.WriteString(" swapped")
		}
		if r.Previous != "" {
			fmt.Fprintf(&b, " previous=%q", short(r.Previous))
		}
	}
	return b.String()
}

func short(s string) string {
	if len(s) > 12 {
		return fmt.Sprintf("%s...%d", s[:4], len(s))
	}
	return s
}

// L4: what Apply relies on is asserted.
func TestEntriesOutOfOrderBreakAnInvariant(t *testing.T) {
	put := Command{Kind: Update, Writes: []Write{{Key: "k"}}}
	entry := func(index uint64, time int64) replica.Entry {
		return replica.Entry{Index: index, Time: time, Payload: put.Append(nil)}
	}
	for name, second := range map[string]replica.Entry{
		"twice":      entry(5, 10),
		"backwards":  entry(4, 10),
		"time falls": entry(6, 9),
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Limits{})
			s.Apply(entry(5, 10))
			requireBroken(t, "L4", func() { s.Apply(second) })
		})
	}
}

func TestACommandThatIsNotUnderstoodStopsTheServer(t *testing.T) {
	requireBroken(t, "CommandUnderstood", func() {
		New(Limits{}).Apply(replica.Entry{Index: 1, Payload: []byte{version + 1, tagExpire, 1}})
	})
}

func TestAnEntryWithoutPayloadChangesNothing(t *testing.T) {
	s := New(Limits{})
	require.Nil(t, s.Apply(replica.Entry{Index: 3, Time: 7}))
	require.Equal(t, Stats{Index: 3, TimeMillis: 7}, s.Stats())
}

// A proposal that was lost is made again, but not by a clone that made it too.
func TestHousekeepingKeepsItsPaceAcrossClone(t *testing.T) {
	l := newLog(Limits{SessionTTLMillis: 1000, ExpireEveryMillis: 100})
	l.open(t)
	require.NotNil(t, l.store.Housekeeping(1000))
	c := l.store.Clone()
	require.Nil(t, c.Housekeeping(1099))
	require.NotNil(t, c.Housekeeping(1100))
	require.Nil(t, l.store.Housekeeping(1099))
	require.True(t, c.(*Store).Equal(l.store), "housekeeping is no replicated state")
}
